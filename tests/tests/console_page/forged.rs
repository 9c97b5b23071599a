//! Requests that another web page makes in the browser of an operator.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use wahook_tests::browser::Browser;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::ports::free_port;

use super::login::WRITE;
use super::stage::{On, ROWS, Stage};

/// Name that no program allows.
const NAME: &str = "console.attacker.test";
/// Text of the event that only the operator may read.
const SECRET: &str = "words of a customer";

/// Actions by every way that a page has without a permission of the console. `arguments` are
/// the console's address and the path of the action. Returns the outcome of each fetch.
const ACT: &str = "
    const [console, path] = arguments;
    const url = `${console}/api/v1/${path}`;
    const post = (options) => fetch(url, { method: 'POST', credentials: 'include', ...options })
        .then((answer) => answer.type, (error) => error.name);
    const frame = document.createElement('iframe');
    frame.name = 'hidden';
    document.body.append(frame);
    const forms = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'];
    for (const enctype of forms) {
        const form = document.createElement('form');
        Object.assign(form, { action: url, method: 'post', enctype, target: 'hidden' });
        const field = document.createElement('input');
        Object.assign(field, { name: '{\"reason\":\"', value: '\"}' });
        form.append(field);
        document.body.append(form);
        form.submit();
    }
    for (const type of ['text/plain', 'application/json']) {
        navigator.sendBeacon(url, new Blob(['{}'], { type }));
    }
    const json = { headers: { 'content-type': 'application/json' }, body: '{}' };
    return Promise.all([
        post({ mode: 'no-cors', body: '{}' }),
        post({ mode: 'no-cors', body: new Blob(['{}'], { type: 'application/json' }) }),
        post(json),
    ]);";

/// Reads by every way that a page has. Returns what it got.
const READ: &str = "
    const [console, path] = arguments;
    const url = `${console}/api/v1/${path}`;
    const read = (mode) => fetch(url, { mode, credentials: 'include' })
        .then(async (answer) => [answer.status, await answer.text()], (error) => error.name);
    const framed = new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.onload = () => resolve(frame.contentDocument?.body?.textContent ?? 'no document');
        frame.src = url;
        document.body.append(frame);
    });
    const streamed = new Promise((resolve) => {
        const events = new EventSource(`${console}/api/v1/events/live`, { withCredentials: true });
        events.onopen = () => resolve('open');
        events.onerror = () => { events.close(); resolve('failed'); };
    });
    return Promise.all([read('cors'), read('no-cors'), framed, streamed]);";

async fn pause(page: &Browser, console: &str, endpoint: &str) -> Value {
    let path = json!(format!("endpoints/{endpoint}/pause"));
    page.run(ACT, &[json!(console), path]).await
}

/// Returns the names of the paused endpoints.
fn paused(endpoints: &Value) -> Vec<&str> {
    let endpoints = endpoints["endpoints"].as_array().unwrap().iter();
    let paused = endpoints.filter(|endpoint| !endpoint["paused"].is_null());
    paused
        .filter_map(|endpoint| endpoint["name"].as_str())
        .collect()
}

/// Acts on the own page of the console, and waits until only this action has an effect.
async fn assert_only_own_page_acts(stage: &Stage, page: &Browser) {
    page.go(&stage.url("/")).await;
    page.wait(&format!("{ROWS} > 0")).await;
    pause(page, &stage.url(""), "archive").await;
    eventually(AT_LAST, "the pause by the own page", || async {
        let endpoints = stage.ask_as(WRITE, "endpoints").await;
        let paused = paused(&endpoints);
        assert!(!paused.contains(&"crm"), "{endpoints}");
        (paused == ["archive"]).then_some(())
    })
    .await;
}

pub(crate) async fn a_page_of_another_origin_can_neither_act_with_the_session_nor_read(on: On) {
    let settings = [("CONSOLE_TOKEN", WRITE)];
    let stage = Stage::with(&on, &settings).await;
    let data = json!({ "body": SECRET });
    let id = stage.send("ready", &data).await;
    eventually(AT_LAST, "the delivery", || async {
        let found = stage.ask_as(WRITE, "deliveries?status=success").await;
        (found["deliveries"].as_array()?.len() == 2).then_some(())
    })
    .await;
    let port = free_port().unwrap();
    let _attacker = Attacker::start(port).await;
    // The same host with another port gets the cookie of the session; another host does not.
    let page = Browser::open_naming(NAME, &stage.url("/")).await;
    page.wait("document.activeElement.id === 'token'").await;
    page.fill("#token", WRITE).await;
    page.click("#log-in").await;
    page.wait(&format!("{ROWS} === 2")).await;
    let path = json!(format!("deliveries/{id}/crm"));
    for origin in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://{NAME}:{port}/"),
    ] {
        page.go(&origin).await;
        let sent = pause(&page, &stage.url(""), "crm").await;
        let expected = json!(["TypeError", "TypeError", "TypeError"]);
        assert_eq!(sent, expected, "{origin}");
        let read = page.run(READ, &[json!(stage.url("")), path.clone()]).await;
        let expected = json!(["TypeError", "TypeError", "no document", "failed"]);
        assert_eq!(read, expected, "{origin}");
    }
    assert_only_own_page_acts(&stage, &page).await;
    let own = page.run(READ, &[json!(stage.url("")), path]).await;
    assert!(own[0][1].as_str().unwrap().contains(SECRET), "{own}");
}

/// The name leads to the attacker's server first, and then to the console: its page has the
/// origin of the console.
pub(crate) async fn a_name_that_is_bound_to_this_machine_can_neither_act_nor_read(on: On) {
    let port = free_port().unwrap();
    let attacker = Attacker::start(port).await;
    let origin = format!("http://{NAME}:{port}");
    let page = Browser::open_naming(NAME, &format!("{origin}/")).await;
    drop(attacker);
    let listen = format!("127.0.0.1:{port}");
    let stage = Stage::with(&on, &[("CONSOLE_LISTEN", &listen)]).await;
    let id = stage
        .ended("ready", &json!({ "body": SECRET }), "success")
        .await;
    let path = json!(format!("deliveries/{id}/crm"));

    // No login is needed on loopback, and these are requests within one origin.
    pause(&page, &origin, "crm").await;
    let read = page.run(READ, &[json!(origin), path.clone()]).await;
    assert_eq!(read[0][0], 403, "{read}");
    assert!(!read.to_string().contains(SECRET), "{read}");
    assert_eq!(read[3], "failed", "{read}");
    page.go(&format!("{origin}/")).await;
    assert_eq!(page.value(ROWS).await, 0);

    assert_only_own_page_acts(&stage, &page).await;
    let own = page.run(READ, &[json!(stage.url("")), path]).await;
    assert!(own[0][1].as_str().unwrap().contains(SECRET), "{own}");
}

/// Server of the other page; it stops on drop.
struct Attacker(JoinHandle<()>);

impl Attacker {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        Self(tokio::spawn(serve(listener.unwrap())))
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(listener: TcpListener) {
    let page = "<!doctype html><title>another page</title><body></body>";
    let length = page.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{page}"
    );
    // Aborted with this task.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        connections.spawn(async move {
            let mut stream = BufStream::new(stream);
            let mut line = String::new();
            while matches!(stream.read_line(&mut line).await, Ok(1..)) {
                if line == "\r\n" {
                    let _closed = stream.write_all(answer.as_bytes()).await;
                    let _closed = stream.shutdown().await;
                    break;
                }
                line.clear();
            }
        });
    }
}
