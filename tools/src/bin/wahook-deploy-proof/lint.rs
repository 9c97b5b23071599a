//! Rules that every dashboard and panel must follow.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::dashboards::{Dashboard, text};

/// Returns a text for every violation.
pub(crate) fn faults(dashboards: &[Dashboard]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut uids = BTreeSet::new();
    for dashboard in dashboards {
        let mut fault = |what: String| faults.push(format!("{}: {what}", dashboard.name));
        let json = &dashboard.json;
        if text(json, "/uid").is_empty() || !uids.insert(text(json, "/uid").to_owned()) {
            fault("has no unique uid".to_owned());
        }
        if text(json, "/title").is_empty() || text(json, "/description").is_empty() {
            fault("has no title or no description".to_owned());
        }
        let annotations = json.pointer("/annotations/list").and_then(Value::as_array);
        if annotations.is_none_or(Vec::is_empty) {
            fault("has no annotation".to_owned());
        }
        let variables = variables(json, &mut fault);
        let (mut titles, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let mut used = String::new();
        for panel in dashboard.panels() {
            let title = text(panel, "/title");
            let mut fault = |what: &str| fault(format!("panel \"{title}\" {what}"));
            if title.is_empty() || !titles.insert(title) {
                fault("has no unique title");
            }
            if !ids.insert(panel.get("id").and_then(Value::as_u64)) {
                fault("has no unique id");
            }
            lint_panel(panel, &mut fault);
            used += &panel.to_string();
        }
        overlaps(dashboard, &mut fault);
        for name in variables {
            let forms = [
                format!("${name}"),
                format!("${{{name}}}"),
                format!("${{{name}:"),
            ];
            if !forms.iter().any(|form| used.contains(form)) {
                fault(format!("the variable {name} is not used"));
            }
        }
    }
    faults
}

fn variables(json: &Value, fault: &mut impl FnMut(String)) -> Vec<String> {
    let list = json.pointer("/templating/list").and_then(Value::as_array);
    let list: Vec<&Value> = list.into_iter().flatten().collect();
    let names: Vec<String> = list.iter().map(|v| text(v, "/name").to_owned()).collect();
    let wanted = [
        "datasource",
        "cluster",
        "namespace",
        "job",
        "instance",
        "endpoint",
    ];
    for wanted in wanted {
        if !names.iter().any(|name| name == wanted) {
            fault(format!("has no variable {wanted}"));
        }
    }
    for variable in list {
        let name = text(variable, "/name");
        if text(variable, "/label").is_empty() {
            fault(format!("the variable {name} has no label"));
        }
        if text(variable, "/type") == "query"
            && variable.get("refresh").and_then(Value::as_u64) != Some(2)
        {
            fault(format!(
                "the variable {name} does not follow the time range"
            ));
        }
    }
    names
}

fn lint_panel(panel: &Value, fault: &mut impl FnMut(&str)) {
    if text(panel, "/description").len() < 15 {
        fault("has no description");
    }
    if text(panel, "/fieldConfig/defaults/unit").is_empty() {
        fault("has no unit");
    }
    let targets = panel.get("targets").and_then(Value::as_array);
    let targets: Vec<&Value> = targets.into_iter().flatten().collect();
    if targets.is_empty() {
        fault("has no query");
    }
    for target in targets {
        let expr = text(target, "/expr");
        let counts = ["_total", "_bucket", "_sum", "_count"];
        if [panel, target]
            .iter()
            .any(|part| text(part, "/datasource/uid") != "${datasource}")
        {
            fault("does not use the selected data source");
        }
        let is_wahook = expr.contains("wahook_") || expr.contains("process_");
        let is_broker = expr.contains("rabbitmq_") || expr.contains("up{");
        if is_wahook && !is_broker && !(expr.contains("$job") && expr.contains("$instance")) {
            fault("ignores the selected job or instance");
        }
        for selector in selectors(expr) {
            let is_space = !selector.starts_with("rabbitmq_");
            if !selector.contains("cluster=~\"$cluster\"")
                || is_space && !selector.contains("namespace=~\"$namespace\"")
            {
                fault("ignores the selected cluster or namespace");
            }
        }
        if expr.contains("endpoint=") && !expr.contains("$endpoint") {
            fault("ignores the selected endpoint");
        }
        if counts.iter().any(|c| expr.contains(&format!("{c}{{")))
            && !expr.contains("rate(")
            && !expr.contains("increase(")
        {
            fault("shows a counter without rate() or increase()");
        }
        for range in expr.split('[').skip(1) {
            if !range.starts_with("$__rate_interval]") && !range.starts_with("$__range]") {
                fault("has a fixed range instead of $__rate_interval or $__range");
            }
        }
        if text(panel, "/type") == "timeseries" && text(target, "/legendFormat").is_empty() {
            fault("has a curve without a legend");
        }
        if expr.contains("histogram_quantile") && !expr.contains("by (le") {
            fault("computes a quantile of buckets that are not summed by le");
        }
    }
}

/// Returns each metric of an expression with its label matchers.
fn selectors(expr: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_metric = |word: &str| {
        ["wahook_", "process_", "rabbitmq_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
            || word == "up"
    };
    let mut rest = expr;
    let mut found = Vec::new();
    while let Some(start) = rest.find(is_name) {
        let word = rest.get(start..).unwrap_or_default();
        let end = word.find(|c: char| !is_name(c)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        rest = after;
        if is_metric(name) {
            let matchers = if after.starts_with('{') {
                after.find('}').map_or(0, |end| end + 1)
            } else {
                0
            };
            found.push(word.get(..end + matchers).unwrap_or(name));
            rest = after.get(matchers..).unwrap_or_default();
        }
    }
    found
}

fn overlaps(dashboard: &Dashboard, fault: &mut impl FnMut(String)) {
    let place = |panel: &Value| {
        let edge = |name: &str| {
            panel
                .pointer(&format!("/gridPos/{name}"))
                .and_then(Value::as_u64)
                .unwrap_or(0)
        };
        (edge("x"), edge("y"), edge("w"), edge("h"))
    };
    let places: Vec<_> = dashboard
        .panels()
        .map(|panel| (text(panel, "/title"), place(panel)))
        .collect();
    for (n, (title, (x, y, w, h))) in places.iter().enumerate() {
        if *w == 0 || *h == 0 || x + w > 24 {
            fault(format!("panel \"{title}\" does not fit"));
        }
        for (other, (x2, y2, w2, h2)) in places.iter().skip(n + 1) {
            if x < &(x2 + w2) && *x2 < x + w && y < &(y2 + h2) && *y2 < y + h {
                fault(format!("panels \"{title}\" and \"{other}\" overlap"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::selectors;

    #[test]
    fn selectors_are_metrics_with_their_matchers() {
        let expr = r#"max(up{a="b"}) / sum by (job) (rabbitmq_x) or label_replace(wahook_y_total{q=~"wahook.z"}, "a")"#;
        let found = selectors(expr);
        assert_eq!(
            found,
            [
                r#"up{a="b"}"#,
                "rabbitmq_x",
                r#"wahook_y_total{q=~"wahook.z"}"#
            ]
        );
    }
}
