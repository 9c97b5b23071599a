//! Follows the links of dashboards and alerts into the console.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use reqwest::{StatusCode, Url};
use serde_json::Value;
use wahook_tests::http_client::http_client;

use crate::dashboards::{Dashboard, text};
use crate::story::Story;

/// Base in the rules, where alerts have no variables.
const OF_ALERTS: &str = "http://127.0.0.1:8090/";

/// Checks that each link leads to what it says. Returns the number of links.
pub(crate) async fn follow(dashboards: &[Dashboard], story: &Story) -> anyhow::Result<usize> {
    let mut links = Vec::new();
    for dashboard in dashboards {
        links.extend(dashboard.panels().flat_map(of_panel).map(str::to_owned));
    }
    let prometheus = story.observers.first().context("no Prometheus")?;
    for rule in prometheus.rules().await? {
        let link = text(&rule, "/annotations/console_url");
        if !link.is_empty() {
            links.push(link.replace(OF_ALERTS, "${console:raw}/"));
        }
    }
    links.sort();
    links.dedup();
    let http = http_client()?;
    for link in &links {
        let url = substitute(link, story)?;
        let page = http.get(url.clone()).send().await?;
        ensure!(page.status() == StatusCode::OK, "{link}: {}", page.status());
        let (api, list) = api(&url)?;
        let answer = http.get(api).send().await?.text().await?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| answer.clone())?;
        let found = answer.get(list).and_then(Value::as_array);
        let found = found.with_context(|| format!("{link}: {answer}"))?;
        ensure!(!found.is_empty(), "{link}: the console shows nothing");
        let is_failed = |delivery: &Value| text(delivery, "/status") == "failed";
        let are_right = list != "deliveries" || found.iter().all(is_failed);
        ensure!(are_right, "{link}: the console shows other deliveries");
    }
    Ok(links.len())
}

/// Returns the links in the corner of a panel and in the cells of a table.
fn of_panel(panel: &Value) -> Vec<&str> {
    let links = panel.pointer("/links").and_then(Value::as_array);
    let overrides = panel.pointer("/fieldConfig/overrides");
    let properties = overrides
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|field| field.get("properties")?.as_array())
        .flatten();
    let in_cells = properties
        .filter(|property| text(property, "/id") == "links")
        .filter_map(|property| property.get("value")?.as_array());
    let all = links.into_iter().chain(in_cells).flatten();
    all.map(|link| text(link, "/url")).collect()
}

/// Returns the URL that Grafana or Prometheus makes of a link.
fn substitute(link: &str, story: &Story) -> anyhow::Result<Url> {
    let iso = |seconds: f64| -> anyhow::Result<String> {
        let time = Timestamp::UNIX_EPOCH.checked_add(Duration::from_secs_f64(seconds))?;
        Ok(format!("{time:.3}"))
    };
    let url = link
        .replace("${console:raw}", &story.console)
        .replace("${__from:date:iso}", &iso(story.began)?)
        .replace("${__to:date:iso}", &iso(story.ended)?)
        .replace("${__data.fields.Endpoint}", "default")
        .replace("{{ $labels.endpoint }}", "default");
    ensure!(!url.contains(['$', '{']), "{link} has an unknown variable");
    Ok(Url::parse(&url)?)
}

/// Returns what the page queries for its URL, and the member of the answer that has the list.
fn api(page: &Url) -> anyhow::Result<(Url, &'static str)> {
    let mut api = page.clone();
    let view = page.query_pairs().find(|(name, _)| name == "view");
    let (path, list) = match view.as_ref().map(|(_, view)| &**view) {
        None => ("/api/v1/deliveries", "deliveries"),
        Some("dead-letters") => ("/api/v1/dead-letters", "deadLetters"),
        Some("endpoints") => ("/api/v1/endpoints", "endpoints"),
        Some(other) => bail!("the console has no view {other}"),
    };
    api.set_path(path);
    let filters = page.query_pairs().filter(|(name, _)| name != "view");
    let filters: Vec<_> = filters.collect();
    api.set_query(None);
    if !filters.is_empty() {
        api.query_pairs_mut().extend_pairs(filters);
    }
    Ok((api, list))
}
