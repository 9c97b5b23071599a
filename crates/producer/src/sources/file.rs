//! Sources file (`WAHOOK_SOURCES`): one `[[source]]` table per gateway, validated completely.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use wahook_domain::{LARGEST_EVENT, SourceName};
use wahook_runtime::{
    settings::toml_table::{FileFault, Table, read_file, read_tables},
    tokens::Tokens,
};
use wahook_sources::{Kind, Pointer, can_sign};

use super::source::{Form, Key, Source, Sources, secrets_of};

/// Upper bound, since each source has its own metrics.
const MAX_SOURCES: usize = 100;

const KNOWN: &str = "name, kind, secret, secret_file, token, token_file, deliver, redact, \
    keep_keys and max_body_bytes";

/// Shortest key of a signature, in characters. Shorter ones can be guessed.
const SHORTEST_KEY: usize = 8;

/// Sources file, read at the start and on each SIGHUP.
#[derive(Debug, Clone)]
pub struct SourcesFile {
    /// `WAHOOK_SOURCES`
    pub path: PathBuf,
}

impl SourcesFile {
    /// Reads the file and the files of its secrets.
    ///
    /// # Errors
    /// Returns every fault, in line order.
    pub(crate) fn read(&self) -> Result<Vec<Source>, Vec<FileFault>> {
        self.parse(&read_file(&self.path)?)
    }

    fn parse(&self, text: &str) -> Result<Vec<Source>, Vec<FileFault>> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let mut names = BTreeSet::new();
        read_tables(text, "source", MAX_SOURCES, KNOWN, |table| {
            read_source(table, folder, &mut names)
        })
    }
}

/// Sources at the start.
#[derive(Debug)]
pub struct SourceSettings {
    /// `WAHOOK_SOURCES`
    pub(crate) file: Option<SourcesFile>,
    pub(crate) sources: Sources,
}

/// Sources of all kinds, one for each.
impl Default for SourceSettings {
    fn default() -> Self {
        Self {
            file: None,
            sources: Sources::of_all_kinds(),
        }
    }
}

impl SourceSettings {
    /// Reads a file. Returns its faults too.
    pub(crate) fn read(file: SourcesFile) -> (Self, Vec<FileFault>) {
        let (read, faults) = match file.read() {
            Ok(read) => (read, Vec::new()),
            Err(faults) => (Vec::new(), faults),
        };
        let settings = Self {
            file: Some(file),
            sources: Sources::new(read),
        };
        (settings, faults)
    }
}

/// Reads every field, also after a fault.
fn read_source(
    table: &mut Table<'_, '_>,
    folder: &Path,
    names: &mut BTreeSet<SourceName>,
) -> Option<Source> {
    let name = table.unique_name("source", "shop", names);
    let kind = read_kind(table);
    let secret = read_secret(table, folder, kind);
    let tokens = read_tokens(table, folder);
    let form = table.read(
        "deliver",
        "\"as-received\" or \"documented\"",
        |value| match value.as_str()? {
            "as-received" => Some(Form::AsReceived),
            "documented" => Some(Form::Documented),
            _ => None,
        },
    );
    let keeps_keys = table.flag("keep_keys", false);
    let mut redacted = read_pointers(table);
    let max_body_bytes = table.whole("max_body_bytes", LARGEST_EVENT, 1_024..=LARGEST_EVENT);
    let kind = kind?;
    if !keeps_keys {
        redacted.extend(secrets_of(kind));
    }
    Some(Source {
        name: name?,
        kind,
        secret,
        tokens,
        form: form.unwrap_or(Form::AsReceived),
        redacted,
        max_body_bytes: Some(max_body_bytes),
    })
}

fn read_kind(table: &mut Table<'_, '_>) -> Option<Kind> {
    let Some((text, place)) = table.text("kind") else {
        let place = table.place.clone();
        table.fault(&place, "kind is missing, such as \"waha\"");
        return None;
    };
    text.parse()
        .map_err(|error| table.fault(&place, format_args!("kind {error}")))
        .ok()
}

fn read_secret(table: &mut Table<'_, '_>, folder: &Path, kind: Option<Kind>) -> Option<Key> {
    let (text, place) = table.text_or_file("secret", folder)?;
    if text.chars().count() < SHORTEST_KEY {
        let problem = format_args!("secret must have at least {SHORTEST_KEY} characters");
        table.fault(&place, problem);
        return None;
    }
    if let Some(kind) = kind.filter(|kind| !can_sign(*kind)) {
        let problem = format_args!("secret: {kind} does not sign; set token instead");
        table.fault(&place, problem);
        return None;
    }
    Some(Key::new(text))
}

fn read_tokens(table: &mut Table<'_, '_>, folder: &Path) -> Tokens {
    let Some((text, place)) = table.text_or_file("token", folder) else {
        return Tokens::default();
    };
    Tokens::parse(&text).unwrap_or_else(|error| {
        table.fault(&place, format_args!("token: {error}"));
        Tokens::default()
    })
}

fn read_pointers(table: &mut Table<'_, '_>) -> Vec<Pointer> {
    let expected = "a list of JSON pointers, such as [\"/data/body\"]";
    let pointers = table.list("redact", expected).into_iter();
    pointers.map(|(pointer, _)| pointer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Source>, Vec<String>> {
        let path = PathBuf::from("/nowhere/sources.toml");
        let parsed = SourcesFile { path }.parse(text);
        parsed.map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn complete_source_is_read() {
        let sources = parse(
            r#"
            [[source]]
            name = "shop"
            kind = "evolution"
            secret = "a-jwt-key-of-evolution"
            token = "0123456789abcdef"
            deliver = "documented"
            redact = ["/data/body", "/data/*/body"]
            max_body_bytes = 4096
            [[source]]
            name = "other"
            kind = "wuzapi"
            keep_keys = true
            "#,
        );
        let [shop, other] = sources.unwrap().try_into().unwrap();
        assert_eq!((shop.kind, shop.form), (Kind::Evolution, Form::Documented));
        assert_eq!(shop.secret.unwrap().as_bytes(), b"a-jwt-key-of-evolution");
        assert!(!shop.tokens.is_empty());
        let pointers: Vec<_> = shop.redacted.iter().map(ToString::to_string).collect();
        let expected = ["/data/body", "/data/*/body", "/apikey", "/api_key"];
        assert_eq!(pointers, expected);
        assert_eq!(shop.max_body_bytes, Some(4096));
        assert_eq!(other.form, Form::AsReceived);
        assert!(other.redacted.is_empty() && other.tokens.is_empty());
    }

    #[test]
    fn every_fault_is_reported_with_its_line() {
        let faults = parse(
            "[[source]]\nname = \"Shop\"\nkind = \"whatsapp\"\nsecret = \"short\"\n\
             token = \"short\"\ndeliver = \"raw\"\nredact = [\"body\"]\nmax_body_bytes = 1\n\
             colour = 1\n[[source]]\nkind = \"wwebjs\"\nsecret_file = \"missing\"\n\
             [[source]]\nname = \"a\"\nkind = \"wwebjs\"\nsecret = \"long enough\"\n",
        )
        .unwrap_err();
        let lines: Vec<_> = faults
            .iter()
            .map(|fault| fault.split(':').next().unwrap())
            .collect();
        let expected = ["2", "3", "4", "5", "6", "7", "8", "9", "10", "12", "16"];
        assert_eq!(lines, expected.map(|line| format!("line {line}")));
        assert!(faults[1].contains("must be one of wahook"), "{}", faults[1]);
        assert!(faults[10].contains("does not sign"), "{}", faults[10]);
    }

    #[test]
    fn debug_output_does_not_show_keys() {
        let source =
            parse("[[source]]\nname = \"a\"\nkind = \"waha\"\nsecret = \"confidential\"\n");
        assert!(!format!("{source:?}").contains("confidential"));
    }
}
