//! Collects the results of a row from the webhook, the log and the dead letters.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;
use futures_util::TryStreamExt;
use lapin::options::BasicGetOptions;
use lapin::{Connection, ConnectionProperties};
use mongodb::bson::doc;
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::SECRET;
use wahook_tests::receiver::Post;

use super::Act;
use crate::event;
use crate::oracle::{Evidence, Letter, Record, Seen};

/// AMQP delivery mode of persistent messages.
const PERSISTENT: u8 = 2;

impl Act<'_> {
    /// Collects the results of the row.
    pub(crate) async fn evidence(&self) -> anyhow::Result<Evidence> {
        let posts = self.stage.receiver.posts();
        Ok(Evidence {
            accepted: self
                .answers
                .accepted
                .iter()
                .map(|n| (event::id(self.row, *n), self.plan.expected(*n)))
                .collect(),
            posts: posts.iter().filter_map(|post| self.seen(post)).collect(),
            records: self.records().await?,
            letters: self.letters().await?,
        })
    }

    /// Runs `wahook-consumer reconcile`, as an operator would; it must find no missing event.
    pub(crate) async fn verify(&self) -> anyhow::Result<()> {
        let folder = RunFolder::temporary("accepted")?;
        let file = folder.join("ids");
        let ids = self
            .answers
            .accepted
            .iter()
            .map(|n| event::id(self.row, *n) + "\n");
        fs::write(&file, ids.collect::<String>())?;
        let file = file.to_str().context("the folder's name")?;
        let mongod = self.other_log.as_ref().map(|other| other.uri.clone());
        let arguments = ["reconcile", "--accepted", file];
        self.stage.command_on(mongod, &arguments).await.map(|_| ())
    }

    /// Converts a post of this row. Late posts of other rows are ignored, because their row has
    /// already been checked; so are events that may be accepted or not.
    fn seen(&self, post: &Post) -> Option<Seen> {
        let id = post.id().unwrap_or_default();
        let (row, number) = event::parse(id).unwrap_or((self.row, u64::MAX));
        if row != self.row || self.answers.unknown.contains(&number) {
            return None;
        }
        let attempt = post.attempt().unwrap_or_default();
        let verdict = post.verify(SECRET);
        Some(Seen {
            id: id.to_owned(),
            attempt,
            at: post.arrived.saturating_duration_since(self.began),
            succeeded: self.stage.script_at(post.arrived).succeeds(number, attempt),
            intact: post.body == event::body(self.row, number),
            signed: verdict.body_signature.is_ok()
                && (self.plan.clock_is_off || verdict.standard_webhooks.is_ok()),
        })
    }

    async fn records(&self) -> anyhow::Result<BTreeMap<String, Record>> {
        let mut records = BTreeMap::new();
        let mut found = self.log().find(doc! {}).await?;
        while let Some(document) = found.try_next().await? {
            let attempts = document.get_array("attempts")?.iter();
            let numbers = attempts.filter_map(|a| a.as_document()?.get_i32("number").ok());
            let record = Record {
                status: document.get_str("status")?.to_owned(),
                highest_attempt: u32::try_from(numbers.max().unwrap_or(0))?,
            };
            records.insert(document.get_str("eventId")?.to_owned(), record);
        }
        Ok(records)
    }

    /// Reads all dead letters; closing the connection requeues them.
    async fn letters(&self) -> anyhow::Result<Vec<Letter>> {
        let url = self.stage.brokers.node()?.amqp_url();
        let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let mut letters = Vec::new();
        let kept = BasicGetOptions { no_ack: false };
        while let Some(message) = channel.basic_get("wahook.dead".into(), kept).await? {
            let id = message.properties.message_id().as_ref();
            let number = id.and_then(|id| event::parse(id.as_str()));
            if number.is_some_and(|(_, number)| self.answers.unknown.contains(&number)) {
                continue;
            }
            letters.push(Letter {
                id: id.map_or("(no id)", |id| id.as_str()).to_owned(),
                is_persistent: *message.properties.delivery_mode() == Some(PERSISTENT),
            });
        }
        connection.close(200, "read".into()).await?;
        Ok(letters)
    }
}
