//! Macro for values that stores keep as JSON.

/// Implements the conversion of a type with `Serialize` and `Deserialize` to its stored form and
/// back.
macro_rules! stored_json {
    ($name:ident) => {
        impl $name {
            /// Returns the value as JSON, the form in which stores keep it.
            #[must_use]
            pub fn to_json(&self) -> String {
                // Strings always have a JSON form.
                serde_json::to_string(self).unwrap_or_default()
            }

            /// Reads what [`Self::to_json`] has written; `None` if it is damaged.
            #[must_use]
            pub fn from_json(text: &str) -> Option<Self> {
                serde_json::from_str(text).ok()
            }
        }
    };
}

pub(crate) use stored_json;
