//! Filter of a stream of deliveries (pure).

use serde::Deserialize;
use wahook_delivery_log::Ended;

use crate::{failure::Failure, query::given};

/// Filter of a stream.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiveQuery {
    /// Name of the endpoint
    endpoint: Option<String>,
    /// Name of the event
    event: Option<String>,
    /// `success` or `failed`
    status: Option<String>,
}

impl LiveQuery {
    /// Returns the filter.
    pub(crate) fn matcher(self) -> Result<Matcher, Failure> {
        let delivered = match given(self.status).as_deref() {
            None => None,
            Some("success") => Some(true),
            Some("failed") => Some(false),
            Some(_) => return Err(Failure::invalid("status is not success or failed")),
        };
        Ok(Matcher {
            endpoint: given(self.endpoint),
            event: given(self.event),
            delivered,
        })
    }
}

/// Filter of a stream. All parts that are set must match.
pub(crate) struct Matcher {
    endpoint: Option<String>,
    event: Option<String>,
    delivered: Option<bool>,
}

impl Matcher {
    /// Returns true if the delivery matches.
    pub(crate) fn matches(&self, ended: &Ended) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        is(&self.endpoint, &ended.endpoint)
            && is(&self.event, &ended.event)
            && self
                .delivered
                .is_none_or(|wanted| wanted == ended.delivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_has_only_deliveries_that_match() {
        let query = |status: &str| LiveQuery {
            endpoint: Some("crm".to_owned()),
            event: Some(String::new()),
            status: Some(status.to_owned()),
        };
        let ended = |endpoint: &str, delivered| Ended {
            event_id: "e1".to_owned(),
            event: "call".to_owned(),
            endpoint: endpoint.to_owned(),
            webhook_url: String::new(),
            delivered,
            status_code: None,
            retry_count: 0,
            error: None,
            accepted_at: wahook_domain::UnixMillis::new(0),
            ended_at: wahook_domain::UnixMillis::new(1),
            other_event: false,
        };
        let failed = query("failed").matcher().unwrap();
        assert!(failed.matches(&ended("crm", false)));
        assert!(!failed.matches(&ended("crm", true)) && !failed.matches(&ended("shop", false)));
        assert!(query("retrying").matcher().is_err());
    }
}
