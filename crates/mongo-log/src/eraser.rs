//! Erasure of a person's data in the collection `webhooklogs`.

use mongodb::{
    Collection,
    bson::{Bson, Document, doc},
};
use wahook_delivery_log::{ChatRecords, LogEraser, LogFuture};
use wahook_domain::redaction::REDACTED;

use crate::{
    MongoLog,
    connection::{COLLECTION, within_limit},
    operator_state::read_all,
};

/// Records in one update.
const BATCH: i64 = 500;

impl LogEraser for MongoLog {
    fn count<'a>(&'a self, chats: &'a [String]) -> LogFuture<'a, ChatRecords> {
        Box::pin(async move {
            let records = self.erasable();
            let all = doc! { "chat": { "$in": chats } };
            let mut retrying = all.clone();
            retrying.insert("status", "retrying");
            Ok(ChatRecords {
                records: within_limit(records.count_documents(all)).await?,
                retrying: within_limit(records.count_documents(retrying)).await?,
            })
        })
    }

    fn erase<'a>(&'a self, chats: &'a [String]) -> LogFuture<'a, u64> {
        Box::pin(async move {
            let records = self.erasable();
            let found = records
                .find(doc! { "chat": { "$in": chats }, "attempts": { "$type": "array" } })
                .projection(doc! { "_id": 1 })
                .limit(BATCH);
            let keys = read_all(within_limit(found).await?, |stored| {
                stored.get("_id").cloned()
            });
            let keys = keys.await?;
            let erased = records.update_many(doc! { "_id": { "$in": keys } }, erasure());
            Ok(within_limit(erased).await?.matched_count)
        })
    }
}

impl MongoLog {
    fn erasable(&self) -> Collection<Document> {
        self.durable(COLLECTION)
    }
}

/// Returns the update of an erased record. Chat and message become null: results that arrive
/// later fill in what is missing.
fn erasure() -> Document {
    doc! {
        "$set": {
            "payload": { "erased": REDACTED },
            "chat": Bson::Null,
            "messageId": Bson::Null,
        },
        "$unset": { "attempts.$[].response": "", "payloadAltered": "" },
    }
}
