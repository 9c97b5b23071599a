//! State of operators in the collections `wahookendpoints` and `wahookactions`.

use std::collections::BTreeMap;

use mongodb::{
    Collection, Cursor,
    bson::{Bson, DateTime, Document, doc},
    options::{
        Acknowledgment, CollectionOptions, ReadConcern, ReadPreference, ReturnDocument,
        SelectionCriteria, UpdateModifications, WriteConcern,
    },
};
use wahook_delivery_log::{LogFuture, LogUnavailable};
use wahook_domain::{EndpointName, EventId, UnixMillis};
use wahook_operator_state::{
    Action, EndpointState, OperatorState, Order, Pause, PauseReason, Request,
};

use crate::{
    MongoLog,
    connection::{ANSWER_LIMIT, unavailable, within_limit},
};

const ENDPOINTS: &str = "wahookendpoints";
const ACTIONS: &str = "wahookactions";

impl OperatorState for MongoLog {
    fn endpoints(&self) -> LogFuture<'_, Vec<EndpointState>> {
        Box::pin(async {
            let states = self.durable(ENDPOINTS);
            read_all(within_limit(states.find(doc! {})).await?, state).await
        })
    }

    fn order<'a>(&'a self, order: &'a Order) -> LogFuture<'a, EndpointState> {
        Box::pin(async {
            // First, so that no order is in effect without its record.
            if let Some(action) = order.action() {
                self.insert(&action).await?;
            }
            let name = order.endpoint.as_str();
            let states = self.durable(ENDPOINTS);
            let change = states
                .find_one_and_update(doc! { "_id": name }, modification(order))
                .upsert(true)
                .return_document(ReturnDocument::After);
            let stored = within_limit(change).await?;
            let state = stored.as_ref().and_then(state);
            state.ok_or_else(|| LogUnavailable::Unconfirmed(format!("no state of endpoint {name}")))
        })
    }

    fn record<'a>(&'a self, action: &'a Action) -> LogFuture<'a, ()> {
        Box::pin(self.insert(action))
    }

    fn actions(&self, limit: u32) -> LogFuture<'_, Vec<Action>> {
        Box::pin(async move {
            let actions = self.durable(ACTIONS);
            let newest = actions
                .find(doc! {})
                .sort(doc! { "_id": -1 })
                .limit(limit.into());
            read_all(within_limit(newest).await?, action).await
        })
    }
}

impl MongoLog {
    async fn insert(&self, action: &Action) -> Result<(), LogUnavailable> {
        let document = doc! {
            "at": date(action.at),
            "who": &action.who,
            "action": &action.action,
            "subject": &action.subject,
            "count": i64::try_from(action.count).unwrap_or(i64::MAX),
        };
        let actions = self.durable(ACTIONS);
        within_limit(actions.insert_one(document)).await.map(drop)
    }

    /// Returns a collection whose writes are in the journals of a majority, and whose reads are
    /// of such writes. Overrides the URI.
    pub(crate) fn durable(&self, name: &str) -> Collection<Document> {
        let journaled = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .w_timeout(ANSWER_LIMIT)
            .build();
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .write_concern(journaled)
            .build();
        self.database.collection_with_options(name, options)
    }
}

/// Reads all documents of a query, except those of another form.
pub(crate) async fn read_all<T>(
    mut cursor: Cursor<Document>,
    read: fn(&Document) -> Option<T>,
) -> Result<Vec<T>, LogUnavailable> {
    let mut found = Vec::new();
    while within_limit(cursor.advance()).await? {
        let stored = cursor.deserialize_current().map_err(unavailable)?;
        found.extend(read(&stored));
    }
    Ok(found)
}

/// Returns the update of a state; the server evaluates it, so orders of several operators at
/// the same time are all in effect.
fn modification(order: &Order) -> UpdateModifications {
    let literal = |text: &str| doc! { "$literal": text };
    match &order.request {
        Request::Pause { reason } => {
            let reason = match reason {
                Some(reason) => Bson::Document(literal(reason.as_str())),
                None => Bson::Null,
            };
            let set = doc! {
                "pausedAt": { "$ifNull": ["$pausedAt", date(order.at)] },
                "pausedBy": literal(&order.by),
                "pauseReason": reason,
            };
            vec![doc! { "$set": set }].into()
        }
        Request::Resume => {
            let pause = doc! { "pausedAt": "", "pausedBy": "", "pauseReason": "" };
            doc! { "$unset": pause }.into()
        }
        Request::Probe => doc! { "$inc": { "probes": 1_i64 } }.into(),
        Request::GiveUp { event } => {
            let event = literal(event.as_str());
            let others = doc! { "$filter": {
                "input": { "$ifNull": ["$giveUps", []] },
                "as": "known",
                "cond": { "$ne": ["$$known.event", &event] },
            } };
            let added = doc! { "event": event, "by": literal(&order.by) };
            let give_ups = doc! { "$concatArrays": [others, [added]] };
            vec![doc! { "$set": { "giveUps": give_ups } }].into()
        }
        Request::ForgetGiveUp { event } => {
            doc! { "$pull": { "giveUps": { "event": event.as_str() } } }.into()
        }
    }
}

/// Reads a state; `None` if the document is not that of an endpoint.
fn state(stored: &Document) -> Option<EndpointState> {
    let name = stored.get_str("_id").ok()?;
    let pause = stored.get_datetime("pausedAt").ok().map(|since| Pause {
        by: text(stored, "pausedBy"),
        since: moment(since),
        reason: PauseReason::parse(&text(stored, "pauseReason")).ok(),
    });
    Some(EndpointState {
        endpoint: EndpointName::parse(name).ok()?,
        pause,
        probes: number(stored, "probes"),
        give_ups: give_ups(stored),
    })
}

/// Reads the events that were given up, each with its operator.
fn give_ups(stored: &Document) -> BTreeMap<EventId, String> {
    let Ok(given_up) = stored.get_array("giveUps") else {
        return BTreeMap::new();
    };
    let given_up = given_up.iter().filter_map(Bson::as_document);
    let given_up = given_up.filter_map(|one| {
        let event = one.get_str("event").ok()?;
        Some((EventId::parse(event).ok()?, text(one, "by")))
    });
    given_up.collect()
}

/// Reads a record of an action; `None` if the document is none.
fn action(stored: &Document) -> Option<Action> {
    Some(Action {
        at: moment(stored.get_datetime("at").ok()?),
        who: text(stored, "who"),
        action: text(stored, "action"),
        subject: text(stored, "subject"),
        count: number(stored, "count"),
    })
}

pub(crate) fn date(moment: UnixMillis) -> DateTime {
    DateTime::from_millis(moment.get())
}

pub(crate) fn moment(date: &DateTime) -> UnixMillis {
    UnixMillis::new(date.timestamp_millis())
}

pub(crate) fn text(stored: &Document, name: &str) -> String {
    stored.get_str(name).unwrap_or_default().to_owned()
}

pub(crate) fn number(stored: &Document, name: &str) -> u64 {
    let number = stored.get_i64(name).unwrap_or_default();
    u64::try_from(number).unwrap_or_default()
}
