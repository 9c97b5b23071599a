//! Pauses by circuit breakers in the collection `wahookcircuits`, a document for each consumer.
//!
//! Validity is compared with the clock of the server, because consumers and consoles run on
//! several machines.

use mongodb::bson::{Bson, Document, doc};
use wahook_delivery_log::LogFuture;
use wahook_domain::EndpointName;
use wahook_operator_state::{CircuitPause, CircuitReport, CircuitReports};

use crate::{
    MongoLog,
    connection::within_limit,
    operator_state::{date, moment, read_all, text},
};

const CIRCUITS: &str = "wahookcircuits";

impl CircuitReports for MongoLog {
    fn report<'a>(&'a self, report: &'a CircuitReport) -> LogFuture<'a, ()> {
        Box::pin(async move {
            let circuits = self.durable(CIRCUITS);
            let own = doc! { "_id": &report.consumer };
            if report.pauses.is_empty() {
                let invalid = doc! { "$expr": { "$lt": ["$validUntil", "$$NOW"] } };
                let ended = doc! { "$or": [own, invalid] };
                return within_limit(circuits.delete_many(ended)).await.map(drop);
            }
            let pauses: Vec<_> = report.pauses.iter().map(document).collect();
            let valid_for = i64::try_from(report.valid_for.as_millis()).unwrap_or(i64::MAX);
            let set = doc! {
                "pauses": { "$literal": pauses },
                "validUntil": { "$add": ["$$NOW", valid_for] },
            };
            let stored = circuits
                .update_one(own, vec![doc! { "$set": set }])
                .upsert(true);
            within_limit(stored).await.map(drop)
        })
    }

    fn pauses(&self) -> LogFuture<'_, Vec<CircuitPause>> {
        Box::pin(async {
            let valid = doc! { "$expr": { "$gte": ["$validUntil", "$$NOW"] } };
            let circuits = self.durable(CIRCUITS);
            let found = within_limit(circuits.find(valid)).await?;
            let reports = read_all(found, |stored| Some(pauses(stored))).await?;
            Ok(reports.into_iter().flatten().collect())
        })
    }
}

fn document(pause: &CircuitPause) -> Document {
    doc! {
        "endpoint": pause.endpoint.as_str(),
        "since": date(pause.since),
        "nextProbeAt": date(pause.next_probe),
        "reason": &pause.reason,
    }
}

fn pauses(stored: &Document) -> Vec<CircuitPause> {
    let pauses = stored.get_array("pauses").into_iter().flatten();
    let pauses = pauses.filter_map(Bson::as_document);
    pauses.filter_map(pause).collect()
}

/// Reads a pause; `None` if the document is none.
fn pause(stored: &Document) -> Option<CircuitPause> {
    Some(CircuitPause {
        endpoint: EndpointName::parse(stored.get_str("endpoint").ok()?).ok()?,
        since: moment(stored.get_datetime("since").ok()?),
        next_probe: moment(stored.get_datetime("nextProbeAt").ok()?),
        reason: text(stored, "reason"),
    })
}
