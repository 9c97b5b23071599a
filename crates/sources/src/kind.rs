//! Kinds of gateways.

use std::{fmt, str::FromStr};

/// Kind of a gateway: the form of what it posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Events in the documented form, as for `/v1/events`.
    Wahook,
    Waha,
    Evolution,
    /// wwebjs-api and its forks.
    Wwebjs,
    Wppconnect,
    /// open-wa, versions 4 and 5.
    OpenWa,
    /// go-whatsapp-web-multidevice.
    Gowa,
    Wuzapi,
    /// Meta's Cloud API.
    Meta,
    /// Any other sender of JSON.
    Generic,
}

/// Text that is not a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", Kind::ALL.map(Kind::as_str).join(", "))]
pub struct InvalidKind;

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Wahook,
        Self::Waha,
        Self::Evolution,
        Self::Wwebjs,
        Self::Wppconnect,
        Self::OpenWa,
        Self::Gowa,
        Self::Wuzapi,
        Self::Meta,
        Self::Generic,
    ];

    /// Returns the name in settings and paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wahook => "wahook",
            Self::Waha => "waha",
            Self::Evolution => "evolution",
            Self::Wwebjs => "wwebjs",
            Self::Wppconnect => "wppconnect",
            Self::OpenWa => "open-wa",
            Self::Gowa => "gowa",
            Self::Wuzapi => "wuzapi",
            Self::Meta => "meta",
            Self::Generic => "generic",
        }
    }

    /// Returns the request headers that the endpoint needs to verify the gateway's own
    /// signature, in lower case. They are delivered with the unchanged body.
    #[must_use]
    pub const fn handed_on_headers(self) -> &'static [&'static str] {
        match self {
            Self::Waha => &[
                "x-webhook-hmac",
                "x-webhook-hmac-algorithm",
                "x-webhook-request-id",
                "x-webhook-timestamp",
            ],
            Self::Gowa | Self::Meta => &["x-hub-signature-256"],
            Self::Wuzapi => &["x-hmac-signature"],
            Self::Wahook
            | Self::Evolution
            | Self::Wwebjs
            | Self::Wppconnect
            | Self::OpenWa
            | Self::Generic => &[],
        }
    }

    /// Returns JSON pointers to members that hold the gateway's own key.
    #[must_use]
    pub const fn secret_members(self) -> &'static [&'static str] {
        match self {
            Self::Evolution => &["/apikey", "/api_key"],
            Self::Wuzapi => &["/token"],
            Self::Wahook
            | Self::Waha
            | Self::Wwebjs
            | Self::Wppconnect
            | Self::OpenWa
            | Self::Gowa
            | Self::Meta
            | Self::Generic => &[],
        }
    }
}

impl FromStr for Kind {
    type Err = InvalidKind;

    fn from_str(text: &str) -> Result<Self, InvalidKind> {
        let mut kinds = Self::ALL.into_iter();
        kinds.find(|kind| kind.as_str() == text).ok_or(InvalidKind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        let refused = "whatsapp".parse::<Kind>().unwrap_err().to_string();
        assert!(refused.ends_with("meta, generic"), "{refused}");
    }
}
