//! Endpoint names, used in queue names, the log and metrics.

use std::sync::Arc;

use crate::checked_text::checked_text;

/// Endpoint name: 1 to 32 characters of `a-z 0-9 -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointName(Arc<str>);

checked_text!(EndpointName, InvalidEndpointName, "[a-z0-9-]{1,32}");

impl EndpointName {
    fn check(text: &[u8]) -> bool {
        let allowed = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        (1..=32).contains(&text.len()) && text.iter().all(allowed)
    }
}

/// Name of the single endpoint that `WEBHOOK_URL` configures: `default`.
impl Default for EndpointName {
    fn default() -> Self {
        Self("default".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_fits_into_a_queue_name_and_a_label() {
        assert_eq!(EndpointName::default().as_str(), "default");
        for good in ["a", "crm-2", &"x".repeat(32)] {
            assert_eq!(EndpointName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "a_b", "a.b", &"x".repeat(33)] {
            assert_eq!(
                EndpointName::parse(bad),
                Err(InvalidEndpointName),
                "{bad:?}"
            );
        }
    }
}
