use std::{
    fs,
    os::unix::ffi::OsStringExt,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// Temporary folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "wahook-settings-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Reads settings from this environment over a `.env` file with this text.
    fn dotenv(&self, text: &str, environment: &[(&str, &str)]) -> Settings {
        let path = self.file(".env", text);
        let pairs = environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        Settings::read(Path::new(&path), pairs)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Optional text.
const fn text(name: &'static str) -> Setting {
    Setting {
        name,
        kind: Kind::Text("a text"),
        default: DefaultValue::None,
        example: "x",
        help: "",
        meaning: "",
    }
}

const fn required(name: &'static str, example: &'static str) -> Setting {
    Setting {
        default: DefaultValue::Required,
        example,
        ..text(name)
    }
}

/// Number from 0 to 10.
const fn small(name: &'static str, default: DefaultValue) -> Setting {
    Setting {
        kind: Kind::Integer {
            min: 0,
            max: 10,
            unit: "",
        },
        default,
        example: "7",
        ..text(name)
    }
}

const fn switch(name: &'static str, default: bool) -> Setting {
    Setting {
        kind: Kind::Flag,
        default: DefaultValue::Flag(default),
        example: "true",
        ..text(name)
    }
}

fn read_text(settings: &mut Settings, name: &'static str) -> Option<String> {
    settings.value(&text(name))
}

fn faults(settings: Settings) -> Vec<String> {
    match settings.finish() {
        Ok(_) => Vec::new(),
        Err(faults) => faults.to_string().lines().map(str::to_owned).collect(),
    }
}

fn shown(settings: Settings) -> String {
    let lines: Vec<String> = settings
        .finish()
        .unwrap()
        .iter()
        .map(Effective::to_string)
        .collect();
    lines.join("\n")
}

#[test]
fn all_faults_are_reported_at_once_with_an_example() {
    let mut settings = Settings::from_pairs([
        ("WEBHOOK_RETRY_ATTEMPTS", "11"),
        ("WEBHOOK_TIMEOUT", "soon"),
        ("WEBHOOK_ALLOW_HTTP", "maybe"),
    ]);
    let url = required("WEBHOOK_URL", "https://example.org/webhook");
    assert_eq!(settings.value::<String>(&url), None);
    let attempts = small("WEBHOOK_RETRY_ATTEMPTS", DefaultValue::Number(3));
    assert_eq!(settings.value(&attempts), Some(3));
    assert_eq!(
        settings.value(&shared::WEBHOOK_TIMEOUT),
        Some(shared::TIMEOUT)
    );
    assert!(!settings.flag(&switch("WEBHOOK_ALLOW_HTTP", false)));
    let token = Setting {
        example: "a-long-random-text",
        ..text("PRODUCER_TOKEN")
    };
    settings.fault(&token, "is needed on any address but loopback");
    assert_eq!(
        faults(settings),
        [
            "WEBHOOK_URL is not set; for example WEBHOOK_URL=https://example.org/webhook",
            "WEBHOOK_RETRY_ATTEMPTS is 11, but must be a number from 0 to 10; for example WEBHOOK_RETRY_ATTEMPTS=7",
            "WEBHOOK_TIMEOUT is \"soon\", but must be a number of milliseconds from 100 to 300000 (invalid digit found in string); for example WEBHOOK_TIMEOUT=30000",
            "WEBHOOK_ALLOW_HTTP is \"maybe\", but must be true or false (yes, no, 1 and 0 are also valid); for example WEBHOOK_ALLOW_HTTP=true",
            "PRODUCER_TOKEN is needed on any address but loopback; for example PRODUCER_TOKEN=a-long-random-text",
        ]
    );
}

#[test]
fn valid_value_is_used_and_absent_value_has_its_default() {
    let mut settings =
        Settings::from_pairs([("A", " 7 "), ("B", "YES"), ("C", "text"), ("D", "5")]);
    let three = DefaultValue::Number(3);
    assert_eq!(settings.value(&small("A", three)), Some(7));
    assert!(settings.flag(&switch("B", false)));
    assert_eq!(read_text(&mut settings, "C").as_deref(), Some("text"));
    assert_eq!(settings.value(&small("D", DefaultValue::None)), Some(5));
    assert_eq!(settings.value(&small("E", three)), Some(3));
    assert!(settings.flag(&switch("F", true)));
    assert_eq!(read_text(&mut settings, "G"), None);
    let absent: Option<u32> = settings.value(&small("H", DefaultValue::None));
    assert_eq!(absent, None);
    assert_eq!(settings.secret(&text("I")), None);
    assert_eq!(
        shown(settings),
        "A=7\nB=true\nC=text\nD=5\nE=3\nF=true\nG=(not set)\nH=(not set)\nI=(not set)"
    );
}

#[test]
fn required_value_is_one_fault_when_absent_or_invalid() {
    let mut settings = Settings::from_pairs([("WRONG", "soon"), ("RIGHT", "7")]);
    let number = |name| small(name, DefaultValue::Required);
    assert_eq!(settings.value::<u32>(&number("ABSENT")), None);
    assert_eq!(settings.value::<u32>(&number("WRONG")), None);
    assert_eq!(settings.value(&number("RIGHT")), Some(7));
    assert_eq!(
        faults(settings),
        [
            "ABSENT is not set; for example ABSENT=7",
            "WRONG is \"soon\", but must be a number from 0 to 10 (invalid digit found in string); for example WRONG=7",
        ]
    );
}

#[test]
fn ends_of_a_range_are_valid() {
    let mut settings = Settings::from_pairs([("LOW", "0"), ("HIGH", "10"), ("BEYOND", "-1")]);
    for (name, value) in [("LOW", 0), ("HIGH", 10), ("BEYOND", 3)] {
        let number = small(name, DefaultValue::Number(3));
        assert_eq!(settings.value(&number), Some(value));
    }
    assert_eq!(faults(settings).len(), 1);
}

#[test]
fn invalid_default_is_a_fault() {
    let mut settings = Settings::from_pairs([("B", "1")]);
    let broken = small("A", DefaultValue::Text("many"));
    assert_eq!(settings.value::<u32>(&broken), None);
    assert!(faults(settings)[0].contains("A has the default \"many\""));
}

#[test]
fn an_empty_value_counts_as_unset() {
    let mut settings = Settings::from_pairs([("A", ""), ("B", "  "), ("C", ""), ("C_FILE", "")]);
    assert_eq!(read_text(&mut settings, "A"), None);
    assert_eq!(
        settings.value(&small("B", DefaultValue::Number(4))),
        Some(4)
    );
    assert_eq!(settings.secret(&text("C")), None);
    assert!(settings.unknown(&["A", "B", "C"]).is_empty());
    assert!(faults(settings).is_empty());
}

#[test]
fn a_secret_is_read_from_a_file_without_its_line_end() {
    let folder = Folder::new();
    for (text, secret) in [
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        (" s3 \n\n", " s3 \n"),
    ] {
        let path = folder.file("secret", text);
        let mut settings = Settings::from_pairs([("WEBHOOK_SECRET_FILE", path)]);
        assert_eq!(
            settings.secret(&shared::WEBHOOK_SECRET).as_deref(),
            Some(secret)
        );
        assert!(settings.unknown(&["WEBHOOK_"]).is_empty());
        assert_eq!(shown(settings), "WEBHOOK_SECRET=[redacted]");
    }
}

#[test]
fn address_with_a_password_is_read_from_a_file() {
    let folder = Folder::new();
    let path = folder.file("uri", "amqp://app:hunter2@broker\n");
    let mut settings = Settings::from_pairs([("AMQP_URL_FILE", path)]);
    let url: Option<String> = settings.value(&shared::AMQP_URL);
    assert_eq!(url.as_deref(), Some("amqp://app:hunter2@broker"));
    assert_eq!(shown(settings), "AMQP_URL=amqp://[redacted]@broker");
}

#[test]
fn empty_or_missing_secret_file_is_a_fault() {
    let folder = Folder::new();
    let empty = folder.file("empty", "\n");
    let missing = folder.0.join("missing").to_str().unwrap().to_owned();
    let mut settings = Settings::from_pairs([("A_FILE", empty.as_str()), ("B_FILE", &missing)]);
    assert_eq!(settings.secret(&text("A")), None);
    assert_eq!(settings.secret(&text("B")), None);
    let faults = faults(settings);
    assert_eq!(faults[0], format!("A_FILE names {empty}, which is empty"));
    assert!(faults[1].starts_with(&format!("B_FILE names {missing}, which cannot be read: ")));
}

#[test]
fn a_variable_and_its_file_together_are_one_fault() {
    let folder = Folder::new();
    let path = folder.file("secret", "other");
    let mut settings = Settings::from_pairs([("URL", "given"), ("URL_FILE", &path)]);
    assert_eq!(settings.value::<String>(&required("URL", "x")), None);
    assert_eq!(
        faults(settings),
        ["URL is set together with URL_FILE: keep one of the two"]
    );
}

#[test]
fn neither_faults_nor_the_effective_settings_show_a_secret() {
    let pairs = [
        ("WEBHOOK_SECRET", "hunter2"),
        ("AMQP_URL", "amqp://app:hunter2@broker"),
        ("MONGODB_URI", "mongodb://app:hunter2@host"),
    ];
    let mut settings = Settings::from_pairs(pairs);
    settings.secret(&shared::WEBHOOK_SECRET);
    settings.value::<String>(&shared::AMQP_URL);
    settings.value::<String>(&shared::MONGODB_URI);
    let text = shown(settings);
    assert!(!text.contains("hunter2"), "{text}");

    /// Parser whose error quotes its input.
    #[derive(Debug)]
    struct Quoting;
    impl FromStr for Quoting {
        type Err = String;
        fn from_str(text: &str) -> Result<Self, String> {
            Err(format!("bad: {text}"))
        }
    }
    impl Display for Quoting {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Ok(())
        }
    }
    let mut settings = Settings::from_pairs(pairs);
    settings.value::<Quoting>(&shared::MONGODB_URI);
    let text = faults(settings).join("\n");
    assert!(
        text.contains("MONGODB_URI is \"mongodb://[redacted]@host\""),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn error_of_a_list_of_urls_is_reported_without_their_logins() {
    for (text, problem) in [
        (
            "amqp://app:hunter2@a,,b",
            "is \"amqp://[redacted]@a,,b\", but must be the broker's address (provided string was not \
             `true` or `false`)",
        ),
        (
            "amqp://app:hun/ter2@a,b",
            "is not a valid URL (provided string was not `true` or `false`); it must be the \
             broker's address",
        ),
    ] {
        let mut settings = Settings::from_pairs([("AMQP_URL", text)]);
        settings.value::<bool>(&shared::AMQP_URL);
        let faults = faults(settings);
        assert!(faults[0].contains(problem), "{faults:?}");
    }
}

#[test]
fn environment_takes_precedence_over_the_dotenv_file() {
    let folder = Folder::new();
    let file = "\u{feff}A=file\nB=file\n# a comment\nC='two words'\nD=file\n";
    let mut settings = folder.dotenv(file, &[("B", "environment"), ("D", "")]);
    assert_eq!(read_text(&mut settings, "A").as_deref(), Some("file"));
    assert_eq!(
        read_text(&mut settings, "B").as_deref(),
        Some("environment")
    );
    assert_eq!(read_text(&mut settings, "C").as_deref(), Some("two words"));
    assert_eq!(
        read_text(&mut settings, "D"),
        None,
        "an empty variable disables the file's line"
    );
    assert!(faults(settings).is_empty());
}

#[test]
fn value_of_the_dotenv_file_is_known_as_such() {
    let folder = Folder::new();
    let file = "A=1\nB=1\nC_FILE=/nonexistent\nD=1\nE=\n";
    let mut settings = folder.dotenv(file, &[("B", "2")]);
    settings.outrank(&text("D"), "3".to_owned());
    let is_in = |name| {
        let setting = text(name);
        (
            settings.is_in_dotenv(&setting),
            settings.is_value_in_dotenv(&setting),
        )
    };
    assert_eq!(is_in("A"), (true, true));
    assert_eq!(is_in("C"), (true, false));
    for name in ["B", "D", "F"] {
        assert_eq!(is_in(name), (false, false), "{name}");
    }
}

#[test]
fn missing_dotenv_file_is_accepted() {
    let folder = Folder::new();
    let settings = Settings::read(&folder.0.join(".env"), std::iter::empty());
    assert!(faults(settings).is_empty());
}

#[test]
fn a_malformed_dotenv_file_is_a_fault_that_quotes_nothing() {
    let folder = Folder::new();
    let settings = folder.dotenv("A=1\nSECRET=hunter2 hunter3\nB=2\nnothing\n", &[]);
    let faults = faults(settings);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults[0].contains(".env line 2 is not NAME=value"),
        "{faults:?}"
    );
    assert!(
        faults[1].contains(".env line 4 is not NAME=value"),
        "{faults:?}"
    );
    assert!(!faults.concat().contains("hunter"), "{faults:?}");
}

#[test]
fn a_dotenv_file_that_cannot_be_read_is_a_fault() {
    let folder = Folder::new();
    fs::create_dir(folder.0.join(".env")).unwrap();
    let settings = Settings::read(&folder.0.join(".env"), std::iter::empty());
    let faults = faults(settings);
    assert!(faults[0].contains(".env cannot be read: "), "{faults:?}");
}

#[test]
fn value_that_is_not_utf8_is_a_fault_only_when_looked_up() {
    let environment = || {
        let latin1 = OsString::from_vec(vec![0xe9]);
        [("A".into(), latin1.clone()), (latin1, "x".into())].into_iter()
    };
    assert!(
        faults(Settings::read(
            Path::new("/nonexistent/.env"),
            environment()
        ))
        .is_empty()
    );
    let mut settings = Settings::read(Path::new("/nonexistent/.env"), environment());
    assert_eq!(read_text(&mut settings, "A"), None);
    assert_eq!(faults(settings), ["A is not UTF-8 text"]);
}

#[test]
fn misspelt_variable_is_found() {
    let mut settings = Settings::from_pairs([
        ("WEBHOOK_URL", "x"),
        ("WEBHOOK_SECRET", "x"),
        ("WEBHOOK_RETRYS", "3"),
        ("CONSUMER_LISTEN_FILE", "x"),
        ("PATH", "/bin"),
    ]);
    read_text(&mut settings, "WEBHOOK_URL");
    settings.secret(&shared::WEBHOOK_SECRET);
    assert_eq!(
        settings.unknown(&["WEBHOOK_", "CONSUMER_"]),
        ["CONSUMER_LISTEN_FILE", "WEBHOOK_RETRYS"]
    );
}

#[test]
fn override_replaces_a_variable_and_its_file() {
    let given = [("A", "from the environment"), ("B_FILE", "/no/such/file")];
    let mut settings = Settings::from_pairs(given);
    for name in ["A", "B"] {
        settings.outrank(&text(name), "from an option".to_owned());
        let value = read_text(&mut settings, name);
        assert_eq!(value.as_deref(), Some("from an option"));
    }
    assert!(settings.finish().is_ok());
}
