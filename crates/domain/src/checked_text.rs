//! What the names and ids have in common: text that was checked once, cheap to
//! clone, and checked again when it is deserialized.

/// Gives a tuple struct over `Arc<str>` its constructor and its traits.
///
/// The struct's `check` says whether a text is one; the error names the grammar.
macro_rules! checked_text {
    ($name:ident, $error:ident, $grammar:literal) => {
        #[doc = concat!("The text does not match `", $grammar, "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("must match {}", $grammar)]
        pub struct $error;

        impl $name {
            #[doc = concat!("Takes a text that matches `", $grammar, "`.")]
            ///
            /// # Errors
            /// When it does not match.
            pub fn parse(text: &str) -> Result<Self, $error> {
                if Self::check(text.as_bytes()) {
                    Ok(Self(std::sync::Arc::from(text)))
                } else {
                    Err($error)
                }
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use checked_text;

#[cfg(test)]
mod tests {
    use crate::EventId;

    #[test]
    fn what_is_deserialized_is_checked() {
        let id: EventId = serde_json::from_str("\"evt-1\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"evt-1\"");
        let refused = serde_json::from_str::<EventId>("\"no id\"").unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("must match [A-Za-z0-9_-]{1,128}"),
            "{refused}"
        );
    }
}
