//! User whom a proxy in front of the console has authenticated, for records (pure).

use std::{fmt, str::FromStr};

use axum::http::{HeaderMap, HeaderName, header};

/// Longest name of a user, in characters.
const LONGEST_USER: usize = 100;

/// Headers that have a meaning of their own.
const REFUSED: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
];

/// Header in which a proxy names the user. It grants nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserHeader(HeaderName);

/// Text that is no such header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the name of a header for users, such as X-Forwarded-User")]
pub(crate) struct InvalidUserHeader;

impl FromStr for UserHeader {
    type Err = InvalidUserHeader;

    fn from_str(text: &str) -> Result<Self, InvalidUserHeader> {
        let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| InvalidUserHeader)?;
        let is_refused = REFUSED.contains(&name);
        (!is_refused).then_some(Self(name)).ok_or(InvalidUserHeader)
    }
}

impl fmt::Display for UserHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl UserHeader {
    /// Returns the user; `None` if the header is missing, repeated, or is no name.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Option<String> {
        let mut values = headers.get_all(&self.0).iter();
        let (value, further) = (values.next()?, values.next());
        let user = str::from_utf8(value.as_bytes()).ok()?.trim();
        let is_name = (1..=LONGEST_USER).contains(&user.chars().count())
            && !user.chars().any(char::is_control);
        (is_name && further.is_none()).then(|| user.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn user(values: &[&str]) -> Option<String> {
        let header: UserHeader = "X-Forwarded-User".parse().unwrap();
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append("x-forwarded-user", value);
        }
        header.user(&headers)
    }

    #[test]
    fn user_is_one_name_of_limited_length() {
        assert_eq!(
            user(&["ann@example.com"]).as_deref(),
            Some("ann@example.com")
        );
        assert_eq!(user(&["Jörg Müller"]).as_deref(), Some("Jörg Müller"));
        assert_eq!(user(&[]), None);
        assert_eq!(user(&["ann", "bob"]), None);
        assert_eq!(user(&[" "]), None);
        assert_eq!(user(&["a\tb"]), None);
        assert_eq!(user(&[&"x".repeat(101)]), None);
    }

    #[test]
    fn header_with_another_meaning_is_refused() {
        for name in ["", "a b", "Authorization", "cookie", "Host"] {
            assert_eq!(name.parse::<UserHeader>(), Err(InvalidUserHeader), "{name}");
        }
    }
}
