//! Erasure of a person's data in the collection `webhooklogs`.

use mongodb::{
    Collection,
    bson::{Bson, Document, Regex, doc},
};
use wahook_delivery_log::{ChatRecords, Chats, Devices, LogEraser, LogFuture};
use wahook_domain::{Status, redaction::REDACTED};

use crate::{
    MongoLog,
    connection::{COLLECTION, within_limit},
    operator_state::read_all,
};

/// Records in one update.
const BATCH: i64 = 500;

/// Status of a delivery that is not concluded.
const RETRYING: &str = Status::Retrying.as_str();

impl LogEraser for MongoLog {
    fn count<'a>(&'a self, chats: &'a Chats) -> LogFuture<'a, ChatRecords> {
        Box::pin(async move {
            let records = self.erasable();
            let mut retrying = condition(chats);
            retrying.insert("status", RETRYING);
            let concluded = records.count_documents(concluded(chats));
            Ok(ChatRecords {
                concluded: within_limit(concluded).await?,
                retrying: within_limit(records.count_documents(retrying)).await?,
            })
        })
    }

    fn erase<'a>(&'a self, chats: &'a Chats) -> LogFuture<'a, u64> {
        Box::pin(async move {
            let records = self.erasable();
            let found = records
                .find(concluded(chats))
                .projection(doc! { "_id": 1 })
                .limit(BATCH);
            let keys = read_all(within_limit(found).await?, |stored| {
                stored.get("_id").cloned()
            });
            let keys = keys.await?;
            // A redelivery may have begun since.
            let still = doc! { "_id": { "$in": keys }, "status": { "$ne": RETRYING } };
            let erased = records.update_many(still, erasure());
            Ok(within_limit(erased).await?.matched_count)
        })
    }
}

/// Returns the condition of the records of chats.
fn condition(chats: &Chats) -> Document {
    let ids = chats.ids.iter().cloned().map(Bson::from);
    let devices = chats.devices.iter().filter_map(pattern).map(Bson::from);
    doc! { "chat": { "$in": ids.chain(devices).collect::<Vec<_>>() } }
}

/// Returns the condition of those records of chats that can be erased.
fn concluded(chats: &Chats) -> Document {
    let mut condition = condition(chats);
    condition.insert("status", doc! { "$ne": RETRYING });
    condition.insert("attempts", doc! { "$type": "array" });
    condition
}

/// Returns the pattern of the ids of devices. Its fixed prefix uses the index.
fn pattern(Devices { user, server }: &Devices) -> Option<Regex> {
    let [user, server] = [user, server].map(|text| text.replace('.', r"\."));
    let pattern = format!(r"^{user}(\.[0-9]+)?(:.*)?@{server}$");
    Some(Regex {
        pattern: pattern.try_into().ok()?,
        options: String::new().try_into().ok()?,
    })
}

impl MongoLog {
    fn erasable(&self) -> Collection<Document> {
        self.durable(COLLECTION)
    }
}

/// Returns the update of an erased record. Chat, message and body become null: results that
/// arrive later fill in what is missing.
fn erasure() -> Document {
    doc! {
        "$set": {
            "payload": { "erased": REDACTED },
            "chat": Bson::Null,
            "messageId": Bson::Null,
            "sent": Bson::Null,
        },
        "$unset": { "attempts.$[].response": "", "payloadAltered": "" },
    }
}
