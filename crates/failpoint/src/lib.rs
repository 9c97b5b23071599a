//! Failpoints: places at which the fault tests kill a program, and a step of its
//! wall clock.
//!
//! Compiled in only with the feature `armed`; without it every function does
//! nothing, at no cost. With it, environment variables configure them:
//!
//! - `WAHOOK_FAILPOINT=posted@17`: the program is killed, as by `kill -9`, when it
//!   passes that place for the 17th time;
//! - `WAHOOK_CLOCK_STEP=3600000@100`: from its 100th reading on, the wall clock
//!   is ahead by that many milliseconds (or behind, if negative).
//!
//! The crate `fail` is not used: it has no action that kills the process, and
//! would be a dependency of every build.

#[cfg(feature = "armed")]
mod armed;

/// Place at which a program can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// A message is sent to the broker and not yet confirmed.
    Published,
    /// The producer has the broker's confirm and has not responded yet.
    Confirmed,
    /// The consumer has received a message and not processed it yet.
    Received,
    /// The webhook has responded, and the result is not processed yet.
    Posted,
    /// The broker has confirmed a retry, and its attempt is not recorded yet.
    RetryConfirmed,
    /// A batch of results is being written to the log.
    Writing,
    /// A result is durable, and its message is not acknowledged yet.
    Recorded,
    /// A result from the results queue is in the log, and its message is not
    /// acknowledged yet.
    Drained,
}

impl Failpoint {
    /// All places, in the order in which an event passes them.
    pub const ALL: [Self; 8] = [
        Self::Published,
        Self::Confirmed,
        Self::Received,
        Self::Posted,
        Self::RetryConfirmed,
        Self::Writing,
        Self::Recorded,
        Self::Drained,
    ];

    /// Returns the name in `WAHOOK_FAILPOINT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Confirmed => "confirmed",
            Self::Received => "received",
            Self::Posted => "posted",
            Self::RetryConfirmed => "retry-confirmed",
            Self::Writing => "writing",
            Self::Recorded => "recorded",
            Self::Drained => "drained",
        }
    }
}

/// Returns true if failpoints are compiled in.
#[must_use]
pub const fn is_armed() -> bool {
    cfg!(feature = "armed")
}

/// Marks that the program passes `place`. May not return.
#[inline]
pub fn pass(place: Failpoint) {
    #[cfg(feature = "armed")]
    armed::pass(place);
    #[cfg(not(feature = "armed"))]
    let _ = place;
}

/// As [`pass`], but the process is killed a moment later, while the operation
/// that begins here is in progress.
#[inline]
pub fn pass_into(place: Failpoint) {
    #[cfg(feature = "armed")]
    armed::pass_into(place);
    #[cfg(not(feature = "armed"))]
    let _ = place;
}

/// Returns the offset of the wall clock in milliseconds.
#[inline]
#[must_use]
pub fn clock_step_ms() -> i64 {
    #[cfg(feature = "armed")]
    return armed::clock_step_ms();
    #[cfg(not(feature = "armed"))]
    0
}
