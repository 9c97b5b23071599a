//! `.env.example`: every setting once, with a comment.

use std::collections::BTreeSet;

use wahook_runtime::Setting;

use crate::sections::Section;

/// Width of a comment, in characters.
const WIDTH: usize = 88;
const WIDTH_OF_RULE: usize = 79;

const HEADER: &str = "\
# All settings of wahook; docs/configuration.md describes them. `make reference` writes this
# file. Copy it to `.env` in the working directory of the programs. Lines that begin with `#`
# show defaults. The environment takes precedence. An empty value counts as unset. Every NAME
# can be read from a file: NAME_FILE=/run/secrets/name
# Docker Compose reads `.env` too. It sets AMQP_URL, MONGODB_URI and the listen addresses
# itself, and generates PRODUCER_TOKEN and WEBHOOK_SECRET if they are empty.
";

/// Returns the text of the file.
pub(crate) fn of(sections: &[Section]) -> String {
    let mut text = HEADER.to_owned();
    let mut names = BTreeSet::new();
    for section in sections {
        let rule = format!("# --- {} ", section.title);
        text.push_str(&format!("\n{rule:-<WIDTH_OF_RULE$}\n"));
        for setting in &section.settings {
            if names.insert(setting.name) {
                text.push_str(&described(setting));
            }
        }
    }
    text
}

/// Returns the comment and the line of a setting. A setting with a default is commented out.
fn described(setting: &Setting) -> String {
    let mut meaning = sentence(&plain(setting.meaning));
    let (mark, value) = match setting.default.requirement() {
        Some(condition) => {
            meaning.push_str(&format!(" {}", sentence(&condition)));
            ("", setting.example.to_owned())
        }
        None => ("#", setting.default.text().unwrap_or_default()),
    };
    let meaning = wrapped(&meaning);
    let values = wrapped(&format!("Values: {}", plain(&setting.kind.range())));
    format!("{meaning}{values}{mark}{}={value}\n", setting.name)
}

/// Removes the marks of Markdown; a link becomes the name of its page.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut parts = markdown.split('[');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let link = part.split_once("](");
        match link.and_then(|(_, target)| target.split_once(')')) {
            Some((target, rest)) => {
                let page = target.split('#').next().unwrap_or(target);
                text.push_str(&format!("docs/{page}{rest}"));
            }
            None => text.push_str(&format!("[{part}")),
        }
    }
    text.replace('`', "")
}

/// Returns the text with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let text: String = first.into_iter().chain(characters).collect();
    format!("{text}.")
}

fn wrapped(comment: &str) -> String {
    let mut text = String::new();
    let mut line = "#".to_owned();
    for word in comment.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    text + &line + "\n"
}
