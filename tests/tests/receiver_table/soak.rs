//! The worst inputs for producer and consumer, all at the same time, under the memory limits of
//! the shipped manifests: neither program ends, and everything accepted is delivered.

mod clients;
mod endpoints;

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::process::memory;
use wahook_tests::program::Program;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::workspace;
use wahook_tests::world::{Test, Tests};

use crate::authority::Authority;
use endpoints::HostileEndpoint;

const DELIVERED_WITHIN: Duration = Duration::from_secs(240);
const BETWEEN_EVENTS: Duration = Duration::from_millis(100);
const BETWEEN_LARGE_EVENTS: Duration = Duration::from_secs(5);
/// Large events at the start, for which their endpoint is too slow.
const BACKLOG: usize = 16;

pub(crate) fn add(tests: &mut Tests) {
    tests.add("hostile_soak_ends_within_the_memory_limits", soak);
}

/// Returns `WAHOOK_SOAK_SECONDS`, or a default that is short enough for every test run.
fn length() -> Duration {
    let set = env::var("WAHOOK_SOAK_SECONDS").ok();
    Duration::from_secs(set.map_or(10, |seconds| seconds.parse().unwrap()))
}

/// Returns the memory limit of a shipped manifest in KiB.
fn shipped_limit(manifest: &str) -> u64 {
    let path = workspace().join("deploy/kubernetes").join(manifest);
    let manifest = fs::read_to_string(path).unwrap();
    let (_, limits) = manifest.split_once("limits:").unwrap();
    let (_, memory) = limits.split_once("memory: ").unwrap();
    let (mib, _) = memory.split_once("Mi").unwrap();
    mib.parse::<u64>().unwrap() << 10
}

/// Ids of accepted and of delivered events.
#[derive(Default)]
struct Ids {
    accepted: Mutex<BTreeSet<String>>,
    delivered: Mutex<BTreeSet<String>>,
}

impl Ids {
    /// Starts a receiver that answers after `delay` and keeps only the ids.
    async fn receiver(self: &Arc<Self>, delay: Duration) -> Receiver {
        let ids = Arc::clone(self);
        Receiver::answering(move |post| {
            let id = post.id().unwrap_or_default().to_owned();
            ids.delivered.lock().unwrap().insert(id);
            Answer::status(200).after(delay)
        })
        .await
    }

    fn missing(&self) -> usize {
        let delivered = self.delivered.lock().unwrap();
        self.accepted.lock().unwrap().difference(&delivered).count()
    }
}

async fn soak(test: Test) {
    let (good, slow) = (Arc::<Ids>::default(), Arc::<Ids>::default());
    let receivers = [
        good.receiver(Duration::ZERO).await,
        slow.receiver(Duration::from_secs(1)).await,
    ];
    let authority = Authority::new();
    let hostile = endpoints::start_all(&authority).await;
    let folder = RunFolder::temporary("soak").unwrap();
    let file = folder.join("endpoints.toml");
    fs::write(&file, endpoints_file(&receivers, &hostile)).unwrap();
    let (place, authorities) = (test.place(), authority.file());
    let settings = [
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
        ("WEBHOOK_ENDPOINTS", file.to_str().unwrap()),
        ("SSL_CERT_FILE", authorities.as_str()),
    ];
    let consumer = Program::consumer(&settings).await;
    consumer.wait_ready(AT_LAST).await;
    let producer = Program::producer(&settings[..1]).await;
    producer.wait_ready(AT_LAST).await;

    let server = server(&producer);
    let mut attacks = clients::start_all(server);
    let end = Instant::now() + length();
    let mut sending = JoinSet::new();
    let send = |event, pause, at_once, ids: &Arc<Ids>| {
        let ids = Arc::clone(ids);
        send_events(server, event, pause, at_once, end, ids)
    };
    sending.spawn(send("message_create", BETWEEN_EVENTS, 1, &good));
    sending.spawn(send("media", BETWEEN_LARGE_EVENTS, BACKLOG, &slow));
    sending.spawn(send("attack", BETWEEN_EVENTS, 1, &Arc::default()));
    while !sending.is_empty() {
        tokio::select! {
            Some(sent) = sending.join_next() => sent.unwrap(),
            // They must not keep all posts.
            () = sleep(Duration::from_secs(1)) => receivers.iter().for_each(Receiver::forget),
        }
    }
    attacks.shutdown().await;

    let after = json!({"event": "message_create", "data": {"after": "all"}}).to_string();
    eventually(AT_LAST, "an event after the attacks", || async {
        post(server, after.clone()).await
    })
    .await;
    eventually(DELIVERED_WITHIN, "everything accepted", || async {
        receivers.iter().for_each(Receiver::forget);
        (good.missing() + slow.missing() == 0).then_some(())
    })
    .await;
    for (program, manifest) in [(&producer, "producer.yaml"), (&consumer, "consumer.yaml")] {
        assert!(program.is_running(), "{}", program.stderr_so_far());
        let (_, peak) = memory(program.pid()).unwrap();
        let limit = shipped_limit(manifest);
        eprintln!("{manifest}: peak of {} of {} MiB", peak >> 10, limit >> 10);
        assert!(peak < limit, "{manifest}: {peak} KiB");
        let log = program.stderr_so_far();
        assert!(!log.contains("panicked"), "{log}");
    }
    for ids in [&good, &slow] {
        let accepted = ids.accepted.lock().unwrap().len();
        eprintln!("{accepted} events accepted and delivered");
        assert!(accepted > 0);
    }
    for HostileEndpoint { name, requests, .. } in &hostile {
        let requests = requests.load(std::sync::atomic::Ordering::Relaxed);
        eprintln!("endpoint {name}: {requests} connections or requests");
        assert!(requests > 0, "{name}");
    }
}

fn server(producer: &Program) -> SocketAddr {
    let url = producer.base_url();
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

fn endpoints_file(receivers: &[Receiver; 2], hostile: &[HostileEndpoint]) -> String {
    let [good, slow] = receivers.each_ref().map(Receiver::url);
    let mut file = format!(
        "[[endpoint]]\nname = \"good\"\nurl = \"{good}\"\nevents = [\"message_create\", \"media\"]\n\
         [[endpoint]]\nname = \"slow\"\nurl = \"{slow}\"\nevents = [\"media\"]\nconcurrency = 2\n"
    );
    for HostileEndpoint { name, url, .. } in hostile {
        // Without a pause, so that the attack goes on.
        write!(
            file,
            "[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nevents = [\"attack\"]\n\
             circuit = false\nretry_attempts = 0\ntimeout = 5000\nconcurrency = 4\n"
        )
        .unwrap();
    }
    file
}

/// Sends events until `end`, and notes the ids of those that are accepted.
async fn send_events(
    server: SocketAddr,
    event: &'static str,
    pause: Duration,
    at_once: usize,
    end: Instant,
    ids: Arc<Ids>,
) {
    let media = match event {
        "media" => "x".repeat((14 << 20) + (900 << 10)),
        _ => "x".repeat(2_000),
    };
    let mut number = 0;
    // The attacks may delay the first accepted event.
    let is_over = || {
        let is_accepted = !ids.accepted.lock().unwrap().is_empty();
        Instant::now() >= if is_accepted { end } else { end + AT_LAST }
    };
    while !is_over() {
        let several = if number == 0 { at_once } else { 1 };
        for _ in 0..several {
            number += 1;
            if is_over() {
                return;
            }
            let data = json!({"number": number, "media": media});
            let body = json!({"event": event, "data": data}).to_string();
            let accepted = post(server, body).await;
            ids.accepted.lock().unwrap().extend(accepted);
        }
        sleep(pause).await;
    }
}

/// Posts an event; returns its id, or `None` if it is not accepted.
async fn post(server: SocketAddr, body: String) -> Option<String> {
    let request = http_client()
        .ok()?
        .post(format!("http://{server}/v1/events"));
    let request = request
        .header("content-type", "application/json")
        .body(body);
    let answer = request.send().await.ok()?;
    let is_accepted = answer.status().as_u16() == 202;
    let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
    let id = answer.get("id")?.as_str()?.to_owned();
    is_accepted.then_some(id)
}
