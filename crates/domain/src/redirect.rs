//! Reasons for which a redirect is not followed.

/// Reason for which a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RedirectFault {
    /// Status with which clients change the method, or which is no redirect.
    #[error("only 307 and 308 are followed")]
    OtherStatus,
    #[error("it names no usable target")]
    NoTarget,
    #[error("it leads to another host")]
    OtherHost,
    #[error("it leads to another port")]
    OtherPort,
    #[error("it leads from https to http")]
    Unencrypted,
    #[error("too many in one attempt")]
    TooMany,
}
