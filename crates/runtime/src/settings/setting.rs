//! Declaration of a setting.

/// Setting, declared once. Its reader, the faults, `--help`, `.env.example` and the
/// documentation take name, default, valid values and texts from here.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Name of the variable.
    pub name: &'static str,
    pub kind: Kind,
    /// Value if the variable is not set.
    pub default: DefaultValue,
    /// Valid value, for messages.
    pub example: &'static str,
    /// Meaning in one line without the valid values, for `--help`.
    pub help: &'static str,
    /// Meaning without the valid values, for the documentation, in Markdown.
    pub meaning: &'static str,
}

/// Form of the valid values.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Number within inclusive bounds.
    Integer {
        min: u64,
        max: u64,
        /// Unit in the plural; empty for a count.
        unit: &'static str,
    },
    Flag,
    Choice(&'static [&'static str]),
    /// IP address and port.
    Address,
    /// Path of a file.
    Path,
    Url {
        /// Description, for messages.
        expected: &'static str,
        /// Valid schemes, in Markdown.
        schemes: &'static str,
    },
    /// URL, or several separated by commas. The parser's errors never quote them.
    UrlList {
        /// Description, for messages.
        expected: &'static str,
        /// Valid schemes, in Markdown.
        schemes: &'static str,
    },
    /// Text of the described form.
    Text(&'static str),
    /// Text of the described form that is never shown, or a list of such texts.
    Secret(&'static str),
}

/// Value of a setting whose variable is not set.
#[derive(Debug, Clone, Copy)]
pub enum DefaultValue {
    Number(u64),
    Flag(bool),
    Text(&'static str),
    /// No value.
    None,
    /// The setting must be set.
    Required,
    /// The setting must be set, unless the named one is.
    RequiredUnless(&'static str),
}

impl Kind {
    /// Returns the form of a valid value; completes "must be".
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Integer { min, max, unit: "" } => format!("a number from {min} to {max}"),
            Self::Integer { min, max, unit } => format!("a number of {unit} from {min} to {max}"),
            Self::Flag => "true or false".to_owned(),
            Self::Choice(values) => values.join(" or "),
            Self::Address => "an address and port".to_owned(),
            Self::Path => "the path of a file".to_owned(),
            Self::Url { expected, .. } | Self::UrlList { expected, .. } => (*expected).to_owned(),
            Self::Text(form) | Self::Secret(form) => (*form).to_owned(),
        }
    }

    /// Returns the valid values for a table, in Markdown.
    #[must_use]
    pub fn range(&self) -> String {
        match self {
            Self::Integer { min, max, unit } => {
                format!("{min} to {max} {unit}").trim_end().to_owned()
            }
            Self::Flag => "true, false".to_owned(),
            Self::Choice(values) => values.join(", "),
            Self::Address => "IP address (or `localhost`) and port".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Url { schemes, .. } | Self::UrlList { schemes, .. } => (*schemes).to_owned(),
            Self::Text(form) | Self::Secret(form) => (*form).to_owned(),
        }
    }

    /// Returns false if `text` is outside the bounds of a number.
    pub(super) fn contains(&self, text: &str) -> bool {
        match self {
            Self::Integer { min, max, .. } => text
                .parse()
                .is_ok_and(|number| (*min..=*max).contains(&number)),
            _ => true,
        }
    }
}

impl DefaultValue {
    /// Returns the value as written in the environment, if there is one.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Number(number) => Some(number.to_string()),
            Self::Flag(value) => Some(value.to_string()),
            Self::Text(text) => Some((*text).to_owned()),
            Self::None | Self::Required | Self::RequiredUnless(_) => None,
        }
    }

    /// Returns the condition of a setting that must be set.
    #[must_use]
    pub fn requirement(&self) -> Option<String> {
        match self {
            Self::Required => Some("required".to_owned()),
            Self::RequiredUnless(other) => Some(format!("required, or {other}")),
            _ => None,
        }
    }
}
