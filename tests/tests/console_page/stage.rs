//! Running programs with two endpoints and a console, the events sent to them, and a browser.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wahook_tests::browser::{Browser, Screen};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Place;
use wahook_tests::ports::free_port;
use wahook_tests::program::Program;
use wahook_tests::readiness::wait_consuming;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::stored_log::StoredIn;
use wahook_tests::world::Test;

pub(crate) const MARKUP: &str =
    "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>";
/// Script expression for the number of rows in the list.
pub(crate) const ROWS: &str = "document.querySelectorAll('#list li').length";

/// Store of the deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    DataFile,
    MongoDb,
}

/// Store of one test, with the servers that it may need.
pub(crate) struct On {
    pub(crate) kind: Kind,
    pub(crate) test: Test,
}

pub(crate) struct Stage {
    pub(crate) receiver: Receiver,
    pub(crate) http: reqwest::Client,
    pub(crate) stored_in: StoredIn,
    _programs: Vec<Program>,
    events: String,
    console: String,
    _folder: RunFolder,
}

impl Stage {
    pub(crate) async fn start(on: &On) -> Self {
        Self::with(on, &[]).await
    }

    /// Starts with further settings of the console.
    pub(crate) async fn with(on: &On, settings: &[(&str, &str)]) -> Self {
        Self::open(on, "retry_delay = 10\ncircuit = false", settings).await
    }

    /// Starts with further fields of the endpoints.
    pub(crate) async fn with_fields(on: &On, fields: &str) -> Self {
        Self::open(on, fields, &[]).await
    }

    /// Starts with the endpoints `crm` and `archive`. The receiver fails all events `call`,
    /// with hostile text as its answer, and accepts all others.
    async fn open(on: &On, fields: &str, settings: &[(&str, &str)]) -> Self {
        let receiver = Receiver::answering(|post| match post.event() {
            Some("call") => Answer::status(500).body(MARKUP),
            _ => Answer::status(200),
        })
        .await;
        let folder = RunFolder::temporary("console-page").unwrap();
        let file = folder.join("endpoints.toml");
        fs::write(&file, endpoints(&receiver.url(), fields)).unwrap();
        let endpoints = [("WEBHOOK_ENDPOINTS", file.display().to_string())];
        let given = settings.iter().find(|(name, _)| *name == "CONSOLE_LISTEN");
        let listen = match given {
            Some((_, address)) => (*address).to_owned(),
            None => format!("127.0.0.1:{}", free_port().unwrap()),
        };
        let console = [("CONSOLE_LISTEN", listen.clone())];
        let (stored_in, programs) = match on.kind {
            Kind::DataFile => {
                let data = folder.join("wahook.db");
                let program = standalone(&data, [endpoints, console].concat(), settings).await;
                (StoredIn::DataFile(data), vec![program])
            }
            Kind::MongoDb => {
                let place = on.test.place();
                let programs = pair(&place, &endpoints, &console, settings).await;
                (StoredIn::MongoDb(place), programs)
            }
        };
        for program in &programs {
            program.wait_ready(AT_LAST).await;
        }
        Self {
            receiver,
            http: http_client().unwrap(),
            stored_in,
            events: programs[0].base_url(),
            _programs: programs,
            console: format!("http://{listen}"),
            _folder: folder,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.console)
    }

    /// Opens the page and waits until it follows the deliveries.
    pub(crate) async fn browser(&self) -> Browser {
        self.browser_on(Screen::Desktop).await
    }

    pub(crate) async fn browser_on(&self, screen: Screen) -> Browser {
        let browser = Browser::open(&self.url("/"), screen).await;
        browser.wait_text("#connection", "live").await;
        browser
    }

    /// Sends an event and returns its id.
    pub(crate) async fn send(&self, event: &str, data: &Value) -> String {
        let url = format!("{}/v1/events", self.events);
        let request = self.http.post(url);
        let request = request.header("content-type", "application/json");
        let body = json!({ "event": event, "data": data });
        let answer = request.body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Sends an event, waits until its deliveries to both endpoints have this status, and
    /// returns its id.
    pub(crate) async fn ended(&self, event: &str, data: &Value, status: &str) -> String {
        let id = self.send(event, data).await;
        let path = format!("deliveries?eventId={id}&status={status}");
        eventually(AT_LAST, "the deliveries", || async {
            let found = self.ask(&path).await;
            (found["deliveries"].as_array()?.len() == 2).then_some(())
        })
        .await;
        id
    }

    /// Waits until this number of deliveries has ended.
    pub(crate) async fn wait_ended(&self, number: u64) {
        eventually(AT_LAST, "the deliveries", || async {
            let stats = self.ask("stats").await;
            let ended = stats["success"].as_u64()? + stats["failed"].as_u64()?;
            (ended == number).then_some(())
        })
        .await;
    }

    /// Returns the answer of `GET /api/v1/{path}` for a token.
    pub(crate) async fn ask_as(&self, token: &str, path: &str) -> Value {
        let url = self.url(&format!("/api/v1/{path}"));
        let answer = self.http.get(url).bearer_auth(token).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
    }

    /// Returns the JSON answer of `GET /api/v1/{path}`.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let url = self.url(&format!("/api/v1/{path}"));
        let answer = self.http.get(url).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
    }
}

async fn standalone(
    data: &Path,
    settings: Vec<(&str, String)>,
    others: &[(&str, &str)],
) -> Program {
    let consumer = format!("127.0.0.1:{}", free_port().unwrap());
    let data = data.display().to_string();
    let own = [
        ("WAHOOK_DATA", data.as_str()),
        ("CONSUMER_LISTEN", &consumer),
    ];
    let program = Program::standalone(&[&own, &borrowed(&settings)[..], others].concat()).await;
    wait_consuming(&format!("http://{consumer}")).await;
    program
}

/// Starts a producer, a consumer, and a console with the further settings.
async fn pair(
    place: &Place,
    endpoints: &[(&str, String)],
    console: &[(&str, String)],
    others: &[(&str, &str)],
) -> Vec<Program> {
    let broker = [("AMQP_URL", place.amqp_url.as_str())];
    let log = [
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
    ];
    let consumer = [&broker, &log[..], &borrowed(endpoints)].concat();
    let console = [&broker, &log[..], &borrowed(console), others].concat();
    // The consumer declares the queues before the first event.
    let consumer = Program::consumer(&consumer).await;
    consumer.wait_ready(AT_LAST).await;
    let (producer, console) = tokio::join!(Program::producer(&broker), Program::console(&console));
    vec![producer, consumer, console]
}

fn borrowed<'a>(settings: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    let settings = settings.iter();
    settings
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

fn endpoints(url: &str, fields: &str) -> String {
    ["archive", "crm"]
        .map(|name| {
            format!(
                "[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\n\
                 retry_attempts = 1\n{fields}\n"
            )
        })
        .concat()
}

/// Opens the detail of a delivery to `crm`, once it is listed.
pub(crate) async fn open(page: &Browser, id: &str) {
    let link = format!("{} a", row(id, "crm"));
    page.wait_text(&link, id).await;
    page.click(&link).await;
}

/// Returns a CSS selector of the row of a delivery.
pub(crate) fn row(id: &str, endpoint: &str) -> String {
    format!("#list li[data-path='{id}/{endpoint}']")
}

/// Answers requests of the page for these paths, instead of the program: path without query,
/// status and JSON. Each answer is given once, in order; the last one for all further requests.
pub(crate) async fn script_answers(page: &Browser, answers: &Value) {
    let script = "const answers = arguments[0]; const real = window.fetch; window.posted = []; \
         window.fetch = (url, options) => { \
           const key = `${options.method} ${url.replace('api/v1/', '').replace(/\\?.*/, '')}`; \
           const scripted = answers[key]; \
           if (scripted === undefined) return real(url, options); \
           window.posted.push([key, JSON.parse(options.body ?? 'null')]); \
           const [status, body] = scripted.length > 1 ? scripted.shift() : scripted[0]; \
           return Promise.resolve(new Response(status === 204 ? null : JSON.stringify(body), { status })); \
         };";
    page.run(script, std::slice::from_ref(answers)).await;
}
