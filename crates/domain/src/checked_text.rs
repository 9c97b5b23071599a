//! Macro for names and ids: text that is validated once, cheap to clone, and
//! validated again when it is deserialized.

/// Implements the constructor and the traits of a tuple struct over `Arc<str>`.
///
/// The struct's `check` returns true for a valid text; the error names the grammar.
macro_rules! checked_text {
    ($name:ident, $error:ident, $grammar:literal) => {
        #[doc = concat!("Text that does not match `", $grammar, "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("must match {}", $grammar)]
        pub struct $error;

        impl $name {
            #[doc = concat!("Parses a text that matches `", $grammar, "`.")]
            ///
            /// # Errors
            /// When the text does not match.
            pub fn parse(text: &str) -> Result<Self, $error> {
                if Self::check(text.as_bytes()) {
                    Ok(Self(std::sync::Arc::from(text)))
                } else {
                    Err($error)
                }
            }

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
    fn deserialized_text_is_validated() {
        let id: EventId = serde_json::from_str("\"evt-1\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"evt-1\"");
        let rejected = serde_json::from_str::<EventId>("\"no id\"").unwrap_err();
        assert!(
            rejected
                .to_string()
                .starts_with("must match [A-Za-z0-9_-]{1,128}"),
            "{rejected}"
        );
    }
}
