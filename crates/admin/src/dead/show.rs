//! Output of `dead list` and `dead show`.

use anyhow::bail;
use serde::Serialize;
use std::io::{BufWriter, Write, stdout};
use wahook_domain::UnixMillis;
use wahook_queue::{DeadLetter, DeadLetters};
use wahook_runtime::printable;

use super::{filter::Filter, progress};

/// Prints a line for each matching dead letter, oldest first. The queue loses its order
/// when dead letters are requeued.
pub(super) async fn list(
    letters: &mut DeadLetters,
    filter: &Filter,
    limit: Option<u32>,
    json: bool,
) -> anyhow::Result<()> {
    let all = letters.left();
    let bar = progress(all);
    let mut rows = Vec::new();
    while let Some((letter, _)) = letters.next().await? {
        bar.inc(1);
        if filter.matches(&letter) {
            rows.push(Row::of(&letter));
        }
    }
    bar.finish_and_clear();
    rows.sort_by(|a, b| a.died_at.cmp(&b.died_at));
    rows.truncate(limit.map_or(rows.len(), |limit| limit as usize));
    let mut out = BufWriter::new(stdout().lock());
    if json {
        for row in &rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        return Ok(out.flush()?);
    }
    if !rows.is_empty() {
        writeln!(out, "{}", Row::HEADINGS)?;
    }
    for row in &rows {
        writeln!(out, "{}", row.line())?;
    }
    writeln!(out, "{} of {all} dead letters", rows.len())?;
    Ok(out.flush()?)
}

/// Prints all dead letters of one event, one for each endpoint.
pub(super) async fn show(letters: &mut DeadLetters, id: &str) -> anyhow::Result<()> {
    let mut found = false;
    while let Some((letter, _)) = letters.next().await? {
        if letter.id.as_deref() == Some(id) {
            found = true;
            writeln!(stdout(), "{}", whole(&letter))?;
        }
    }
    if !found {
        bail!("no dead letter with id {id}");
    }
    Ok(())
}

/// Row of a list.
#[derive(Serialize)]
struct Row {
    died_at: Option<String>,
    endpoint: Option<String>,
    event: Option<String>,
    attempts: Option<u32>,
    id: Option<String>,
    reason: String,
}

impl Row {
    const HEADINGS: &str =
        "DEAD SINCE                ENDPOINT    EVENT             ATTEMPTS  ID, REASON";

    fn of(letter: &DeadLetter) -> Self {
        let content = letter.content.as_ref().ok();
        Self {
            died_at: letter.died_at.map(UnixMillis::to_iso8601),
            endpoint: letter.endpoint.as_ref().map(ToString::to_string),
            event: letter.event.clone(),
            attempts: content.map(|event| event.attempt.get()),
            id: letter.id.clone(),
            reason: letter.reason.clone(),
        }
    }

    fn line(&self) -> String {
        let attempts = self.attempts.map_or("?".to_owned(), |n| n.to_string());
        format!(
            "{:<24}  {:<10}  {:<16}  {attempts:>8}  {}, {}",
            self.died_at.as_deref().unwrap_or("?"),
            printable(self.endpoint.as_deref().unwrap_or("?")),
            printable(self.event.as_deref().unwrap_or("?")),
            printable(self.id.as_deref().unwrap_or("?")),
            printable(&self.reason),
        )
    }
}

fn whole(letter: &DeadLetter) -> String {
    let row = Row::of(letter);
    let or_unknown = |text: Option<&str>| printable(text.unwrap_or("unknown"));
    let mut text = format!(
        "id          {}\nevent       {}\nendpoint    {}\ndead since  {}\nreason      {}\n",
        or_unknown(row.id.as_deref()),
        or_unknown(row.event.as_deref()),
        or_unknown(row.endpoint.as_deref()),
        or_unknown(row.died_at.as_deref()),
        printable(&row.reason),
    );
    if let Ok(event) = &letter.content {
        let accepted = event.accepted_at.to_iso8601();
        text += &format!(
            "accepted    {accepted}\nattempts    {}\n",
            event.attempt.get()
        );
        if let Some(redriven_at) = event.redriven_at {
            text += &format!("redriven    {}\n", redriven_at.to_iso8601());
        }
    }
    let body = String::from_utf8_lossy(&letter.payload);
    text + "body\n" + &printable(&body)
}
