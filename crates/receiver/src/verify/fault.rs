//! Reasons for a signature to be rejected, as text and as code.

/// Reason for a receiver to reject the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the header {0} is missing: check that the sender has a WEBHOOK_SECRET")]
    Missing(&'static str),
    /// The header occurs several times, and receivers differ in the one they use.
    #[error("the header {0} occurs more than once")]
    Repeated(&'static str),
    /// The header has bytes beyond ASCII.
    #[error("the header {0} has bytes that are not ASCII")]
    NotText(&'static str),
    /// `X-Webhook-Signature` is malformed.
    #[error("the signature is not 64 lowercase hexadecimal digits: {0}")]
    Form(&'static str),
    /// `webhook-signature` is malformed.
    #[error("no part of the header is v1, followed by Base64 of 32 bytes, such as v1,K5oZ…")]
    NoVersion1,
    /// `webhook-timestamp` is malformed.
    #[error("webhook-timestamp is not a number of seconds since 1970{0}")]
    Timestamp(&'static str),
    /// The signature is right, but receivers would treat the request as a replay.
    #[error("the signature is right, but webhook-timestamp is {seconds} s {}: receivers allow 300 s. Either a clock is wrong, or the request was sent again later", if *.late { "old" } else { "in the future" })]
    TimestampOff {
        /// Difference in seconds.
        seconds: u64,
        /// True if it is older than the arrival of the request.
        late: bool,
    },
    /// The signature does not match this request and this secret.
    #[error("{0}")]
    Wrong(Cause),
}

impl Fault {
    /// Returns the code for programs, which never changes.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Repeated(_) => "repeated",
            Self::NotText(_) | Self::Form(_) | Self::NoVersion1 => "malformed",
            Self::Timestamp(_) => "timestamp-malformed",
            Self::TimestampOff { .. } => "timestamp-off",
            Self::Wrong(cause) => cause.code(),
        }
    }
}

/// Most probable cause of a wrong signature. Causes up to `OtherScheme` are certain: with
/// that change the signature matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No cause was determined yet.
    #[error("the signature is wrong")]
    Unknown,
    /// The body was signed as `JSON.stringify` prints it, but sent in another form.
    #[error(
        "the JSON was printed again after it was signed: the signature is that of this body as JSON.stringify prints it. Look for a proxy that parses and prints bodies"
    )]
    Reserialised,
    /// The body differs by white space at the end.
    #[error("a line end was added to the body, or removed, after it was signed")]
    LineEnd,
    /// The sender's secret differs from ours by a line end, spaces or quotes.
    #[error(
        "the secret of the sender and this one differ by a line end, spaces or quotes around them: check the files or lines that set them"
    )]
    SecretSpaced,
    /// The key is the bytes that `whsec_` encodes instead of the text.
    #[error(
        "the key is the decoded secret; the key of X-Webhook-Signature is the text of the secret, whsec_ included"
    )]
    SecretDecoded,
    /// The key is the text instead of the bytes that `whsec_` encodes.
    #[error(
        "the key is the text of the secret; the key of webhook-signature is the decoded Base64 after whsec_"
    )]
    SecretAsText,
    /// The signature is that of the other header's scheme.
    #[error(
        "the signature is made by the scheme of the other header: X-Webhook-Signature covers only the body, webhook-signature covers id.timestamp.body"
    )]
    OtherScheme,
    /// The other signature proves body and secret.
    #[error(
        "the other signature verifies, so body and secret are right: webhook-id, webhook-timestamp or this header was changed in transit"
    )]
    HeadersAltered,
    /// Another attempt with this id had another body.
    #[error(
        "the body was changed after it was signed: another attempt with this webhook-id verified, with another body"
    )]
    BodyDiffers,
    /// The body does not have the form in which the consumer sends it.
    #[error(
        "the body was probably changed after it was signed: it is not JSON in the form in which wahook sends it"
    )]
    BodyNotCanonical,
    /// Other requests verify.
    #[error(
        "the request is signed with another secret, perhaps by a second sender, or the body was changed to other JSON after it was signed: other deliveries verify with this secret"
    )]
    SecretOrBody,
    /// No request has verified with this secret.
    #[error(
        "the request is probably signed with another secret: compare WEBHOOK_SECRET here and at the sender. (A body that was changed in transit looks the same.)"
    )]
    OtherSecret,
}

impl Cause {
    const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "wrong",
            Self::Reserialised => "json-reserialised",
            Self::LineEnd => "line-end",
            Self::SecretSpaced => "secret-spaced",
            Self::SecretDecoded => "secret-decoded",
            Self::SecretAsText => "secret-as-text",
            Self::OtherScheme => "other-scheme",
            Self::HeadersAltered => "headers-altered",
            Self::BodyDiffers | Self::BodyNotCanonical => "body-altered",
            Self::SecretOrBody => "secret-or-body",
            Self::OtherSecret => "other-secret",
        }
    }
}
