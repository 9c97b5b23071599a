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
    assert_eq!(
        settings.required("WEBHOOK_URL", "https://example.org/webhook"),
        ""
    );
    assert_eq!(
        settings.in_range("WEBHOOK_RETRY_ATTEMPTS", 3, 0..=10, "3"),
        3
    );
    assert_eq!(
        settings.parsed(
            "WEBHOOK_TIMEOUT",
            30_000,
            "a number of milliseconds",
            "30000"
        ),
        30_000
    );
    assert!(!settings.flag("WEBHOOK_ALLOW_HTTP", false));
    settings.fault(
        "PRODUCER_TOKEN",
        "is needed on any address but loopback",
        "a-long-random-text",
    );
    assert_eq!(
        faults(settings),
        [
            "WEBHOOK_URL is not set; for example WEBHOOK_URL=https://example.org/webhook",
            "WEBHOOK_RETRY_ATTEMPTS is 11, but must be a number from 0 to 10; for example WEBHOOK_RETRY_ATTEMPTS=3",
            "WEBHOOK_TIMEOUT is \"soon\", but must be a number of milliseconds (invalid digit found in string); for example WEBHOOK_TIMEOUT=30000",
            "WEBHOOK_ALLOW_HTTP is \"maybe\", but must be true or false (yes, no, 1 and 0 are also valid); for example WEBHOOK_ALLOW_HTTP=true",
            "PRODUCER_TOKEN is needed on any address but loopback; for example PRODUCER_TOKEN=a-long-random-text",
        ]
    );
}

#[test]
fn valid_value_is_used_and_absent_value_has_its_default() {
    let mut settings =
        Settings::from_pairs([("A", " 7 "), ("B", "YES"), ("C", "text"), ("D", "5")]);
    assert_eq!(settings.in_range("A", 3, 0..=10, "3"), 7);
    assert!(settings.flag("B", false));
    assert_eq!(settings.text("C").as_deref(), Some("text"));
    assert_eq!(
        settings.optional::<u32>("D", "a number of days", "30"),
        Some(5)
    );
    assert_eq!(settings.in_range("E", 3, 0..=10, "3"), 3);
    assert!(settings.flag("F", true));
    assert_eq!(settings.text("G"), None);
    assert_eq!(
        settings.optional::<u32>("H", "a number of days", "30"),
        None
    );
    assert_eq!(settings.secret("I"), None);
    assert_eq!(
        shown(settings),
        "A=7\nB=true\nC=text\nD=5\nE=3\nF=true\nG=(not set)\nH=(not set)\nI=(not set)"
    );
}

#[test]
fn required_value_is_one_fault_when_absent_or_invalid() {
    let mut settings = Settings::from_pairs([("WRONG", "soon"), ("RIGHT", "7")]);
    assert_eq!(
        settings.required_parsed::<u32>("ABSENT", "a number", "7"),
        None
    );
    assert_eq!(
        settings.required_parsed::<u32>("WRONG", "a number", "7"),
        None
    );
    assert_eq!(
        settings.required_parsed::<u32>("RIGHT", "a number", "7"),
        Some(7)
    );
    assert_eq!(
        faults(settings),
        [
            "ABSENT is not set; for example ABSENT=7",
            "WRONG is \"soon\", but must be a number (invalid digit found in string); for example WRONG=7",
        ]
    );
}

#[test]
fn ends_of_a_range_are_valid() {
    let mut settings = Settings::from_pairs([("LOW", "0"), ("HIGH", "10"), ("BEYOND", "-1")]);
    assert_eq!(settings.in_range("LOW", 3, 0..=10, "3"), 0);
    assert_eq!(settings.in_range("HIGH", 3, 0..=10, "3"), 10);
    assert_eq!(settings.in_range("BEYOND", 3, 0..=10, "3"), 3);
    assert_eq!(faults(settings).len(), 1);
}

#[test]
fn an_empty_value_counts_as_unset() {
    let mut settings = Settings::from_pairs([("A", ""), ("B", "  "), ("C", ""), ("C_FILE", "")]);
    assert_eq!(settings.text("A"), None);
    assert_eq!(settings.parsed("B", 4, "a number", "4"), 4);
    assert_eq!(settings.secret("C"), None);
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
        assert_eq!(settings.secret("WEBHOOK_SECRET").as_deref(), Some(secret));
        assert!(settings.unknown(&["WEBHOOK_"]).is_empty());
        assert_eq!(shown(settings), "WEBHOOK_SECRET=[redacted]");
    }
}

#[test]
fn address_with_a_password_is_read_from_a_file() {
    let folder = Folder::new();
    let path = folder.file("uri", "amqp://app:hunter2@broker\n");
    let mut settings = Settings::from_pairs([("AMQP_URL_FILE", path)]);
    assert_eq!(
        settings.required("AMQP_URL", "amqp://localhost"),
        "amqp://app:hunter2@broker"
    );
    assert_eq!(shown(settings), "AMQP_URL=amqp://app:[redacted]@broker");
}

#[test]
fn empty_or_missing_secret_file_is_a_fault() {
    let folder = Folder::new();
    let empty = folder.file("empty", "\n");
    let missing = folder.0.join("missing").to_str().unwrap().to_owned();
    let mut settings = Settings::from_pairs([("A_FILE", empty.as_str()), ("B_FILE", &missing)]);
    assert_eq!(settings.secret("A"), None);
    assert_eq!(settings.secret("B"), None);
    let faults = faults(settings);
    assert_eq!(faults[0], format!("A_FILE names {empty}, which is empty"));
    assert!(faults[1].starts_with(&format!("B_FILE names {missing}, which cannot be read: ")));
}

#[test]
fn a_variable_and_its_file_together_are_one_fault() {
    let folder = Folder::new();
    let path = folder.file("secret", "other");
    let mut settings = Settings::from_pairs([("URL", "given"), ("URL_FILE", &path)]);
    assert_eq!(settings.required("URL", "x"), "");
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
    settings.secret("WEBHOOK_SECRET");
    settings.text("AMQP_URL");
    settings.required("MONGODB_URI", "mongodb://localhost");
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
    settings.parsed("AMQP_URL", Quoting, "an AMQP address", "amqp://localhost");
    let text = faults(settings).join("\n");
    assert!(
        text.contains("AMQP_URL is \"amqp://app:[redacted]@broker\""),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn environment_takes_precedence_over_the_dotenv_file() {
    let folder = Folder::new();
    let file = "\u{feff}A=file\nB=file\n# a comment\nC='two words'\nD=file\n";
    let mut settings = folder.dotenv(file, &[("B", "environment"), ("D", "")]);
    assert_eq!(settings.text("A").as_deref(), Some("file"));
    assert_eq!(settings.text("B").as_deref(), Some("environment"));
    assert_eq!(settings.text("C").as_deref(), Some("two words"));
    assert_eq!(
        settings.text("D"),
        None,
        "an empty variable disables the file's line"
    );
    assert!(faults(settings).is_empty());
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
    assert_eq!(settings.text("A"), None);
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
    settings.required("WEBHOOK_URL", "x");
    settings.secret("WEBHOOK_SECRET");
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
        settings.outrank(name, "from an option".to_owned());
        assert_eq!(settings.text(name).as_deref(), Some("from an option"));
    }
    assert!(settings.finish().is_ok());
}
