use super::*;

#[track_caller]
fn assert_shown(rows: &[(&str, &str)]) {
    for (given, shown) in rows {
        assert_eq!(redact_url(given), *shown, "{given}");
    }
}

#[test]
fn every_login_is_redacted() {
    assert_shown(&[
        (
            "amqp://guest:hunter2@broker:5672/%2f",
            "amqp://[redacted]@broker:5672/%2f",
        ),
        ("amqp://:hunter2@broker", "amqp://[redacted]@broker"),
        ("https://token@host/hook", "https://[redacted]@host/hook"),
        (
            "https://token:@host:8443/hook",
            "https://[redacted]@host:8443/hook",
        ),
        ("https:/user:pw@host/hook", "https://[redacted]@host/hook"),
        ("https:user:pw@host/hook", "https://[redacted]@host/hook"),
        (
            "https:\\\\user:pw@host\\hook",
            "https://[redacted]@host/hook",
        ),
        ("https://app:hun@ter2@host/x", "https://[redacted]@host/x"),
        (
            "mongodb://app:hunter2@a:27017,b:27017/?authSource=admin",
            "mongodb://[redacted]@a:27017,b:27017/?authSource=admin",
        ),
        (
            "amqp://app:hunter2@a:5672,b:5672,[::1]/%2f?heartbeat=5",
            "amqp://[redacted]@a:5672,b:5672,[::1]/%2f?heartbeat=5",
        ),
        (
            "amqp://app:hunter2@a/%2f,amqps://hunter2@b,c,amqp://d",
            "amqp://[redacted]@a/%2f,amqps://[redacted]@b,c,amqp://d",
        ),
    ]);
}

#[test]
fn query_values_are_redacted_unless_their_names_are_harmless() {
    assert_shown(&[
        (
            "https://host/hook?page=7&access_token=hunter2&X-Signature=hunter2",
            "https://host/hook?page=7&access_token=[redacted]&X-Signature=[redacted]",
        ),
        (
            "https://host/?auth=a&pwd=b&pass=c&jwt=d&room=7",
            "https://host/?auth=[redacted]&pwd=[redacted]&pass=[redacted]&jwt=[redacted]\
             &room=[redacted]",
        ),
        (
            "https://host/?%74oken=hunter2",
            "https://host/?%74oken=[redacted]",
        ),
        ("https://host/?hunter2", "https://host/?[redacted]"),
        ("https://host/?aHVudGVyMg==", "https://host/?[redacted]"),
        (
            "https://host/?page=1;token=hunter2",
            "https://host/?page=[redacted]",
        ),
        ("https://host/#hunter2", "https://host/#[redacted]"),
        (
            "amqp://broker/%2f?heartbeat=5&frame_max=16384",
            "amqp://broker/%2f?heartbeat=5&frame_max=16384",
        ),
        (
            "mongodb://db/?authMechanismProperties=AWS_SESSION_TOKEN:hunter2&replicaSet=rs0",
            "mongodb://db/?authMechanismProperties=[redacted]&replicaSet=rs0",
        ),
    ]);
}

#[test]
fn nothing_of_a_text_that_is_not_a_url_is_shown() {
    for given in [
        "user:hunter2@host/hook",
        "amqp://guest:hun/ter2@broker",
        "amqp://guest:hun?ter2@broker",
        "amqp://guest:hun#ter2@broker",
        "https://host:port/hook",
        "example.com/hook",
        "localhost:8080",
        "amqp://app:hunter2@a,amqp://guest:hun/ter2@b",
        "",
    ] {
        assert_eq!(redact_url(given), "[redacted]", "{given}");
    }
    for given in [
        "amqp://gu/est:hunter2@broker",
        "amqp://a:hunter2@b,amqp://c:hunter2@d",
        "amqp://guest:12/hunter2@broker",
        "amqp://a,amqp://guest:12/hunter2@broker",
        "amqp://a:hunter2@b,http://c:hunter2@d",
    ] {
        assert!(!redact_url(given).contains("hunter2"), "{given}");
    }
}

#[test]
fn a_url_without_a_secret_is_shown_unchanged() {
    for text in [
        "http://127.0.0.1:4000/webhook",
        "http://host:8080/@me/a:b",
        "mongodb://localhost:27017",
        "mongodb://a:27017,b:27017",
        "amqp://a:5672,b/%2f,amqps://c",
        "https://[::1]:8443/",
    ] {
        assert_eq!(redact_url(text), text);
    }
}

#[test]
fn secrets_in_a_redirect_target_are_redacted() {
    for (given, shown) in [
        ("/next?token=hunter2#hunter2", "/next?token=[redacted]"),
        ("next?page=2", "next?page=2"),
        ("//user:pw@host/next", "//[redacted]@host/next"),
        ("https:/user:pw@host/next", "https://[redacted]@host/next"),
        ("user:pw@host/next", "[redacted]"),
        ("https://host:bad/?token=hunter2", "[redacted]"),
        ("", ""),
    ] {
        assert_eq!(redact_reference(given), shown, "{given}");
    }
}

#[test]
fn the_value_of_a_setting_is_shown_unless_it_may_contain_a_login() {
    assert_eq!(
        redact_value("127.0.0.1:8080").as_deref(),
        Some("127.0.0.1:8080")
    );
    assert_eq!(
        redact_value("a plain text").as_deref(),
        Some("a plain text")
    );
    assert_eq!(redact_value("user:hunter2@host"), None);
    assert_eq!(
        redact_value("amqp://a:b@host").as_deref(),
        Some("amqp://[redacted]@host")
    );
}
