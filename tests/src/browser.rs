//! Headless Chromium (Debian's package), driven by its chromedriver.
//!
//! The protocol (W3C WebDriver) is JSON over HTTP, and the tests need only a few commands. The
//! existing client crates depend on a library under the MPL, which `deny.toml` does not allow,
//! and on a hundred others.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::eventually::{AT_LAST, eventually};
use crate::folder::{RunFolder, tail};
use crate::guard::Guarded;
use crate::or_fail;

/// Start-up limit; on a busy machine Chromium takes seconds to start.
const STARTS_WITHIN: Duration = Duration::from_secs(300);
/// Limit for a change of the page.
const SOON: Duration = AT_LAST;
/// WebDriver's key for an element id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// WebDriver codes of keys without a character.
pub mod keys {
    pub const CONTROL: &str = "\u{e009}";
    pub const DOWN: &str = "\u{e015}";
    pub const END: &str = "\u{e010}";
    pub const ESCAPE: &str = "\u{e00c}";
    pub const HOME: &str = "\u{e011}";
    pub const TAB: &str = "\u{e004}";
    pub const UP: &str = "\u{e013}";
}

/// Size and colour scheme of the window.
#[derive(Debug, Clone, Copy)]
pub enum Screen {
    Desktop,
    DarkDesktop,
    /// Width in CSS pixels. Emulated, with touch, because Chromium's windows cannot be so
    /// narrow.
    Phone(u32),
}

/// Browser window with a separate profile. Dropping it kills the browser.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    session: String,
    log: std::path::PathBuf,
    _driver: Guarded,
    /// Declared last: removed after the driver has ended.
    _folder: RunFolder,
}

impl Browser {
    /// Starts a browser and opens `url`.
    pub async fn open(url: &str, screen: Screen) -> Self {
        let browser = or_fail("a browser", Self::try_start(screen, &[]).await);
        browser.go(url).await;
        browser
    }

    /// Opens `url` in a browser for which `host` is a name of this machine.
    pub async fn open_naming(host: &str, url: &str) -> Self {
        let rule = format!("--host-resolver-rules=MAP {host} 127.0.0.1");
        let started = Self::try_start(Screen::Desktop, &[&rule]).await;
        let browser = or_fail("a browser", started);
        browser.go(url).await;
        browser
    }

    pub async fn go(&self, url: &str) {
        self.command("url", json!({ "url": url })).await;
    }

    /// Runs `script` as a function body in the page and returns its result. The script reads
    /// `arguments`.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        let command = json!({ "script": script, "args": arguments });
        self.command("execute/sync", command).await
    }

    /// Returns the value of an expression in the page.
    pub async fn value(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression});"), &[]).await
    }

    /// Waits until an expression in the page is truthy and returns its value.
    pub async fn wait(&self, expression: &str) -> Value {
        let what = format!("in the page: {expression}");
        eventually(SOON, &what, || async {
            let value = self.value(&format!("({expression}) || null")).await;
            (!value.is_null()).then_some(value)
        })
        .await
    }

    /// Waits until the text of the selected element contains `part`.
    pub async fn wait_text(&self, css: &str, part: &str) {
        let (css, part) = (json!(css), json!(part));
        let found = format!("document.querySelector({css})?.textContent.includes({part})");
        self.wait(&found).await;
    }

    /// Returns the text content of the selected element.
    pub async fn text(&self, css: &str) -> String {
        let css = json!(css);
        let value = self
            .value(&format!("document.querySelector({css})?.textContent"))
            .await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks a visible element; fails the test if it is not visible.
    pub async fn click(&self, css: &str) {
        self.act(css, "click", json!({})).await;
    }

    /// Replaces the content of a field.
    pub async fn fill(&self, css: &str, text: &str) {
        self.act(css, "clear", json!({})).await;
        self.act(css, "value", json!({ "text": text })).await;
    }

    /// Selects an option of a list by its visible name.
    pub async fn choose(&self, css: &str, name: &str) {
        self.act(css, "value", json!({ "text": name })).await;
    }

    /// Types into the focused element.
    pub async fn press(&self, text: &str) {
        let active = or_fail(
            "the focus",
            self.send(reqwest::Method::GET, "element/active", None)
                .await,
        );
        let element = active
            .get(ELEMENT)
            .and_then(Value::as_str)
            .unwrap_or_default();
        let typed = json!({ "text": text });
        self.command(&format!("element/{element}/value"), typed)
            .await;
    }

    /// Returns the clipboard's text, pasted into a temporary field by the keyboard.
    pub async fn clipboard(&self) -> String {
        let field = "const field = document.createElement('textarea'); field.id = 'pasted'; \
             document.body.append(field); field.focus();";
        self.run(field, &[]).await;
        self.press(&format!("{}v", keys::CONTROL)).await;
        let pasted = self.value("document.getElementById('pasted').value").await;
        self.run("document.getElementById('pasted').remove();", &[])
            .await;
        pasted.as_str().unwrap_or_default().to_owned()
    }

    /// Returns a PNG of the visible page.
    pub async fn screenshot(&self) -> Vec<u8> {
        let taken = self.send(reqwest::Method::GET, "screenshot", None).await;
        let taken = or_fail("a screenshot", taken);
        let decoded = BASE64_STANDARD.decode(taken.as_str().unwrap_or_default());
        or_fail("a screenshot", decoded.map_err(Into::into))
    }

    /// Acts on an element, and on its successor if the page has replaced it meanwhile.
    async fn act(&self, css: &str, action: &str, body: Value) {
        for last in [false, false, true] {
            let path = format!("element/{}/{action}", self.element(css).await);
            let sent = self.send(reqwest::Method::POST, &path, Some(body.clone()));
            match sent.await {
                Err(error) if !last && error.to_string().contains("stale element") => {}
                sent => {
                    or_fail(css, sent.with_context(|| tail(&self.log, 5)));
                    return;
                }
            }
        }
    }

    async fn element(&self, css: &str) -> String {
        let found = json!({ "using": "css selector", "value": css });
        let found = self.command("element", found).await;
        let id = found.get(ELEMENT).and_then(Value::as_str);
        or_fail(css, id.context("no element")).to_owned()
    }

    async fn command(&self, path: &str, body: Value) -> Value {
        let sent = self.send(reqwest::Method::POST, path, Some(body)).await;
        or_fail(path, sent.with_context(|| tail(&self.log, 5)))
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}/{path}", self.session);
        send(&self.http, method, &url, body).await
    }

    async fn try_start(screen: Screen, more: &[&str]) -> anyhow::Result<Self> {
        let folder = RunFolder::temporary("browser")?;
        let log = folder.join("chromedriver.log");
        let errors = File::create(&log)?;
        let mut driver = Guarded::spawn("chromedriver", |command| {
            command
                .args(["--port=0", "--allowed-ips=127.0.0.1"])
                // Inherited by Chromium.
                .env("HOME", folder.path())
                .env("XDG_CONFIG_HOME", folder.path())
                .env("XDG_CACHE_HOME", folder.path())
                .stdout(Stdio::piped())
                .stderr(errors);
        })
        .context("chromedriver: deploy/local/install.sh browser installs it")?;
        let stdout = driver.take_stdout().context("no stdout")?;
        let port = tokio::time::timeout(STARTS_WITHIN, port_of(stdout)).await??;
        let _present = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(STARTS_WITHIN)
            .no_proxy()
            .build()?;
        let url = format!("http://127.0.0.1:{port}/session");
        let capabilities = capabilities(folder.path(), screen, more);
        let started = send(&http, reqwest::Method::POST, &url, Some(capabilities)).await;
        let started = started.with_context(|| tail(&log, 5))?;
        let id = started.get("sessionId").and_then(Value::as_str);
        let id = id.context("no session")?;
        Ok(Self {
            http,
            session: format!("{url}/{id}"),
            log,
            _driver: driver,
            _folder: folder,
        })
    }
}

fn capabilities(folder: &Path, screen: Screen, more: &[&str]) -> Value {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let mut arguments = vec![
        "--headless=new",
        // Tests run as root in containers, without a sandbox and with a small /dev/shm.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        // Ends the browser with its driver, even if the driver is killed.
        "--remote-debugging-pipe",
        "--window-size=1280,900",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &profile,
    ];
    arguments.extend(more);
    if matches!(screen, Screen::DarkDesktop) {
        arguments.push("--blink-settings=preferredColorScheme=0");
    }
    let options = match screen {
        Screen::Phone(width) => json!({
            "args": arguments,
            "mobileEmulation": {
                "deviceMetrics": { "width": width, "height": 740, "pixelRatio": 2, "touch": true },
            },
        }),
        Screen::Desktop | Screen::DarkDesktop => json!({ "args": arguments }),
    };
    json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } })
}

/// Returns the port that chromedriver prints. Reads all of the output, so that chromedriver
/// never blocks on a full pipe.
async fn port_of(stdout: ChildStdout) -> anyhow::Result<u16> {
    let (found, port) = oneshot::channel();
    thread::spawn(move || {
        let mut found = Some(found);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let (_, rest) = line
                .split_once("started successfully on port ")
                .unwrap_or_default();
            if let Ok(port) = rest.trim_end_matches('.').parse()
                && let Some(found) = found.take()
            {
                let _gave_up = found.send(port);
            }
        }
    });
    port.await
        .context("chromedriver ended without printing its port")
}

async fn send(
    http: &reqwest::Client,
    method: reqwest::Method,
    url: &str,
    body: Option<Value>,
) -> anyhow::Result<Value> {
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let answer = request.send().await?;
    let status = answer.status();
    let content: Value = serde_json::from_str(&answer.text().await?)?;
    let value = content.get("value").cloned().unwrap_or_default();
    if !status.is_success() {
        let message = value
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default();
        bail!("{status}: {}", message.lines().next().unwrap_or_default());
    }
    Ok(value)
}
