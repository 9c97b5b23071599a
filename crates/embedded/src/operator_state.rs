//! State of operators in the data file, which several processes read and write.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use wahook_delivery_log::LogFuture;
use wahook_domain::{EndpointName, EventId, UnixMillis};
use wahook_operator_state::{
    Action, EndpointState, OperatorState, Order, Pause, PauseReason, Request,
};

use crate::{error::OpenError, shared_connection::SharedConnection};

const SELECT: &str = "SELECT _id, pausedBy, pausedAt, pauseReason, probes FROM wahookendpoints";

/// State of operators in the tables `wahookendpoints`, `wahookgiveups` and `wahookactions`, next
/// to the process that has the file open.
#[derive(Clone)]
pub struct EmbeddedOperatorState {
    pub(crate) db: SharedConnection,
}

impl EmbeddedOperatorState {
    /// Opens the file.
    ///
    /// # Errors
    /// If the file does not exist, was not written by wahook, or is in use by an older wahook.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let db = SharedConnection::open(path)?;
        Ok(Self { db })
    }
}

impl OperatorState for EmbeddedOperatorState {
    fn endpoints(&self) -> LogFuture<'_, Vec<EndpointState>> {
        self.db.run(|db| endpoints(db))
    }

    fn order<'a>(&'a self, order: &'a Order) -> LogFuture<'a, EndpointState> {
        let order = order.clone();
        self.db.run(move |db| apply(db, &order))
    }

    fn record<'a>(&'a self, action: &'a Action) -> LogFuture<'a, ()> {
        let action = action.clone();
        self.db.run(move |db| insert(db, &action))
    }

    fn actions(&self, limit: u32) -> LogFuture<'_, Vec<Action>> {
        self.db.run(move |db| actions(db, limit))
    }
}

fn endpoints(db: &Connection) -> rusqlite::Result<Vec<EndpointState>> {
    let mut statement = db.prepare_cached(SELECT)?;
    let states = statement.query_map([], state)?;
    // A name of another form belongs to no endpoint.
    let states = states.filter_map(Result::transpose);
    let with_give_ups = states.map(|state| {
        let state = state?;
        let give_ups = give_ups(db, &state.endpoint)?;
        Ok(EndpointState { give_ups, ..state })
    });
    with_give_ups.collect()
}

/// Returns the events of an endpoint that were given up, each with its operator.
fn give_ups(
    db: &Connection,
    endpoint: &EndpointName,
) -> rusqlite::Result<BTreeMap<EventId, String>> {
    let mut statement =
        db.prepare_cached("SELECT event, givenUpBy FROM wahookgiveups WHERE endpoint = ?")?;
    let rows = statement.query_map([endpoint.as_str()], |row| {
        let event: String = row.get(0)?;
        Ok((EventId::parse(&event).ok(), row.get(1)?))
    })?;
    // An id of another form belongs to no event.
    let known = |row: rusqlite::Result<(Option<EventId>, String)>| match row {
        Ok((event, by)) => Some(Ok((event?, by))),
        Err(error) => Some(Err(error)),
    };
    rows.filter_map(known).collect()
}

fn change_give_ups(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    let endpoint = order.endpoint.as_str();
    match &order.request {
        Request::GiveUp { event } => db.execute(
            "INSERT OR REPLACE INTO wahookgiveups (endpoint, event, givenUpBy) VALUES (?, ?, ?)",
            [endpoint, event.as_str(), &order.by],
        ),
        Request::ForgetGiveUp { event } => db.execute(
            "DELETE FROM wahookgiveups WHERE endpoint = ? AND event = ?",
            [endpoint, event.as_str()],
        ),
        Request::Pause { .. } | Request::Resume | Request::Probe => return Ok(()),
    }
    .map(drop)
}

/// Records the order and changes the state of its endpoint in one transaction.
fn apply(db: &mut Connection, order: &Order) -> rusqlite::Result<EndpointState> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let name = order.endpoint.as_str();
    let by_name = format!("{SELECT} WHERE _id = ?");
    let before = transaction.query_row(&by_name, [name], state).optional()?;
    let before = before.flatten();
    let before = before.unwrap_or_else(|| EndpointState::initial(order.endpoint.clone()));
    let give_ups = give_ups(&transaction, &order.endpoint)?;
    let before = EndpointState { give_ups, ..before };
    let after = order.applied_to(before);
    let pause = after.pause.as_ref();
    transaction.execute(
        "INSERT OR REPLACE INTO wahookendpoints (_id, pausedBy, pausedAt, pauseReason, probes) \
         VALUES (?, ?, ?, ?, ?)",
        params![
            name,
            pause.map(|pause| pause.by.as_str()),
            pause.map(|pause| pause.since.get()),
            pause
                .and_then(|pause| pause.reason.as_ref())
                .map(PauseReason::as_str),
            i64::try_from(after.probes).unwrap_or(i64::MAX),
        ],
    )?;
    change_give_ups(&transaction, order)?;
    if let Some(action) = order.action() {
        insert(&transaction, &action)?;
    }
    transaction.commit()?;
    Ok(after)
}

/// Reads a state without its give-ups; `None` if the name is not that of an endpoint.
fn state(row: &Row<'_>) -> rusqlite::Result<Option<EndpointState>> {
    let name: String = row.get(0)?;
    let Ok(endpoint) = EndpointName::parse(&name) else {
        return Ok(None);
    };
    let (by, since): (Option<String>, Option<i64>) = (row.get(1)?, row.get(2)?);
    let reason: Option<String> = row.get(3)?;
    let pause = since.map(|since| Pause {
        by: by.unwrap_or_default(),
        since: UnixMillis::new(since),
        reason: reason.and_then(|text| PauseReason::parse(&text).ok()),
    });
    let probes: i64 = row.get(4)?;
    Ok(Some(EndpointState {
        endpoint,
        pause,
        probes: u64::try_from(probes).unwrap_or_default(),
        give_ups: BTreeMap::new(),
    }))
}

fn insert(db: &Connection, action: &Action) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO wahookactions (at, who, action, subject, count) VALUES (?, ?, ?, ?, ?)",
        params![
            action.at.get(),
            action.who,
            action.action,
            action.subject,
            i64::try_from(action.count).unwrap_or(i64::MAX),
        ],
    )
    .map(drop)
}

fn actions(db: &Connection, limit: u32) -> rusqlite::Result<Vec<Action>> {
    let mut statement = db.prepare_cached(
        "SELECT at, who, action, subject, count FROM wahookactions ORDER BY seq DESC LIMIT ?",
    )?;
    let actions = statement.query_map([limit], |row| {
        let count: i64 = row.get(4)?;
        Ok(Action {
            at: UnixMillis::new(row.get(0)?),
            who: row.get(1)?,
            action: row.get(2)?,
            subject: row.get(3)?,
            count: u64::try_from(count).unwrap_or_default(),
        })
    })?;
    actions.collect()
}
