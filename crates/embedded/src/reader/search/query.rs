//! Conditions and order of a search, and the index that it reads.

use rusqlite::types::Value;
use wahook_delivery_log::{Cursor, SearchFilter};
use wahook_domain::Status;

/// Returns the clauses after the table's name, and their values.
pub(super) fn wanted(filter: &SearchFilter, cursor: Option<&Cursor>) -> (String, Vec<Value>) {
    let lead = Lead::of(filter);
    let mut conditions = Conditions::default();
    if let Some(id) = &filter.event_id {
        // The keys of an event start with its id and a `/`; `0` is the character after it.
        let range = [format!("{id}/").into(), format!("{id}0").into()];
        conditions.add("_id >= ? AND _id < ?", range);
    }
    if let Some(status) = filter.status {
        let own = lead.unless(Lead::Status);
        let value = Value::from(status.as_str().to_owned());
        conditions.add(format!("{own}status = ?"), [value]);
    }
    if let Some(event) = &filter.event {
        let own = lead.unless(Lead::Event);
        conditions.add(format!("{own}event = ?"), [event.clone().into()]);
    }
    for (condition, text) in [
        ("endpoint = ?", &filter.endpoint),
        ("source = ?", &filter.source),
        ("session = ?", &filter.session),
        ("chat = ?", &filter.chat),
        ("messageId = ?", &filter.message_id),
        // The index has the status, but not the message.
        (
            "+status <> 'success' AND instr(errorMessage, ?) > 0",
            &filter.error,
        ),
    ] {
        if let Some(text) = text {
            conditions.add(condition, [text.clone().into()]);
        }
    }
    if let Some(code) = filter.status_code {
        conditions.add("statusCode = ?", [i64::from(code).into()]);
    }
    let time = if lead == Lead::Key {
        "+createdAt"
    } else {
        "createdAt"
    };
    limit_time(&mut conditions, time, filter, cursor);
    let wanted = if conditions.texts.is_empty() {
        "true".to_owned()
    } else {
        conditions.texts.join(" AND ")
    };
    let clauses = format!("WHERE {wanted} ORDER BY {time} DESC, _id DESC");
    (clauses, conditions.values)
}

/// Adds the bounds of the time, with one upper bound only: SQLite starts at the first that it
/// finds.
fn limit_time(
    conditions: &mut Conditions,
    time: &str,
    filter: &SearchFilter,
    cursor: Option<&Cursor>,
) {
    if let Some(since) = filter.since {
        conditions.add(format!("{time} >= ?"), [since.get().into()]);
    }
    let cursor = cursor.filter(|cursor| filter.until.is_none_or(|until| cursor.created_at < until));
    match (cursor, filter.until) {
        (Some(cursor), _) => {
            let position = [cursor.created_at.get().into(), cursor.key.clone().into()];
            conditions.add(format!("({time}, _id) < (?, ?)"), position);
        }
        (None, Some(until)) => conditions.add(format!("{time} < ?"), [until.get().into()]),
        (None, None) => {}
    }
}

/// Conditions of a query, with their values.
#[derive(Debug, Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, text: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.texts.push(text.into());
        self.values.extend(values);
    }
}

/// Index that a search reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Keys: the few records of an event.
    Key,
    /// Status and time: of failed and pending deliveries, which are few, and of all with a
    /// status if nothing else is wanted.
    Status,
    /// Name of the event and time, if nothing else is wanted.
    Event,
    /// Time. This index has all other fields too, so only rows that match are read.
    Time,
}

impl Lead {
    fn of(filter: &SearchFilter) -> Self {
        let others = SearchFilter {
            status: None,
            event: None,
            since: None,
            until: None,
            ..filter.clone()
        };
        let is_plain = others == SearchFilter::default();
        match (filter.status, &filter.event) {
            _ if filter.event_id.is_some() => Self::Key,
            (Some(Status::Failed | Status::Retrying), _) => Self::Status,
            (Some(Status::Success), None) if is_plain => Self::Status,
            (None, Some(_)) if is_plain => Self::Event,
            _ => Self::Time,
        }
    }

    /// Returns a prefix that keeps SQLite from using another index on a column than this.
    fn unless(self, other: Self) -> &'static str {
        if self == other { "" } else { "+" }
    }
}
