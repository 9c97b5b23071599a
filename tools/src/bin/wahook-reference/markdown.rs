//! Generated tables of `docs/configuration.md`.

use anyhow::{Context, bail, ensure};
use wahook_runtime::Setting;
use wahook_runtime::settings::DefaultValue;

use crate::sections::Section;

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

/// Returns the document with new tables between the markers. Every section must have exactly
/// one place.
pub(crate) fn fill(document: &str, sections: &[Section]) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut rest = document;
    let mut filled = Vec::new();
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (title, after) = after.split_once(" -->").context("unclosed marker")?;
        let (_, after) = after
            .split_once(END)
            .with_context(|| format!("no {END} after {title}"))?;
        let Some(section) = sections.iter().find(|section| section.title == title) else {
            bail!("unknown section: {title}");
        };
        let table = table(&section.settings);
        text.push_str(&format!("{before}{BEGIN}{title} -->\n\n{table}\n{END}"));
        filled.push(title);
        rest = after;
    }
    text.push_str(rest);
    for Section { title, .. } in sections {
        let places = filled.iter().filter(|filled| *filled == title).count();
        ensure!(places == 1, "{places} places for the section {title}");
    }
    Ok(text)
}

fn table(settings: &[Setting]) -> String {
    let mut text = "| name | default | range | meaning |\n|---|---|---|---|\n".to_owned();
    for setting in settings {
        let default = match setting.default {
            DefaultValue::Required => "required".to_owned(),
            DefaultValue::RequiredUnless(other) => format!("required, or `{other}`"),
            other => other.text().unwrap_or_else(|| "none".to_owned()),
        };
        let (name, range, meaning) = (setting.name, setting.kind.range(), setting.meaning);
        text.push_str(&format!("| `{name}` | {default} | {range} | {meaning} |\n"));
    }
    text
}
