//! Router over a data file, and requests to it.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header::HeaderMap},
};
use serde_json::Value;
use tokio::{
    sync::Mutex,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower_service::Service;
use uuid::Uuid;
use wahook_domain::{EndpointName, EventPattern, QueuedEvent};
use wahook_embedded::{EmbeddedEraser, EmbeddedInspector, EmbeddedOperatorState, Store};
use wahook_operator_state::{SharedJobStore, SharedOperatorState};
use wahook_queue::{AbsentQueues, Broker, EndpointQueues, Publisher, StoredQueues, Topology};
use wahook_runtime::{Readiness, Settings, Shutdown, Trigger};

use crate::{
    ConsoleSettings,
    fake::FakeLog,
    give_ups::GiveUps,
    http_api::{AppState, router},
    job_runner::JobRunner,
    jobs::Jobs,
    letter_job::LetterWork,
    live::Live,
    log::Log,
    queues::Queues,
    redelivery_job::Resender,
};

pub(super) const OPERATOR: &str = "operator-0123456789";
pub(super) const READER: &str = "reader-0123456789";

/// Largest answer.
const MAX_BYTES: usize = 1 << 20;

pub(super) struct Stage {
    router: Router,
    pub(super) log: Arc<FakeLog>,
    pub(super) operator: SharedOperatorState,
    pub(super) publisher: Publisher,
    runner: JobRunner,
    running: Mutex<JoinHandle<()>>,
    trigger: Mutex<Trigger>,
    _store: Store,
    folder: Folder,
}

/// Answer of the router.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) json: Value,
}

impl Stage {
    /// Starts without tokens.
    pub(super) async fn open() -> Self {
        Self::with(&[]).await
    }

    /// Starts with a token of operators and one of readers.
    pub(super) async fn with_tokens() -> Self {
        Self::with(&[("CONSOLE_TOKEN", OPERATOR), ("CONSOLE_READ_TOKEN", READER)]).await
    }

    pub(super) async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let path = folder.0.join("wahook.db");
        let store = Store::open(&path).unwrap();
        let endpoint = EndpointName::default();
        let patterns = [EventPattern::Every];
        let other = EndpointName::parse("other").unwrap();
        let endpoints = [(&endpoint, &patterns[..], None), (&other, &[][..], None)];
        let topology = Topology::deliveries(endpoints, &[]);
        let limit = Duration::from_secs(60);
        let (publisher, _) = Publisher::start(store.broker(), "test", topology, limit);
        until_declared(&store.broker(), &other).await;
        let queues = EmbeddedInspector::open(&path).unwrap();
        let state = Arc::new(EmbeddedOperatorState::open(&path).unwrap());
        let operator: SharedOperatorState = state.clone();
        let log = Arc::new(FakeLog::default());
        let (shutdown, trigger) = Shutdown::manual();
        let queues = Arc::new(Queues::new(store.broker(), Some(Arc::new(queues))));
        let jobs: SharedJobStore = state.clone();
        let jobs = Arc::new(Jobs::new(jobs));
        let runner = JobRunner {
            jobs: Arc::clone(&jobs),
            resender: Resender {
                log: Log::new(log.clone()),
                stored: queues.stored(),
                publisher: publisher.clone(),
            },
            letters: LetterWork {
                log: Log::new(log.clone()),
                queues: Arc::clone(&queues),
                publisher: publisher.clone(),
            },
            give_ups: GiveUps {
                log: Log::new(log.clone()),
                operator: state.clone(),
            },
            shutdown: shutdown.clone(),
        };
        let app = AppState {
            log: Log::new(log.clone()),
            queues,
            operator: Arc::clone(&operator),
            circuits: state,
            publisher: publisher.clone(),
            live: Live::new(shutdown.clone()),
            jobs,
            eraser: Arc::new(EmbeddedEraser::open(&path).unwrap()),
            readiness: Readiness::new(),
            shutdown,
        };
        let mut settings = Settings::from_pairs(settings.iter().copied());
        let settings = ConsoleSettings::read(&mut settings).unwrap();
        Self {
            router: router(settings, app),
            log,
            operator,
            publisher,
            running: Mutex::new(tokio::spawn(runner.clone().run())),
            runner,
            trigger: Mutex::new(trigger),
            _store: store,
            folder,
        }
    }

    /// Stops the jobs as at the end of a program, and starts them again.
    pub(super) async fn restart_jobs(&self) {
        let (shutdown, trigger) = Shutdown::manual();
        std::mem::replace(&mut *self.trigger.lock().await, trigger).soft();
        let mut running = self.running.lock().await;
        (&mut *running).await.unwrap();
        let runner = JobRunner {
            shutdown,
            ..self.runner.clone()
        };
        *running = tokio::spawn(runner.run());
    }

    /// Returns the events in the queue of an endpoint.
    pub(super) fn queued(&self, endpoint: &str) -> Vec<QueuedEvent> {
        let queues = EmbeddedInspector::open(&self.folder.0.join("wahook.db")).unwrap();
        let queue = format!("wahook.deliver.{endpoint}");
        let messages = queues.messages(&queue).unwrap();
        messages
            .map(|message| message.unwrap().content().unwrap())
            .collect()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, body).await
    }

    /// Sends a request to `/api/v1`, to the host `localhost` unless the headers have another.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"));
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", "localhost:8090");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = self.router.clone().call(request).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = to_bytes(answer.into_body(), MAX_BYTES).await.unwrap();
        Answer {
            status,
            headers,
            json: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("wahook-console-{}", Uuid::now_v7());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits until the store has declared the queue of an endpoint.
async fn until_declared(broker: &Broker, endpoint: &EndpointName) {
    let queues = EndpointQueues::open(broker, "test").await.unwrap();
    let none = BTreeSet::new();
    let declared = async {
        while !queues
            .census(&none, &BTreeSet::new(), &mut AbsentQueues::default())
            .await
            .unwrap()
            .contains_key(endpoint)
        {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), declared).await.unwrap();
}
