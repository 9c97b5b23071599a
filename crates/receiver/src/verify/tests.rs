use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::*;
use keys::hmac;

const SECRET: &str = "a secret of the tests";
const ENCODED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW: UnixMillis = UnixMillis::new(1_727_784_000_500);
const BODY: &[u8] = br#"{"event":"ready","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;

/// Request to verify, signed without the programs' signer.
struct Request {
    headers: HeaderMap,
    body: Vec<u8>,
}

fn keys(text: &str) -> Keys {
    Keys::new(text.to_owned()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a request signed as documented, with these two keys.
fn signed(plain: &[u8], standard: &[u8], body: &[u8]) -> Request {
    let mut request = Request {
        headers: HeaderMap::new(),
        body: body.to_vec(),
    };
    request.set("webhook-id", "evt_1");
    request.set("webhook-timestamp", "1727784000");
    request.set("x-webhook-signature", &hex(&hmac(plain, &[body])));
    let standard = hmac(standard, &[b"evt_1.1727784000.", body]);
    request.set(
        "webhook-signature",
        &format!("v1,{}", BASE64_STANDARD.encode(standard)),
    );
    request
}

fn by_secret(secret: &str) -> Request {
    signed(secret.as_bytes(), secret.as_bytes(), BODY)
}

impl Request {
    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, value.parse().unwrap());
    }

    fn verified(&self, secret: &str, earlier: EarlierRequests) -> Verdict {
        verify(&self.headers, &self.body, Some(&keys(secret)), NOW, earlier)
    }

    /// Returns the codes of both checks.
    fn codes(&self) -> [&'static str; 2] {
        codes(&self.verified(SECRET, EarlierRequests::default()))
    }
}

fn codes(verdict: &Verdict) -> [&'static str; 2] {
    [&verdict.body_signature, &verdict.standard_webhooks].map(|check| match check {
        Check::Valid => "valid",
        Check::NoSecret => "no-secret",
        Check::Invalid(fault) => fault.code(),
    })
}

#[test]
fn request_signed_as_documented_is_valid() {
    assert_eq!(by_secret(SECRET).codes(), ["valid", "valid"]);
    assert!(
        by_secret(SECRET)
            .verified(SECRET, EarlierRequests::default())
            .is_valid()
    );
    // RFC 4231, test case 2, and the example of Standard Webhooks.
    let mut request = signed(b"Jefe", b"Jefe", b"what do ya want for nothing?");
    request.set(
        "x-webhook-signature",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
    assert!(
        request
            .verified("Jefe", EarlierRequests::default())
            .is_valid()
    );
    let mut specified = by_secret(SECRET);
    specified.set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
    specified.set("webhook-timestamp", "1614265330");
    specified.set(
        "webhook-signature",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    );
    let body = br#"{"test": 2432232314}"#;
    let then = UnixMillis::new(1_614_265_330_000);
    let verdict = verify(
        &specified.headers,
        body,
        Some(&keys(ENCODED)),
        then,
        EarlierRequests::default(),
    );
    assert_eq!(verdict.standard_webhooks, Check::Valid);
}

#[test]
fn encoded_secret_is_text_for_one_header_and_bytes_for_the_other() {
    let bytes = BASE64_STANDARD.decode(&ENCODED[6..]).unwrap();
    let right = signed(ENCODED.as_bytes(), &bytes, BODY);
    assert!(
        right
            .verified(ENCODED, EarlierRequests::default())
            .is_valid()
    );
    let swapped = signed(&bytes, ENCODED.as_bytes(), BODY);
    let verdict = swapped.verified(ENCODED, EarlierRequests::default());
    assert_eq!(codes(&verdict), ["secret-decoded", "secret-as-text"]);
}

#[test]
fn one_right_signature_is_enough_during_a_rotation() {
    let mut request = by_secret(SECRET);
    let right = request.headers["webhook-signature"].to_str().unwrap();
    let old = by_secret("the old one").headers["webhook-signature"].clone();
    let both = format!("v1a,ignored {} {right}", old.to_str().unwrap());
    request.set("webhook-signature", &both);
    assert_eq!(request.codes(), ["valid", "valid"]);
}

#[test]
fn missing_headers_are_detected_without_a_secret() {
    let mut request = by_secret(SECRET);
    let verdict = |request: &Request| {
        verify(
            &request.headers,
            &request.body,
            None,
            NOW,
            EarlierRequests::default(),
        )
    };
    assert_eq!(codes(&verdict(&request)), ["no-secret", "no-secret"]);
    request.headers.remove("x-webhook-signature");
    request.headers.remove("webhook-id");
    assert_eq!(codes(&verdict(&request)), ["missing", "missing"]);
}

#[test]
fn malformed_header_is_distinguished_from_a_wrong_one() {
    let digits = hex(&hmac(SECRET.as_bytes(), &[BODY]));
    for (value, expected) in [
        (format!("sha256={digits}"), "a name and ="),
        (digits.to_uppercase(), "upper case"),
        (digits[..62].to_owned(), "wrong length"),
        (format!("{}zz", &digits[..62]), "invalid characters"),
    ] {
        let mut request = by_secret(SECRET);
        request.set("x-webhook-signature", &value);
        assert_eq!(request.codes(), ["malformed", "valid"]);
        let verdict = request.verified(SECRET, EarlierRequests::default());
        let Check::Invalid(fault) = verdict.body_signature else {
            panic!("{value} is not valid");
        };
        assert!(fault.to_string().contains(expected), "{fault}");
    }
    for value in ["", "v1", "v1,?", "v1,AAAA", "v2,AAAA"] {
        let mut request = by_secret(SECRET);
        request.set("webhook-signature", value);
        assert_eq!(request.codes(), ["valid", "malformed"], "{value}");
    }
    let mut request = by_secret(SECRET);
    let again = request.headers["x-webhook-signature"].clone();
    request.headers.append("x-webhook-signature", again);
    assert_eq!(request.codes(), ["repeated", "valid"]);
}

#[test]
fn timestamp_may_be_five_minutes_off_and_not_a_second_more() {
    let at = |arrived_s: i64| {
        let request = by_secret(SECRET);
        let arrived = UnixMillis::new(arrived_s * 1_000);
        let verdict = verify(
            &request.headers,
            BODY,
            Some(&keys(SECRET)),
            arrived,
            EarlierRequests::default(),
        );
        (codes(&verdict), verdict)
    };
    for right in [1_727_783_700, 1_727_784_300] {
        assert_eq!(at(right).0, ["valid", "valid"]);
    }
    for (off, expected) in [
        (1_727_783_699, "301 s in the future"),
        (1_727_784_301, "301 s old"),
    ] {
        let (codes, verdict) = at(off);
        assert_eq!(codes, ["valid", "timestamp-off"]);
        let Check::Invalid(fault) = verdict.standard_webhooks else {
            panic!("it is off");
        };
        assert!(fault.to_string().contains(expected), "{fault}");
    }
    for value in ["1727784000500", "2024-10-01", "-1", "+1", ""] {
        let mut request = by_secret(SECRET);
        request.set("webhook-timestamp", value);
        assert_eq!(request.codes(), ["valid", "timestamp-malformed"], "{value}");
    }
}

#[test]
fn reserialised_json_is_recognised() {
    let mut request = by_secret(SECRET);
    request.body =
        br#"{"event": "ready", "data": {}, "timestamp": "2024-10-01T12:00:00.000Z"}"#.to_vec();
    assert_eq!(request.codes(), ["json-reserialised", "json-reserialised"]);
}

#[test]
fn added_or_removed_line_end_is_recognised() {
    let mut request = by_secret(SECRET);
    request.body.extend(b"\n");
    assert_eq!(request.codes(), ["line-end", "line-end"]);
    let with_line_end = [BODY, b"\n"].concat();
    let mut request = signed(SECRET.as_bytes(), SECRET.as_bytes(), &with_line_end);
    request.body = BODY.to_vec();
    assert_eq!(request.codes(), ["line-end", "line-end"]);
}

#[test]
fn secret_with_a_line_end_or_quotes_is_recognised() {
    for mistaken in [format!("{SECRET}\n"), format!("\"{SECRET}\"")] {
        let request = by_secret(&mistaken);
        assert_eq!(request.codes(), ["secret-spaced", "secret-spaced"]);
    }
}

#[test]
fn swapped_schemes_are_recognised() {
    let body = hmac(SECRET.as_bytes(), &[BODY]);
    let standard = hmac(SECRET.as_bytes(), &[b"evt_1.1727784000.", BODY]);
    let mut request = by_secret(SECRET);
    request.set("x-webhook-signature", &hex(&standard));
    request.set(
        "webhook-signature",
        &format!("v1,{}", BASE64_STANDARD.encode(body)),
    );
    assert_eq!(request.codes(), ["other-scheme", "other-scheme"]);
}

#[test]
fn changed_header_is_recognised_if_the_other_signature_is_right() {
    let mut request = by_secret(SECRET);
    request.set("webhook-id", "evt_2");
    assert_eq!(request.codes(), ["valid", "headers-altered"]);
    let mut request = by_secret(SECRET);
    request.set("x-webhook-signature", &"0".repeat(64));
    assert_eq!(request.codes(), ["headers-altered", "valid"]);
}

#[test]
fn other_secret_is_reported_until_a_request_has_verified() {
    let other = by_secret("another secret");
    assert_eq!(other.codes(), ["other-secret", "other-secret"]);
    let known = EarlierRequests {
        secret_has_verified: true,
        ..EarlierRequests::default()
    };
    let verdict = other.verified(SECRET, known);
    assert_eq!(codes(&verdict), ["secret-or-body", "secret-or-body"]);
}

#[test]
fn changed_body_is_recognised_by_its_form_or_by_another_attempt() {
    let mut request = by_secret(SECRET);
    request.body = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#.to_vec();
    let earlier = EarlierRequests {
        same_id_had_another_body: true,
        secret_has_verified: true,
    };
    let verdict = request.verified(SECRET, earlier);
    let differs = Check::Invalid(Fault::Wrong(Cause::BodyDiffers));
    assert_eq!(verdict.body_signature, differs);
    request.body = br#"{ "event": "call" "#.to_vec();
    let verdict = request.verified(SECRET, EarlierRequests::default());
    let broken = Check::Invalid(Fault::Wrong(Cause::BodyNotCanonical));
    assert_eq!(verdict.standard_webhooks, broken);
}

#[test]
fn secret_is_never_shown() {
    assert_eq!(format!("{:?}", keys("hunter2hunter2")), "[redacted]");
}
