//! Redaction of secrets in URLs.

const REDACTED: &str = "[redacted]";

/// Parts of the names of query parameters that contain a secret. Mongo's
/// `authMechanismProperties` may hold a session token, Azure's `code` is a key.
const SECRET_PARAMETERS: [&str; 8] = [
    "token",
    "secret",
    "passw",
    "key",
    "sig",
    "credential",
    "mechanismproperties",
    "code",
];

/// Replaces the password of a URL and the secrets in its query by `[redacted]`. Text
/// that is not a URL is returned unchanged.
///
/// No URL grammar is used, because secrets must also be hidden in a URL that no parser
/// accepts, such as one with an unescaped `/` or `@` in the password: everything from
/// the first `:` to the last `@` counts as a password, unless it is clearly a port.
/// Hiding too much is harmless.
#[must_use]
pub fn redact_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    match split_login(rest) {
        Some((user, host)) => format!("{scheme}://{user}:{REDACTED}@{}", redact_query(host)),
        None => format!("{scheme}://{}", redact_query(rest)),
    }
}

/// Returns the text before and after the password.
fn split_login(rest: &str) -> Option<(&str, &str)> {
    let (user, after) = rest.split_once(':')?;
    let (_, host) = after.rsplit_once('@')?;
    let first_part = after.split(['/', '?', '#']).next()?;
    let is_port = !first_part.is_empty() && first_part.bytes().all(|b| b.is_ascii_digit());
    (!is_port).then_some((user, host))
}

fn redact_query(text: &str) -> String {
    let Some((before, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    let shown: Vec<String> = query.split('&').map(redact_parameter).collect();
    format!("{before}?{}", shown.join("&"))
}

fn redact_parameter(parameter: &str) -> String {
    let Some((name, _)) = parameter.split_once('=') else {
        return parameter.to_owned();
    };
    let lower = name.to_ascii_lowercase();
    if SECRET_PARAMETERS.iter().any(|part| lower.contains(part)) {
        format!("{name}={REDACTED}")
    } else {
        parameter.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::redact_url;

    #[test]
    fn password_is_never_shown() {
        for (given, shown) in [
            (
                "amqp://guest:hunter2@broker:5672/%2f",
                "amqp://guest:[redacted]@broker:5672/%2f",
            ),
            ("amqp://:hunter2@broker", "amqp://:[redacted]@broker"),
            (
                "mongodb://app:hunter2@a:27017,b:27017/?authSource=admin",
                "mongodb://app:[redacted]@a:27017,b:27017/?authSource=admin",
            ),
            (
                "https://app:hun@ter2@host/x",
                "https://app:[redacted]@host/x",
            ),
        ] {
            assert_eq!(redact_url(given), shown);
        }
    }

    #[test]
    fn password_in_a_malformed_url_is_not_shown() {
        for given in [
            "amqp://guest:hun/ter2@broker",
            "amqp://guest:hun?ter2@broker",
            "amqp://guest:hun#ter2@broker",
            "amqp://gu/est:hunter2@broker",
            "amqp://a:hun@b,amqp://c:ter2@d",
            "amqp://guest:12@hunter2@broker",
        ] {
            let shown = redact_url(given);
            assert!(!shown.contains("hun") && !shown.contains("ter2"), "{shown}");
        }
    }

    #[test]
    fn secret_in_the_query_is_not_shown() {
        assert_eq!(
            redact_url("https://host/hook?room=7&access_token=hunter2&X-Signature=hunter2"),
            "https://host/hook?room=7&access_token=[redacted]&X-Signature=[redacted]"
        );
    }

    #[test]
    fn text_without_a_secret_is_shown_unchanged() {
        for text in [
            "http://127.0.0.1:4000/webhook",
            "http://host:8080/@me?mail=a@b",
            "mongodb://localhost:27017",
            "127.0.0.1:8080",
            "a plain text",
            "",
        ] {
            assert_eq!(redact_url(text), text);
        }
    }
}
