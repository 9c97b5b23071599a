//! Tests of signatures.

use super::*;

const BODY: &[u8] = r#"{"a":"á"}"#.as_bytes();
const SECRET: &[u8] = b"s3cret";
/// `printf %s '{"a":"á"}' | openssl dgst -sha256 -hmac s3cret`
const SHA256: &str = "8262e3c46ba4d83e493db28120a2513b51a282347c192a1a681094eb64babc9b";
/// `printf %s '{"a":"á"}' | openssl dgst -sha512 -hmac s3cret`
const SHA512: &str = "d0f7a4ccc5a227f010c09c916b9a38dd25ba92d51f016824128c3984bab40b63\
        8925ea1ea626a08639a6e66db1bc0f3bfb84b728ab4d1f0b2573cf0847a8294c";

fn verify(kind: Kind, headers: &[(&str, &str)], body: &[u8], secret: &[u8]) -> Verification {
    let header = |name: &str| {
        let mut headers = headers.iter();
        headers
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    };
    super::verify(
        kind,
        header,
        body,
        secret,
        UnixMillis::new(1_732_780_000_000),
    )
}

fn signed(kind: Kind) -> Vec<(&'static str, String)> {
    match kind {
        Kind::Wahook => vec![("x-webhook-signature", SHA256.to_owned())],
        Kind::Waha => vec![
            ("x-webhook-hmac", SHA512.to_owned()),
            ("x-webhook-hmac-algorithm", "sha512".to_owned()),
        ],
        Kind::Wuzapi => vec![("x-hmac-signature", SHA256.to_owned())],
        Kind::Gowa | Kind::Meta | Kind::Generic => {
            vec![("x-hub-signature-256", format!("sha256={SHA256}"))]
        }
        Kind::Evolution => vec![("authorization", format!("Bearer {}", jwt::tests::TOKEN))],
        Kind::Wwebjs | Kind::Wppconnect | Kind::OpenWa => vec![],
    }
}

#[test]
fn signature_of_each_kind_is_verified() {
    for kind in Kind::ALL.into_iter().filter(|kind| can_sign(*kind)) {
        let headers = signed(kind);
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(
            verify(kind, &headers, BODY, SECRET),
            Verification::Valid,
            "{kind}"
        );
        assert_eq!(
            verify(kind, &headers, BODY, b"other"),
            Verification::Wrong,
            "{kind}"
        );
        assert_eq!(
            verify(kind, &headers, BODY, b""),
            Verification::Wrong,
            "{kind}"
        );
        assert_eq!(
            verify(kind, &[], BODY, SECRET),
            Verification::Missing,
            "{kind}"
        );
        if kind != Kind::Evolution {
            assert_eq!(
                verify(kind, &headers, b"{}", SECRET),
                Verification::Wrong,
                "{kind}"
            );
        }
    }
}

#[test]
fn fields_of_a_multipart_body_are_verified() {
    let body = b"--X\r\nContent-Disposition: form-data; name=\"userID\"\r\n\r\n1b2c\r\n\
            --X\r\nContent-Disposition: form-data; name=\"jsonData\"\r\n\r\n{\"a\":\"<b>\"}\r\n\
            --X--\r\n";
    // printf %s '{"jsonData":"{\"a\":\"\u003cb\u003e\"}","userID":"1b2c"}' |
    //   openssl dgst -sha256 -hmac s3cret
    let mac = "0c07780796e89c24285e8a78bd17aecaf6b3926c0cfc33511b71c531488cf630";
    let headers = [
        ("content-type", "multipart/form-data; boundary=X"),
        ("x-hmac-signature", mac),
    ];
    assert_eq!(
        verify(Kind::Wuzapi, &headers, body, SECRET),
        Verification::Valid
    );
    assert_eq!(
        verify(Kind::Wuzapi, &headers, b"{}", SECRET),
        Verification::Wrong
    );
    // The check must not cover one text, and the event come from another one.
    let other = b"--X\r\nContent-Disposition: form-data; name=\"jsonData\"\r\n\r\n{\"b\":1}\r\n";
    assert_eq!(
        verify(Kind::Wuzapi, &headers, &[other, &body[..]].concat(), SECRET),
        Verification::Wrong
    );
}

#[test]
fn kind_without_signatures_has_none() {
    let all: Vec<_> = Kind::ALL.into_iter().flat_map(signed).collect();
    let all: Vec<_> = all
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    for kind in Kind::ALL.into_iter().filter(|kind| !can_sign(*kind)) {
        assert_eq!(
            verify(kind, &all, BODY, SECRET),
            Verification::Missing,
            "{kind}"
        );
    }
}

#[test]
fn signature_of_another_form_is_wrong() {
    let upper = SHA512.to_uppercase();
    for (headers, expected) in [
        (vec![("x-webhook-hmac", SHA512)], Verification::Valid),
        (vec![("x-webhook-hmac", &*upper)], Verification::Valid),
        (vec![("x-webhook-hmac", SHA256)], Verification::Wrong),
        (vec![("x-webhook-hmac", "")], Verification::Wrong),
        (vec![("x-webhook-hmac", &SHA512[1..])], Verification::Wrong),
        (vec![("x-webhook-hmac", &SHA512[2..])], Verification::Wrong),
        (
            vec![("x-webhook-hmac", &SHA512[..126])],
            Verification::Wrong,
        ),
        (vec![("x-webhook-hmac", "ééé")], Verification::Wrong),
        (
            vec![
                ("x-webhook-hmac", SHA512),
                ("x-webhook-hmac-algorithm", "md5"),
            ],
            Verification::Wrong,
        ),
    ] {
        assert_eq!(
            verify(Kind::Waha, &headers, BODY, SECRET),
            expected,
            "{headers:?}"
        );
    }
    for other in [SHA256, "sha256=", "sha1=00", "sha256", ""] {
        let headers = [("x-hub-signature-256", other)];
        assert_eq!(
            verify(Kind::Meta, &headers, BODY, SECRET),
            Verification::Wrong,
            "{other}"
        );
    }
}
