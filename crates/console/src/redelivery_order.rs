//! Order of a redelivery, as the API accepts it (pure).

use std::{collections::BTreeSet, fmt, num::NonZeroU32};

use serde::Deserialize;
use utoipa::ToSchema;
use wahook_delivery_log::{FoundDelivery, SearchFilter};
use wahook_domain::{EndpointName, EventId, UnixMillis};

use crate::{
    failure::Failure,
    query::{DeliveryQuery, given},
};

/// Ids in one request.
const MOST_IDS: usize = 10_000;
/// Redeliveries per second.
const DEFAULT_RATE: u32 = 50;
const MOST_RATE: u32 = 1_000;

/// Deliveries to send again: ids, or a filter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RedeliveryOrder {
    /// `EVENT_ID/ENDPOINT`, or `EVENT_ID` for all endpoints
    ids: Option<Vec<String>>,
    /// As in `GET /deliveries`; `since` is required
    filter: Option<DeliveryQuery>,
    /// Only count
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// Name of another endpoint to send to; by default the endpoint of the delivery
    endpoint: Option<String>,
    /// Redeliveries per second, 50 by default
    #[schema(minimum = 1, maximum = 1000)]
    rate: Option<u32>,
}

/// Selection of deliveries.
#[derive(Debug)]
pub(crate) enum Selection {
    Ids(BTreeSet<Id>),
    Filter(Box<SearchFilter>),
}

/// Delivery, or all deliveries of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) event_id: EventId,
    pub(crate) endpoint: Option<EndpointName>,
}

/// Delivery to send again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) event_id: EventId,
    pub(crate) endpoint: EndpointName,
}

impl RedeliveryOrder {
    pub(crate) fn selection(self, now: UnixMillis) -> Result<Selection, Failure> {
        match (self.ids, self.filter) {
            (Some(ids), None) if (1..=MOST_IDS).contains(&ids.len()) => {
                let ids = ids.iter().map(|text| Id::parse(text));
                Ok(Selection::Ids(ids.collect::<Result<_, _>>()?))
            }
            (None, Some(query)) => {
                let mut filter = query.filter(now)?;
                if filter.since.is_none() {
                    let detail = "set since in the filter: the start of the time range";
                    return Err(Failure::invalid(detail));
                }
                filter.until.get_or_insert(now);
                Ok(Selection::Filter(Box::new(filter)))
            }
            _ => Err(Failure::invalid(format!(
                "send either ids, 1 to {MOST_IDS}, or a filter with since"
            ))),
        }
    }

    /// Returns the other endpoint to send to.
    pub(crate) fn endpoint(&self) -> Result<Option<EndpointName>, Failure> {
        let name = given(self.endpoint.clone()).map(|name| EndpointName::parse(&name));
        let name = name.transpose();
        name.map_err(|error| Failure::invalid(format!("endpoint {error}")))
    }

    /// Returns the redeliveries per second.
    pub(crate) fn rate(&self) -> Result<NonZeroU32, Failure> {
        let rate = self.rate.unwrap_or(DEFAULT_RATE);
        let rate = NonZeroU32::new(rate).filter(|rate| rate.get() <= MOST_RATE);
        rate.ok_or_else(|| Failure::invalid(format!("rate must be from 1 to {MOST_RATE}")))
    }
}

impl Id {
    /// Returns the delivery; `None` for all deliveries of the event.
    pub(crate) fn target(self) -> Option<Target> {
        let (event_id, endpoint) = (self.event_id, self.endpoint?);
        Some(Target { event_id, endpoint })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let (event_id, endpoint) = match text.split_once('/') {
            Some((event_id, endpoint)) => (event_id, Some(EndpointName::parse(endpoint))),
            None => (text, None),
        };
        match (EventId::parse(event_id), endpoint.transpose()) {
            (Ok(event_id), Ok(endpoint)) => Ok(Self { event_id, endpoint }),
            _ => Err(Failure::invalid(
                "each of ids must be EVENT_ID/ENDPOINT or EVENT_ID",
            )),
        }
    }
}

impl Selection {
    /// Returns the text for the record of the action.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::Ids(ids) => {
                let ids = ids.iter().map(|id| match &id.endpoint {
                    Some(endpoint) => format!("{}/{endpoint}", id.event_id),
                    None => id.event_id.to_string(),
                });
                ids.collect::<Vec<_>>().join(" ")
            }
            Self::Filter(filter) => described(filter),
        }
    }
}

/// Returns the parts of a filter that are set, with the names of the API.
fn described(filter: &SearchFilter) -> String {
    let time = |time: Option<UnixMillis>| time.map(UnixMillis::to_iso8601);
    let parts = [
        (
            "status",
            filter.status.map(|status| status.as_str().to_owned()),
        ),
        ("event", filter.event.clone()),
        ("endpoint", filter.endpoint.clone()),
        ("source", filter.source.clone()),
        ("session", filter.session.clone()),
        ("chat", filter.chat.clone()),
        ("messageId", filter.message_id.clone()),
        ("eventId", filter.event_id.clone()),
        (
            "statusCode",
            filter.status_code.map(|code| code.to_string()),
        ),
        ("error", filter.error.clone()),
        ("since", time(filter.since)),
        ("until", time(filter.until)),
    ];
    let parts = parts.into_iter();
    let parts = parts.filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    parts.collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.event_id, self.endpoint)
    }
}

impl From<&FoundDelivery> for Target {
    fn from(found: &FoundDelivery) -> Self {
        Self {
            event_id: found.event_id.clone(),
            endpoint: found.endpoint.clone(),
        }
    }
}

/// Removes further deliveries of the same event, which all would go to one endpoint.
pub(crate) fn one_of_each_event(targets: &mut Vec<Target>) {
    let mut seen = BTreeSet::new();
    targets.retain(|target| seen.insert(target.event_id.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_000_000);

    fn order(json: &str) -> RedeliveryOrder {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn selection_is_ids_or_a_filter_with_a_time_range() {
        let ids = order(r#"{"ids":["e2/crm","e1","e2/crm"]}"#).selection(NOW);
        let ids = ids.unwrap();
        assert_eq!(ids.subject(), "e1 e2/crm");
        let filter = order(r#"{"filter":{"since":"1h","status":"failed"}}"#).selection(NOW);
        let Selection::Filter(filter) = filter.unwrap() else {
            panic!("not a filter");
        };
        assert_eq!(filter.until, Some(NOW));
        let subject = Selection::Filter(filter).subject();
        let expected =
            "status=failed since=1969-12-31T23:16:40.000Z until=1970-01-01T00:16:40.000Z";
        assert_eq!(subject, expected);
        for refused in [
            "{}",
            r#"{"ids":[]}"#,
            r#"{"ids":["e1"],"filter":{"since":"1h"}}"#,
            r#"{"filter":{}}"#,
            r#"{"ids":["e1/"]}"#,
            r#"{"ids":["e 1"]}"#,
        ] {
            assert!(order(refused).selection(NOW).is_err(), "{refused}");
        }
    }

    #[test]
    fn rate_is_50_by_default_and_bounded() {
        let rate = |json: &str| order(json).rate().map(NonZeroU32::get).ok();
        assert_eq!(rate("{}"), Some(50));
        assert_eq!(rate(r#"{"rate":1000}"#), Some(1000));
        assert_eq!(rate(r#"{"rate":0}"#).or(rate(r#"{"rate":1001}"#)), None);
    }

    #[test]
    fn event_goes_to_another_endpoint_once() {
        let target = |event_id: &str, endpoint: &str| Target {
            event_id: EventId::parse(event_id).unwrap(),
            endpoint: EndpointName::parse(endpoint).unwrap(),
        };
        let mut targets = vec![target("e1", "a"), target("e2", "a"), target("e1", "b")];
        one_of_each_event(&mut targets);
        assert_eq!(targets, [target("e1", "a"), target("e2", "a")]);
    }
}
