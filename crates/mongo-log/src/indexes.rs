//! Creates the indexes for queries of users and of the console, and for the retention of
//! records.
//!
//! Records expire by an ascending index of their own. By a descending one, a removal costs more
//! the more records were removed in the last minutes, probably because the server reads their
//! entries again.

use std::time::Duration;

use mongodb::{
    bson::{Bson, Document, doc},
    error::{Error as ServerError, ErrorKind},
};
use wahook_delivery_log::LogUnavailable;

use crate::{
    MongoLog,
    connection::{COLLECTION, unavailable},
};

const DAY_SECONDS: i64 = 24 * 60 * 60;

// MongoDB error codes.
const UNAUTHORIZED: i32 = 13;
const NAMESPACE_NOT_FOUND: i32 = 26;
const INDEX_NOT_FOUND: i32 = 27;
const INVALID_OPTIONS: i32 = 72;

impl MongoLog {
    /// Creates the missing indexes, and makes the server delete records
    /// `retention_days` after their event was accepted; `None` and 0 keep them
    /// indefinitely. The setting may change from one start to the next.
    ///
    /// Takes minutes on a large collection without these indexes; deliveries need not
    /// wait for it. Several programs may call it at the same time.
    ///
    /// # Errors
    /// If the server is unavailable or rejects a command. Safe to repeat.
    pub(crate) async fn prepare(&self, retention_days: Option<u32>) -> Result<(), LogUnavailable> {
        // Detects an unavailable server within the time limit of a ping.
        self.ping().await?;
        let lifetime = retention_days.filter(|days| *days > 0).map(seconds);
        let existing = self.existing_indexes().await.map_err(unavailable)?;
        for step in plan(&existing, lifetime) {
            self.execute(step).await.map_err(unavailable)?;
        }
        Ok(())
    }

    /// Returns the retention of records, counted from the acceptance of their event;
    /// `None` if they are kept indefinitely.
    ///
    /// # Errors
    /// If the server is unavailable.
    pub(crate) async fn lifetime(&self) -> Result<Option<Duration>, LogUnavailable> {
        self.ping().await?;
        let indexes = self.existing_indexes().await.map_err(unavailable)?;
        let lifetimes = indexes.iter().filter(|index| index.is_by_age());
        // Until a program of this version has started, the descending index has the lifetime.
        let shortest = lifetimes.filter_map(|index| index.lifetime).min();
        let seconds = shortest.and_then(|seconds| u64::try_from(seconds).ok());
        Ok(seconds.map(Duration::from_secs))
    }

    async fn existing_indexes(&self) -> Result<Vec<Index>, ServerError> {
        let list = doc! { "listIndexes": COLLECTION };
        let mut cursor = match self.database.run_cursor_command(list).await {
            Err(error) if has_code(&error, NAMESPACE_NOT_FOUND) => return Ok(Vec::new()),
            cursor => cursor?,
        };
        let mut indexes = Vec::new();
        while cursor.advance().await? {
            indexes.extend(Index::read(&cursor.deserialize_current()?));
        }
        Ok(indexes)
    }

    async fn execute(&self, step: Step) -> Result<(), ServerError> {
        let run = |command: Document| self.database.run_command(command);
        let outcome = match &step {
            Step::Create(index) => run(index.creation()).await,
            Step::Drop(name) => run(removal(name)).await,
            Step::Expire { name, lifetime } => {
                run(doc! {
                    "collMod": COLLECTION,
                    "index": { "name": name, "expireAfterSeconds": lifetime },
                })
                .await
            }
        };
        // Before MongoDB 5.1, a lifetime can be changed but not added. The role `readWrite`
        // does not permit `collMod`.
        let is_refused =
            |error: &ServerError| has_code(error, INVALID_OPTIONS) || has_code(error, UNAUTHORIZED);
        match (outcome, step) {
            // Another program dropped the index first.
            (Err(error), _) if has_code(&error, INDEX_NOT_FOUND) => Ok(()),
            (Err(error), Step::Expire { name, lifetime }) if is_refused(&error) => {
                run(removal(&name)).await?;
                run(Index::expiry(lifetime).creation()).await?;
                Ok(())
            }
            (outcome, _) => outcome.map(drop),
        }
    }
}

/// Index of the collection.
#[derive(Debug, Clone, PartialEq)]
struct Index {
    name: String,
    /// Fields and directions; their order matters.
    key: Vec<(String, i32)>,
    /// Seconds until a record expires; `None` if records do not expire.
    lifetime: Option<i64>,
    /// Only records that have the first field are in the index.
    is_partial: bool,
}

#[derive(Debug, PartialEq)]
enum Step {
    Create(Index),
    Drop(String),
    Expire { name: String, lifetime: i64 },
}

/// Returns the steps from the existing to the required indexes.
fn plan(existing: &[Index], lifetime: Option<i64>) -> Vec<Step> {
    let mut steps = Vec::new();
    let expires = |index: &&Index| index.key == ascending() && index.lifetime.is_some();
    if lifetime.is_none() {
        let unneeded = existing.iter().filter(expires);
        steps.extend(unneeded.map(|index| Step::Drop(index.name.clone())));
    }
    for required in Index::required(lifetime) {
        let found = existing.iter().find(|index| index.key == required.key);
        match (found, required.lifetime) {
            (None, _) => steps.push(Step::Create(required)),
            (Some(found), lifetime) if found.lifetime == lifetime => {}
            (Some(found), Some(lifetime)) => steps.push(Step::Expire {
                name: found.name.clone(),
                lifetime,
            }),
            // A lifetime can be changed in place, but not removed. Earlier versions gave one to the
            // descending index.
            (Some(found), None) => {
                steps.push(Step::Drop(found.name.clone()));
                steps.push(Step::Create(required));
            }
        }
    }
    steps
}

impl Index {
    /// Returns the required indexes. That of the retention is first, so that records expire while
    /// others are built.
    fn required(lifetime: Option<i64>) -> Vec<Self> {
        let by = |field: &str, is_partial| Self {
            name: format!("{field}_1_createdAt_-1"),
            key: vec![(field.to_owned(), 1), ("createdAt".to_owned(), -1)],
            lifetime: None,
            is_partial,
        };
        let mut required: Vec<_> = lifetime.map(Self::expiry).into_iter().collect();
        required.extend([
            Self::newest_first(),
            by("status", false),
            by("event", false),
            by("chat", true),
            by("messageId", true),
        ]);
        required
    }

    fn newest_first() -> Self {
        Self {
            name: "createdAt_-1".to_owned(),
            key: vec![("createdAt".to_owned(), -1)],
            lifetime: None,
            is_partial: false,
        }
    }

    fn expiry(lifetime: i64) -> Self {
        Self {
            name: "createdAt_1".to_owned(),
            key: ascending(),
            lifetime: Some(lifetime),
            is_partial: false,
        }
    }

    /// Returns true if the server may remove records by this index.
    fn is_by_age(&self) -> bool {
        matches!(self.key.as_slice(), [(field, _)] if field == "createdAt")
    }

    /// Returns `None` for an index with a direction that is not an integer, such as `text`.
    fn read(stored: &Document) -> Option<Self> {
        let key = stored.get_document("key").ok()?.iter();
        let key = key.map(|(field, direction)| {
            let direction = integer(direction).and_then(|sign| i32::try_from(sign).ok());
            direction.map(|direction| (field.clone(), direction))
        });
        Some(Self {
            name: stored.get_str("name").ok()?.to_owned(),
            key: key.collect::<Option<_>>()?,
            lifetime: stored.get("expireAfterSeconds").and_then(integer),
            is_partial: stored.contains_key("partialFilterExpression"),
        })
    }

    fn creation(&self) -> Document {
        let fields = self.key.iter().cloned();
        let key: Document = fields
            .map(|(field, direction)| (field, direction.into()))
            .collect();
        let mut index = doc! { "key": key, "name": &self.name };
        if let Some(lifetime) = self.lifetime {
            index.insert("expireAfterSeconds", lifetime);
        }
        if let Some((field, _)) = self.key.first().filter(|_| self.is_partial) {
            index.insert(
                "partialFilterExpression",
                doc! { field: { "$exists": true } },
            );
        }
        doc! {
            "createIndexes": COLLECTION,
            "indexes": [index],
            "writeConcern": { "w": "majority" },
        }
    }
}

/// Returns the key of the index by which records expire.
fn ascending() -> Vec<(String, i32)> {
    vec![("createdAt".to_owned(), 1)]
}

fn removal(name: &str) -> Document {
    doc! { "dropIndexes": COLLECTION, "index": name }
}

/// Converts days to seconds, at most 2^31 - 1 (68 years), the server's limit.
fn seconds(days: u32) -> i64 {
    (i64::from(days) * DAY_SECONDS).min(i32::MAX.into())
}

/// Reads a whole number; shells and drivers write it in one of three types.
#[expect(clippy::cast_possible_truncation, reason = "the fraction is checked")]
fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(value) => Some((*value).into()),
        Bson::Int64(value) => Some(*value),
        Bson::Double(value) if value.fract() == 0.0 => Some(*value as i64),
        _ => None,
    }
}

fn has_code(error: &ServerError, code: i32) -> bool {
    matches!(&*error.kind, ErrorKind::Command(error) if error.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, index: Index) -> Index {
        Index {
            name: name.to_owned(),
            ..index
        }
    }

    #[test]
    fn empty_collection_gets_all_indexes_and_a_second_start_none() {
        for lifetime in [None, Some(DAY_SECONDS)] {
            let required = Index::required(lifetime);
            let create: Vec<_> = required.iter().cloned().map(Step::Create).collect();
            assert_eq!(plan(&[], lifetime), create);
            assert_eq!(plan(&required, lifetime), []);
        }
    }

    #[test]
    fn lifetime_of_the_ascending_index_follows_the_setting() {
        let with = |lifetime| {
            let required = Index::required(lifetime).into_iter();
            let renamed = required.map(|index| named("users_index", index));
            renamed.collect::<Vec<_>>()
        };
        let expire = |lifetime| Step::Expire {
            name: "users_index".to_owned(),
            lifetime,
        };
        let create = Step::Create(Index::expiry(60));
        assert_eq!(plan(&with(None), Some(60)), [create]);
        assert_eq!(plan(&with(Some(60)), Some(120)), [expire(120)]);
        let drop = Step::Drop("users_index".to_owned());
        assert_eq!(plan(&with(Some(60)), None), [drop]);
    }

    #[test]
    fn lifetime_of_an_earlier_version_moves_to_the_ascending_index() {
        let mut earlier = Index::required(None);
        earlier[0].lifetime = Some(60);
        let without = [
            Step::Drop("createdAt_-1".to_owned()),
            Step::Create(Index::newest_first()),
        ];
        assert_eq!(plan(&earlier, None), without);
        let mut moved = vec![Step::Create(Index::expiry(60))];
        moved.extend(without);
        assert_eq!(plan(&earlier, Some(60)), moved);
    }

    #[test]
    fn ascending_index_of_users_gets_the_lifetime_and_is_kept_without_one() {
        let mut theirs = Index::required(None);
        theirs.push(Index {
            lifetime: None,
            ..Index::expiry(60)
        });
        assert_eq!(plan(&theirs, None), []);
        let expire = Step::Expire {
            name: "createdAt_1".to_owned(),
            lifetime: 60,
        };
        assert_eq!(plan(&theirs, Some(60)), [expire]);
    }

    #[test]
    fn index_with_the_same_fields_in_another_order_is_another_index() {
        let mut reversed = Index::required(None);
        reversed[1].key.reverse();
        assert_eq!(plan(&reversed, None).len(), 1);
    }

    #[test]
    fn longest_retention_stays_within_the_server_limit() {
        assert_eq!(seconds(1), 86_400);
        assert_eq!(seconds(u32::MAX), 2_147_483_647);
    }
}
