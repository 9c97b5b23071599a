//! One `wahook` on a data file, with its sources and its receiver.

use std::fs;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::{Answered, SECRET};
use wahook_tests::ports::free_port;
use wahook_tests::program::{Metrics, Program, ProgramName};
use wahook_tests::readiness::wait_consuming;
use wahook_tests::receiver::{Post, Receiver};

pub(crate) struct Stage {
    pub(crate) receiver: Receiver,
    pub(crate) program: Program,
    /// `http://127.0.0.1:PORT`
    pub(crate) producer: String,
    http: reqwest::Client,
    folder: RunFolder,
    /// `PRODUCER_TOKEN`, or an empty text.
    token: String,
}

/// Record of a delivered event.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) event: String,
    pub(crate) payload: Value,
    /// `source`, `session`, `chat` and `messageId`.
    pub(crate) origin: [Option<String>; 4],
}

impl Stage {
    /// Starts with this sources file, or without `WAHOOK_SOURCES` if the text is empty.
    pub(crate) async fn start(sources: &str, settings: &[(&str, &str)]) -> Self {
        let receiver = Receiver::start().await;
        let (folder, producer, all) = prepare(&receiver, sources, settings);
        let program = Program::standalone(&borrowed(&all)).await;
        program.wait_ready(AT_LAST).await;
        let operators = all.iter().find(|(name, _)| name == "CONSUMER_LISTEN");
        wait_consuming(&format!("http://{}", operators.unwrap().1)).await;
        let token = all.iter().find(|(name, _)| name == "PRODUCER_TOKEN");
        Self {
            receiver,
            program,
            producer,
            http: http_client().unwrap(),
            folder,
            token: token.map(|(_, token)| token.clone()).unwrap_or_default(),
        }
    }

    /// Starts with an invalid sources file, and returns the log of the refusal.
    pub(crate) async fn refusal(sources: &str) -> String {
        let receiver = Receiver::start().await;
        let (_folder, _, all) = prepare(&receiver, sources, &[]);
        let program = Program::launch(ProgramName::Standalone, &borrowed(&all)).await;
        let status = program.wait_exit(AT_LAST).await;
        assert_ne!(status.code(), Some(0), "{}", program.stderr_so_far());
        program.stderr_so_far()
    }

    /// Replaces the sources file and reloads it.
    pub(crate) fn reload(&self, sources: &str) {
        fs::write(self.folder.join("sources.toml"), sources).unwrap();
        self.program.hang_up();
    }

    /// Posts to `/v1/in/{to}`.
    pub(crate) async fn post(
        &self,
        to: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answered {
        let request = self.http.post(format!("{}/v1/in/{to}", self.producer));
        answered(with_headers(request, headers).body(body.into())).await
    }

    /// Posts JSON to `/v1/in/{to}`.
    pub(crate) async fn post_json(&self, to: &str, body: &str) -> Answered {
        let headers = [("content-type", "application/json")];
        self.post(to, &headers, body.to_owned()).await
    }

    /// Gets `/v1/in/{from}`.
    pub(crate) async fn get(&self, from: &str) -> Answered {
        let request = self.http.get(format!("{}/v1/in/{from}", self.producer));
        answered(request).await
    }

    /// Returns the one delivery of an event.
    pub(crate) async fn delivery(&self, id: &str) -> Post {
        let is_it = |post: &Post| post.id() == Some(id);
        let arrived = |posts: &[std::sync::Arc<Post>]| posts.iter().any(|post| is_it(post));
        self.receiver.wait_until(id, AT_LAST, arrived).await;
        let posts = self.receiver.posts_of(id);
        assert_eq!(posts.len(), 1, "{id}");
        posts[0].as_ref().clone()
    }

    /// Delivers one more event, which is the last in the queue, and returns the number of
    /// posts before it.
    pub(crate) async fn posts_so_far(&self, last: &str) -> usize {
        let request = self.http.post(format!("{}/v1/events", self.producer));
        let request = request.header("content-type", "application/json");
        let request = request
            .header("idempotency-key", last)
            .bearer_auth(&self.token);
        let answer = answered(request.body(r#"{"event":"last"}"#)).await;
        self.delivery(&answer.accepted_id()).await;
        self.receiver.count() - 1
    }

    /// Waits for the record of a delivered event.
    pub(crate) async fn record(&self, id: &str) -> Record {
        eventually(AT_LAST, "the record", || async { self.find_record(id) }).await
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.metrics_text().await).unwrap()
    }

    pub(crate) async fn metrics_text(&self) -> String {
        let request = self.http.get(format!("{}/metrics", self.producer));
        answered(request).await.body
    }

    fn find_record(&self, id: &str) -> Option<Record> {
        let data = Connection::open(self.folder.join("wahook.db")).unwrap();
        data.busy_timeout(AT_LAST).unwrap();
        let query = "SELECT event, payload, source, session, chat, messageId FROM webhooklogs \
                     WHERE eventId = ? AND status = 'success'";
        let record = data.query_row(query, [id], |row| {
            Ok(Record {
                event: row.get(0)?,
                payload: serde_json::from_str(&row.get::<_, String>(1)?).unwrap(),
                origin: [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?],
            })
        });
        record.optional().unwrap()
    }
}

/// Returns the folder, the producer's URL and all settings.
fn prepare(
    receiver: &Receiver,
    sources: &str,
    settings: &[(&str, &str)],
) -> (RunFolder, String, Vec<(String, String)>) {
    let folder = RunFolder::temporary("sources").unwrap();
    let (producer, consumer) = (free_port().unwrap(), free_port().unwrap());
    let path = |name: &str| folder.join(name).display().to_string();
    let mut all = vec![
        ("WAHOOK_DATA", path("wahook.db")),
        ("PRODUCER_LISTEN", format!("127.0.0.1:{producer}")),
        ("CONSUMER_LISTEN", format!("127.0.0.1:{consumer}")),
        ("WEBHOOK_URL", receiver.url()),
        ("WEBHOOK_SECRET", SECRET.to_owned()),
    ];
    if !sources.is_empty() {
        fs::write(folder.join("sources.toml"), sources).unwrap();
        all.push(("WAHOOK_SOURCES", path("sources.toml")));
    }
    let all = all.into_iter().chain(
        settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let all = all.map(|(name, value)| (name.to_owned(), value)).collect();
    (folder, format!("http://127.0.0.1:{producer}"), all)
}

fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect()
}

fn with_headers(
    request: reqwest::RequestBuilder,
    headers: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    let headers = headers.iter();
    headers.fold(request, |request, (name, value)| {
        request.header(*name, *value)
    })
}

async fn answered(request: reqwest::RequestBuilder) -> Answered {
    let answer = request.send().await.unwrap();
    Answered {
        status: answer.status(),
        headers: answer.headers().clone(),
        body: answer.text().await.unwrap(),
    }
}
