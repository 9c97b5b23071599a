//! Signatures of the gateways, as their own code makes and verifies them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha512};
use wahook_runtime::clock;
use wahook_tests::receiver::Post;

use crate::encoding::{Encoding, fields};

/// Request id of WAHA, which its receivers may log.
pub(crate) const REQUEST_ID: &str = "01JQREQUEST0000000000000000";

/// Returns true if gateways of this kind can sign.
pub(crate) fn can_sign(kind: &str) -> bool {
    !matches!(kind, "wwebjs" | "wppconnect" | "open-wa")
}

/// Returns the headers of a signed request. `json` is the body before its encoding.
pub(crate) fn sign(
    kind: &str,
    secret: &str,
    encoding: Encoding,
    json: &str,
) -> Vec<(&'static str, String)> {
    let body = encoding.encode(json);
    match kind {
        "waha" => vec![
            ("x-webhook-hmac", sha512(secret, &body)),
            ("x-webhook-hmac-algorithm", "sha512".to_owned()),
            ("x-webhook-request-id", REQUEST_ID.to_owned()),
            ("x-webhook-timestamp", "1732780000123".to_owned()),
        ],
        "wuzapi" if encoding == Encoding::Multipart => {
            let signed = go_json(fields(json));
            vec![("x-hmac-signature", sha256(secret, signed.as_bytes()))]
        }
        "wuzapi" => vec![("x-hmac-signature", sha256(secret, &body))],
        "gowa" | "meta" | "generic" => {
            let mac = sha256(secret, &body);
            vec![("x-hub-signature-256", format!("sha256={mac}"))]
        }
        "wahook" => vec![("x-webhook-signature", sha256(secret, &body))],
        "evolution" => vec![("authorization", format!("Bearer {}", jwt(secret)))],
        _ => Vec::new(),
    }
}

/// Verifies a delivery as a receiver of the gateway does. `None` if the gateway's signature
/// is not one of the body.
pub(crate) fn verify(kind: &str, secret: &str, post: &Post) -> Option<bool> {
    let (name, expected) = match kind {
        "waha" => ("x-webhook-hmac", sha512(secret, &post.body)),
        "wuzapi" => ("x-hmac-signature", sha256(secret, &post.body)),
        "gowa" | "meta" => {
            let mac = sha256(secret, &post.body);
            ("x-hub-signature-256", format!("sha256={mac}"))
        }
        _ => return None,
    };
    Some(post.header(name) == Some(expected.as_str()))
}

/// Token of Evolution, valid for ten minutes.
pub(crate) fn jwt(secret: &str) -> String {
    jwt_until(secret, clock::now().seconds() + 600)
}

pub(crate) fn jwt_until(secret: &str, end: i64) -> String {
    let claims = json!({"iat": end - 600, "exp": end, "app": "evolution", "action": "webhook"});
    let parts = [json!({"alg": "HS256", "typ": "JWT"}), claims];
    let parts = parts.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = parts.join(".");
    let mac = mac::<Hmac<Sha256>>(secret, signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
}

/// Prints the text fields as Go's `encoding/json` does, which wuzapi signs.
fn go_json(fields: Vec<(String, String)>) -> String {
    let members = fields.into_iter();
    let members: Map<_, _> = members.map(|(name, value)| (name, value.into())).collect();
    let mut json = Value::Object(members).to_string();
    for (character, escape) in [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")] {
        json = json.replace(character, escape);
    }
    json
}

pub(crate) fn sha256(secret: &str, body: &[u8]) -> String {
    hex(&mac::<Hmac<Sha256>>(secret, body))
}

fn sha512(secret: &str, body: &[u8]) -> String {
    hex(&mac::<Hmac<Sha512>>(secret, body))
}

fn mac<M: Mac + KeyInit>(secret: &str, body: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
