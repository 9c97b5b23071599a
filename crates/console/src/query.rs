//! Query of a search, as the page's URL, the API and bodies of actions have it (pure).

use std::{str::FromStr, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value, map::Entry};
use utoipa::{IntoParams, ToSchema};
use wahook_delivery_log::{Cursor, InvalidCursor, SearchFilter};
use wahook_domain::{Status, UnixMillis};
use wahook_runtime::Moment;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest time range of a search in error messages, which no index supports.
const LONGEST_FOR_ERROR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// Filter for deliveries; all parts that are given must match.
#[derive(Debug, Clone, Default, Deserialize, IntoParams, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// `success`, `failed` or `retrying`
    status: Option<String>,
    /// Name of the event
    event: Option<String>,
    /// Name of the endpoint
    endpoint: Option<String>,
    /// Source of the event
    source: Option<String>,
    session: Option<String>,
    chat: Option<String>,
    message_id: Option<String>,
    event_id: Option<String>,
    /// Status code of the last response
    #[param(value_type = Option<u16>, minimum = 0)]
    status_code: Option<String>,
    /// Part of the error message, within a time range of at most 7 days; by default the last 24
    /// hours
    error: Option<String>,
    /// Earliest time of acceptance: ISO 8601, or a time ago such as `24h`
    since: Option<String>,
    /// Time before which the event was accepted
    until: Option<String>,
}

/// Part of a list.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Deliveries in the answer, 1 to 200
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// `next` of the previous answer
    cursor: Option<String>,
}

/// Value of a query that is invalid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name} {problem}")]
pub(crate) struct InvalidQuery {
    name: String,
    problem: String,
}

impl InvalidQuery {
    fn new(name: &str, problem: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            problem: problem.into(),
        }
    }
}

/// Reads the query of a list: filter and page. Each name is known, and given once.
pub(crate) fn list_query(
    pairs: Vec<(String, String)>,
) -> Result<(DeliveryQuery, PageQuery), InvalidQuery> {
    let mut values = Map::new();
    for (name, value) in pairs {
        match values.entry(name) {
            Entry::Occupied(given) => return Err(InvalidQuery::new(given.key(), "is given twice")),
            Entry::Vacant(free) => {
                free.insert(value.into());
            }
        }
    }
    let mut take = |name| match values.remove(name) {
        Some(Value::String(value)) => Some(value),
        _ => None,
    };
    let (limit, cursor) = (take("limit"), take("cursor"));
    let filter = serde_json::from_value(values.into());
    let filter =
        filter.map_err(|error| InvalidQuery::new("the query", format!("has an {error}")))?;
    Ok((filter, PageQuery { limit, cursor }))
}

impl DeliveryQuery {
    pub(crate) fn filter(self, now: UnixMillis) -> Result<SearchFilter, InvalidQuery> {
        let status = match given(self.status) {
            None => None,
            Some(text) => Some(Status::parse(&text).ok_or_else(|| {
                InvalidQuery::new("status", "is not success, failed or retrying")
            })?),
        };
        let mut filter = SearchFilter {
            status,
            event: given(self.event),
            endpoint: given(self.endpoint),
            source: given(self.source),
            session: given(self.session),
            chat: given(self.chat),
            message_id: given(self.message_id),
            event_id: given(self.event_id),
            status_code: parsed("statusCode", self.status_code)?,
            error: given(self.error),
            since: moment("since", self.since, now)?,
            until: moment("until", self.until, now)?,
        };
        if filter.error.is_some() {
            let until = filter.until.unwrap_or(now);
            let since = *filter.since.get_or_insert(until.minus(DAY));
            if until.since(since) > LONGEST_FOR_ERROR {
                let problem = "needs a time range of at most 7 days: set since and until";
                return Err(InvalidQuery::new("error", problem));
            }
        }
        Ok(filter)
    }
}

impl PageQuery {
    /// Returns the position and the number of deliveries.
    pub(crate) fn read(self) -> Result<(Option<Cursor>, usize), InvalidQuery> {
        let limit = limit(self.limit)?;
        let cursor = given(self.cursor).map(|text| text.parse());
        let cursor = cursor.transpose();
        let invalid = |error: InvalidCursor| InvalidQuery::new("cursor", error.to_string());
        Ok((cursor.map_err(invalid)?, limit))
    }
}

/// Reads the number of entries in an answer.
pub(crate) fn limit(text: Option<String>) -> Result<usize, InvalidQuery> {
    let limit = parsed("limit", text)?.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    let problem = format!("is {limit}, but must be from 1 to {MAX_LIMIT}");
    Err(InvalidQuery::new("limit", problem))
}

/// Reads the time range of figures; by default the last 24 hours.
pub(crate) fn period(
    since: Option<String>,
    until: Option<String>,
    now: UnixMillis,
    longest: Duration,
) -> Result<(UnixMillis, UnixMillis), InvalidQuery> {
    let until = moment("until", until, now)?.unwrap_or(now);
    let since = moment("since", since, now)?.unwrap_or_else(|| until.minus(DAY));
    if since >= until || until.since(since) > longest {
        let days = longest.as_secs() / DAY.as_secs();
        let problem = format!("must be before until, by at most {days} days");
        return Err(InvalidQuery::new("since", problem));
    }
    Ok((since, until))
}

/// Reads a time, or a duration before `now`.
pub(crate) fn moment(
    name: &'static str,
    text: Option<String>,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, InvalidQuery> {
    let moment: Option<Moment> = parsed(name, text)?;
    Ok(moment.map(|moment| moment.before(now)))
}

/// Returns a value that is not empty; a form sends its empty fields too.
pub(crate) fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(
    name: &'static str,
    text: Option<String>,
) -> Result<Option<T>, InvalidQuery> {
    let value = given(text).map(|text| text.parse());
    value
        .transpose()
        .map_err(|error| InvalidQuery::new(name, format!("is invalid: {error}")))
}

#[cfg(test)]
mod tests;
