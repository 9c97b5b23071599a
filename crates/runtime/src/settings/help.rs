//! Settings in the text of `--help`.

use super::{Kind, Setting};

/// Width of the text, in characters.
const WIDTH: usize = 98;
const TITLE: &str =
    "Settings (environment, or .env in the working directory; NAME_FILE reads NAME from a file)";

/// Returns the part of `--help` that lists the settings of a program.
#[must_use]
pub fn help(tables: &[&[Setting]]) -> String {
    titled(TITLE, tables)
}

/// As [`help`], with another title.
#[must_use]
pub fn titled(title: &str, tables: &[&[Setting]]) -> String {
    let settings = || tables.iter().copied().flatten();
    let names = settings().map(|setting| setting.name.len());
    let indent = names.max().unwrap_or_default() + 3;
    let mut text = format!("{title}:");
    for setting in settings() {
        let first = format!("\n  {}", setting.name);
        // Without the line break.
        let mut column = first.len() - 1;
        text.push_str(&first);
        for word in described(setting).split(' ') {
            if column < indent {
                text.push_str(&" ".repeat(indent - column));
                column = indent;
            } else if column + 1 + word.len() > WIDTH {
                text.push('\n');
                text.push_str(&" ".repeat(indent));
                column = indent;
            } else {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += word.len();
        }
    }
    text
}

/// Returns meaning, valid values and default in one line.
fn described(setting: &Setting) -> String {
    let values = match setting.kind {
        Kind::Integer { .. } => format!(", {}", setting.kind.range()),
        Kind::Choice(_) => format!(": {}", setting.kind.expected()),
        _ => String::new(),
    };
    let default = match (setting.default.text(), setting.default.requirement()) {
        (Some(text), _) => format!(" [{text}]"),
        (None, Some(requirement)) => format!(" ({requirement})"),
        (None, None) => String::new(),
    };
    format!("{}{values}{default}", setting.help)
}

#[cfg(test)]
mod tests {
    use super::{super::DefaultValue, *};

    const LEVEL: Setting = Setting {
        name: "LEVEL",
        kind: Kind::Choice(&["low", "high"]),
        default: DefaultValue::Text("low"),
        example: "high",
        help: "level",
        meaning: "level",
    };

    #[test]
    fn line_has_meaning_values_and_default() {
        let limit = Setting {
            name: "SIZE_LIMIT",
            kind: Kind::Integer {
                min: 1,
                max: 9,
                unit: "bytes",
            },
            default: DefaultValue::None,
            help: "limit",
            ..LEVEL
        };
        let url = Setting {
            name: "URL",
            kind: Kind::Path,
            default: DefaultValue::RequiredUnless("LEVEL"),
            help: "target",
            ..LEVEL
        };
        assert_eq!(
            titled("Settings", &[&[LEVEL], &[limit, url]]),
            "Settings:\n  LEVEL      level: low or high [low]\n  \
             SIZE_LIMIT limit, 1 to 9 bytes\n  \
             URL        target (required, or LEVEL)"
        );
    }

    #[test]
    fn long_line_is_wrapped_below_its_first_word() {
        let help = "a word and another word, a word and another word, a word and another word, \
            a word and another word";
        let text = titled("Settings", &[&[Setting { help, ..LEVEL }]]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
        assert_eq!(lines[2], "        another word: low or high [low]");
    }
}
