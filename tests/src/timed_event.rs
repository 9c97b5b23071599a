//! Events for measurements: a gateway's message with a number and the time of sending, padded to
//! the requested size.

use std::time::Duration;

/// Number and send time of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub number: u64,
    /// Time since the epoch of the run.
    pub at: Duration,
}

const HEAD: &str = r#"{"event":"message_create","data":{"n":"#;

/// Number of chats that the events belong to, in turn.
pub const CHATS: u64 = 2_000;

/// Returns a body of `bytes` bytes, or longer if the fixed parts need more.
pub fn body(sent: Sent, bytes: usize) -> String {
    let Sent { number, at } = sent;
    let nanos = at.as_nanos();
    let chat = number % CHATS;
    let start = format!(
        r#"{HEAD}{number},"sent":{nanos},"id":{{"_serialized":"true_123456{chat:04}@c.us_3EB0"}},"type":"chat","from":"123456{chat:04}@c.us","to":"0987654321@c.us","fromMe":false,"hasMedia":false,"isForwarded":false,"timestamp":1696176000,"body":""#
    );
    let end = r#""},"timestamp":"2026-01-01T00:00:00.000Z"}"#;
    let filling = bytes.saturating_sub(start.len() + end.len());
    let mut body = start;
    body.extend(std::iter::repeat_n('x', filling));
    body + end
}

/// Reads the number and the time only: the webhook must cost less than the programs under test.
pub fn parse(body: &[u8]) -> Option<Sent> {
    let rest = body.strip_prefix(HEAD.as_bytes())?;
    let (number, rest) = digits(rest)?;
    let (nanos, _) = digits(rest.strip_prefix(br#","sent":"#)?)?;
    Some(Sent {
        number,
        at: Duration::from_nanos(nanos),
    })
}

fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = bytes.split_at_checked(length)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_body_carries_number_and_time_and_has_the_requested_size() {
        let sent = Sent {
            number: 17,
            at: Duration::from_nanos(123_456),
        };
        for bytes in [400, 4_096] {
            let body = body(sent, bytes);
            assert_eq!(body.len(), bytes);
            assert_eq!(parse(body.as_bytes()), Some(sent));
        }
        assert_eq!(parse(b"{}"), None);
    }
}
