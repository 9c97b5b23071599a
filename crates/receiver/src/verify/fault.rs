//! Why a signature would be refused, for a person and for programs.

/// Why a receiver would refuse the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such header.
    #[error("the header {0} is missing; has the sender no WEBHOOK_SECRET?")]
    Missing(&'static str),
    /// There are several, and receivers differ in which one they take.
    #[error("the header {0} is there more than once")]
    Repeated(&'static str),
    /// It has bytes beyond ASCII.
    #[error("the header {0} has bytes that are not ASCII")]
    NotText(&'static str),
    /// `X-Webhook-Signature` in another form.
    #[error("it is not 64 lowercase hexadecimal digits: {0}")]
    Form(&'static str),
    /// `webhook-signature` in another form.
    #[error("none of its parts is v1, followed by Base64 of 32 bytes: v1,K5oZ…")]
    NoVersion1,
    /// `webhook-timestamp` in another form.
    #[error("webhook-timestamp is not a number of seconds since 1970{0}")]
    Timestamp(&'static str),
    /// The signature is right, but receivers would take it for a replay.
    #[error("the signature is right, but webhook-timestamp is {seconds} s {}: receivers allow 300 s. Is a clock wrong, or was the request sent again later?", if *.late { "old" } else { "in the future" })]
    TimestampOff {
        /// How far off it is.
        seconds: u64,
        /// Older than the request's arrival.
        late: bool,
    },
    /// It is a signature, but not of this request with this secret.
    #[error("{0}")]
    Wrong(Suspicion),
}

impl Fault {
    /// For programs; it never changes.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Repeated(_) => "repeated",
            Self::NotText(_) | Self::Form(_) | Self::NoVersion1 => "malformed",
            Self::Timestamp(_) => "timestamp-malformed",
            Self::TimestampOff { .. } => "timestamp-off",
            Self::Wrong(suspicion) => suspicion.code(),
        }
    }
}

/// What most likely happened, where a signature is not that of the request.
/// Those down to `OtherScheme` are certain: so changed, the signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    /// Not looked into yet.
    #[error("it is wrong")]
    Nothing,
    /// Signed as `JSON.stringify` prints it, sent otherwise.
    #[error(
        "the JSON was printed anew after it was signed: it is the signature of this body as JSON.stringify prints it. Does a proxy parse and print bodies?"
    )]
    Reserialised,
    /// White space at the end makes the difference.
    #[error("a line end was added to the body, or taken away, after it was signed")]
    LineEnd,
    /// The sender's secret differs from ours by a line end, spaces or quotes.
    #[error(
        "the sender's secret is this one with a line end, spaces or quotes around it: look at the file or the line that sets it"
    )]
    SecretSpaced,
    /// Keyed by what `whsec_` encodes, where its text was meant.
    #[error(
        "it is keyed by the bytes that the secret encodes; X-Webhook-Signature is keyed by the text of the secret, whsec_ included"
    )]
    SecretDecoded,
    /// Keyed by the text, where what `whsec_` encodes was meant.
    #[error(
        "it is keyed by the text of the secret; webhook-signature is keyed by the bytes that follow whsec_ in Base64"
    )]
    SecretAsText,
    /// Made in the way of the other header.
    #[error(
        "it is made in the way of the other header: X-Webhook-Signature covers the body alone, webhook-signature covers id.timestamp.body"
    )]
    OtherScheme,
    /// The other signature proves body and secret.
    #[error(
        "the other signature verifies, so body and secret are right: webhook-id, webhook-timestamp or this header was changed on the way"
    )]
    HeadersAltered,
    /// Another attempt with this id had another body.
    #[error(
        "the body was changed after it was signed: another attempt with this webhook-id verified, and its body is another one"
    )]
    BodyDiffers,
    /// The body is not as it leaves the consumer.
    #[error(
        "the body was changed after it was signed, most likely: it is not JSON in the form in which wahook sends it"
    )]
    BodyNotCanonical,
    /// Others verify.
    #[error(
        "it is signed with another secret (a second sender?), or the body was changed to other JSON after it was signed: other deliveries do verify with this secret"
    )]
    SecretOrBody,
    /// Nothing speaks for this secret.
    #[error(
        "it is signed with another secret, most likely: compare WEBHOOK_SECRET here and at the sender. (A body that was changed on the way looks the same.)"
    )]
    OtherSecret,
}

impl Suspicion {
    const fn code(self) -> &'static str {
        match self {
            Self::Nothing => "wrong",
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
