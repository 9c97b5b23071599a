//! Makes the Prometheus configuration and rules sixty times as fast, so that a test can wait for
//! alerts.
//!
//! In the rules each duration (range, offset, `for`) becomes a sixtieth: `[1h]` becomes `[60000ms]`,
//! `for: 5m` becomes `for: 5000ms`. Expressions and thresholds stay the same. In the configuration
//! the scrape interval of 15 s becomes 1 s, and DNS discovery becomes a file with addresses.
//! `promtool test rules` tests the windows at their real lengths.

pub(crate) const FASTER: u64 = 60;

/// Scales the durations in `rules/*.yml`.
pub(crate) fn rules(text: &str) -> String {
    let scaled = text.lines().map(|line| {
        let line = scale_after(line, "[", "]");
        let line = scale_after(&line, "offset ", ")");
        match line
            .trim_start()
            .strip_prefix("for: ")
            .and_then(milliseconds)
        {
            Some(long) => {
                let indent = line.len() - line.trim_start().len();
                format!("{:indent$}for: {}ms", "", long / FASTER)
            }
            None => line,
        }
    });
    scaled.map(|line| line + "\n").collect()
}

/// Scales the intervals in `prometheus.yml` and replaces DNS discovery by files.
pub(crate) fn config(text: &str) -> String {
    let mut out = String::new();
    let mut name = String::new();
    for line in text.lines() {
        let said = line.trim_start();
        if let Some(job) = said.strip_prefix("- job_name: ") {
            job.clone_into(&mut name);
        }
        if said == "dns_sd_configs:" {
            out += "    file_sd_configs:\n";
        } else if said.starts_with("- names: ") {
            out += &format!("      - files: [targets/{name}.json]\n");
        } else if said == "type: A" || said.starts_with("port: ") {
        } else {
            let line = line
                .replace("interval: 15s", "interval: 1s")
                .replace("interval: 10s", "interval: 1s");
            out = out + &line + "\n";
        }
    }
    out
}

/// Scales each duration between `before` and `after`.
fn scale_after(line: &str, before: &str, after: &str) -> String {
    let mut parts = line.split(before);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += before;
        let (inside, rest) = part.split_once(after).unwrap_or((part, ""));
        match milliseconds(inside) {
            Some(long) => {
                let rest = part.strip_prefix(inside).unwrap_or(rest);
                out += &format!("{}ms{rest}", long / FASTER);
            }
            None => out += part,
        }
    }
    out
}

fn milliseconds(duration: &str) -> Option<u64> {
    let unit = duration.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = duration.split_at(unit);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * seconds * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_become_a_sixtieth_and_nothing_else_changes() {
        let text = "  - alert: A1h\n    expr: |\n      sum by (x) (rate(a{b=\"5m\"}[1h])) > 60\n      - (c offset 15m) > 0\n    for: 5m\n";
        let fast = "  - alert: A1h\n    expr: |\n      sum by (x) (rate(a{b=\"5m\"}[60000ms])) > 60\n      - (c offset 15000ms) > 0\n    for: 5000ms\n";
        assert_eq!(rules(text), fast);
    }

    #[test]
    fn dns_discovery_becomes_file_discovery() {
        let text = "  - job_name: a\n    dns_sd_configs:\n      - names: [x]\n        type: A\n        port: 1\n        refresh_interval: 10s\n";
        let file = "  - job_name: a\n    file_sd_configs:\n      - files: [targets/a.json]\n        refresh_interval: 1s\n";
        assert_eq!(config(text), file);
    }
}
