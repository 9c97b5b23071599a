//! Reads the dashboards as Grafana does: panels, queries and variables.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::prometheus::Prometheus;

#[derive(Debug)]
pub(crate) struct Dashboard {
    pub(crate) name: String,
    pub(crate) json: Value,
}

/// Values of the variables in a query.
#[derive(Debug, Clone)]
pub(crate) struct Variables(Vec<(String, String)>);

impl Dashboard {
    pub(crate) fn all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder).context("deploy/grafana/dashboards")? {
            let path = entry?.path();
            let text = fs::read_to_string(&path)?;
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let json = serde_json::from_str(&text).with_context(|| name.clone())?;
            all.push(Self { name, json });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Returns all panels except the row headlines.
    pub(crate) fn panels(&self) -> impl Iterator<Item = &Value> {
        let panels = self.json.get("panels").and_then(Value::as_array);
        panels
            .into_iter()
            .flatten()
            .filter(|panel| text(panel, "/type") != "row")
    }

    pub(crate) fn annotations(&self) -> impl Iterator<Item = &Value> {
        let list = self.json.pointer("/annotations/list");
        list.and_then(Value::as_array).into_iter().flatten()
    }

    /// Returns the row headlines.
    pub(crate) fn headlines(&self) -> Value {
        let panels = self.json.get("panels").and_then(Value::as_array);
        let rows = panels
            .into_iter()
            .flatten()
            .filter(|panel| text(panel, "/type") == "row");
        rows.map(|row| json!({"title": row.get("title"), "y": row.pointer("/gridPos/y")}))
            .collect()
    }

    /// Returns the selections an operator can make: all values of all variables, and each single
    /// value of one variable.
    pub(crate) async fn choices(
        &self,
        prometheus: &Prometheus,
    ) -> anyhow::Result<Vec<(String, Variables)>> {
        let list = self
            .json
            .pointer("/templating/list")
            .and_then(Value::as_array);
        let mut everything: Vec<(String, String)> = Vec::new();
        let mut single = Vec::new();
        for variable in list
            .into_iter()
            .flatten()
            .filter(|v| text(v, "/type") == "query")
        {
            let name = text(variable, "/name");
            let mut asked = text(variable, "/query/query").to_owned();
            for (before, value) in &everything {
                asked = replace(&asked, before, value);
            }
            let inner = asked
                .strip_prefix("label_values(")
                .and_then(|a| a.strip_suffix(')'));
            let (metric, label) = inner
                .and_then(|a| a.rsplit_once(", "))
                .context(asked.clone())?;
            let values = prometheus.label_values(metric, label).await?;
            let everything_matches = text(variable, "/allValue");
            // A label that the scrape configuration may add or not.
            let is_optional = everything_matches == ".*" && !prometheus.adds_labels();
            if values.is_empty() != is_optional {
                let values = values.len();
                bail!("the variable {name} of {} has {values} values", self.name);
            }
            everything.push((name.to_owned(), everything_matches.to_owned()));
            single.extend(values.into_iter().map(|value| (name.to_owned(), value)));
        }
        let mut choices = vec![("all".to_owned(), Variables(everything.clone()))];
        for (name, value) in single {
            let mut variables = everything.clone();
            let chosen = value.replace('.', "\\\\.");
            variables
                .iter_mut()
                .filter(|(n, _)| *n == name)
                .for_each(|(_, v)| v.clone_from(&chosen));
            choices.push((format!("{name}={value}"), Variables(variables)));
        }
        Ok(choices)
    }
}

impl Variables {
    /// Returns the query as Grafana sends it, for a range in seconds and a scrape interval of 1 s.
    pub(crate) fn substitute(&self, query: &str, range: f64) -> String {
        // At least four scrapes: Grafana's own rule for $__rate_interval.
        let query = query.replace("$__rate_interval", "4s");
        let query = query.replace("$__range", &format!("{}s", range.ceil()));
        self.0
            .iter()
            .fold(query, |query, (name, value)| replace(&query, name, value))
    }
}

fn replace(query: &str, name: &str, value: &str) -> String {
    query.replace(&format!("${name}"), value)
}

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
