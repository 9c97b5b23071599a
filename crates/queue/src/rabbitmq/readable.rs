//! Replacement of broker frames that lapin cannot parse.
//!
//! RabbitMQ treats a message's properties as bytes. lapin requires their short
//! strings (ids, types, names of headers) to be UTF-8. It closes the whole
//! connection over one that is not, and over a frame longer than was agreed. A
//! table within tables within tables overflows its stack and ends the whole
//! process. The broker would redeliver the message at once, and the next
//! connection would end, too.
//!
//! Such a message is passed to lapin without properties. That makes it poison
//! like any other: it is rejected, and the broker, which has the original,
//! dead-letters it unchanged.

use bytes::{Buf, BufMut};
use lapin::protocol::basic::parse_properties;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xce;

/// Bytes of type, channel and length before a frame's payload.
const PREFIX: usize = 7;
/// Bytes of class, weight and body length before a message's properties.
const HEADER_PREFIX: usize = 12;
/// Length of a header without properties: the prefix and two bytes of flags.
const BARE_LENGTH: u32 = 14;
const NO_FLAGS: u16 = 0;
/// Class and method of `basic.deliver`.
const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// Flag bits of some properties; all others are short strings.
const HEADERS: u16 = 13;
const DELIVERY_MODE: u16 = 12;
const PRIORITY: u16 = 11;
const TIMESTAMP: u16 = 6;
/// Longest frame that RabbitMQ agrees to by default.
const MAX_FRAME: u32 = 131_072;
/// Limit of tables and arrays in one message's headers, at any nesting. Without
/// optimisation lapin's parser takes some 8 KiB a level of its thread's 2 MiB.
const MAX_TABLES: usize = 64;

/// Returns the longest frame that lapin accepts, in bytes, for the address's
/// `frame_max`. The broker splits bodies to fit, but sends a message's header
/// whole.
pub(crate) fn longest_frame(frame_max: Option<u32>) -> usize {
    let agreed = frame_max
        .filter(|frame_max| *frame_max > 0)
        .unwrap_or(MAX_FRAME);
    agreed.min(MAX_FRAME) as usize
}

/// Check of the broker's stream, frame by frame, in place.
///
/// The bytes of bodies pass as they arrive. They are nearly all bytes, and are never changed:
/// a copy until their frame is complete would double their cost.
pub(crate) struct FrameCheck {
    longest: usize,
    /// Bytes of the current body, or heartbeat, that have not arrived yet.
    left_of_body: usize,
}

/// Place of checked bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Bytes from the start on that lapin can parse.
    pub(crate) readable: usize,
    /// Start of an incomplete frame, up to the end: to be passed again, before the bytes that
    /// follow.
    pub(crate) incomplete: usize,
}

impl FrameCheck {
    /// `longest` is that of [`longest_frame`].
    pub(crate) fn new(longest: usize) -> Self {
        Self {
            longest,
            left_of_body: 0,
        }
    }

    /// Makes received bytes readable, in place.
    pub(crate) fn check(&mut self, received: &mut [u8]) -> Checked {
        let (mut from, mut to) = (0, 0);
        while let Some(step) = self.step(received.get_mut(from..).unwrap_or_default()) {
            let end = from + step.readable;
            // Only a replaced frame is shorter than before, and makes a gap.
            if from > to {
                received.copy_within(from..end, to);
            }
            to += step.readable;
            from += step.incomplete;
        }
        Checked {
            readable: to,
            incomplete: from,
        }
    }

    /// Makes the first frame readable, or what has arrived of a body. Returns its new length, and
    /// the start of the next frame; `None` if it is incomplete.
    fn step(&mut self, received: &mut [u8]) -> Option<Checked> {
        if self.left_of_body > 0 {
            return self.pass_body(received);
        }
        let kind = *received.first()?;
        if !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT) {
            // Not AMQP, or another version: lapin reports it best.
            return Some(unchanged(received.len()));
        }
        let length = received.get(3..PREFIX)?.get_u32() as usize;
        let whole = PREFIX + length + 1;
        if matches!(kind, BODY | HEARTBEAT) {
            self.left_of_body = whole;
            return self.pass_body(received);
        }
        let frame = received.get_mut(..whole)?;
        if kind == HEADER && !is_readable(frame, self.longest) {
            tracing::warn!(
                bytes = length,
                "message properties cannot be parsed; continuing without them"
            );
            return Some(Checked {
                readable: remove_properties(frame),
                incomplete: whole,
            });
        }
        if kind == METHOD && frame.get(PREFIX..PREFIX + 4) == Some(&DELIVER) {
            sanitize_routing(frame.get_mut(PREFIX + 4..).unwrap_or_default());
        }
        Some(unchanged(whole))
    }

    fn pass_body(&mut self, received: &[u8]) -> Option<Checked> {
        let passed = self.left_of_body.min(received.len());
        self.left_of_body -= passed;
        (passed > 0).then_some(unchanged(passed))
    }
}

/// Returns the place of bytes that lapin can parse as they are.
fn unchanged(bytes: usize) -> Checked {
    Checked {
        readable: bytes,
        incomplete: bytes,
    }
}

fn is_readable(frame: &[u8], longest: usize) -> bool {
    let properties = frame
        .get(PREFIX + HEADER_PREFIX..frame.len() - 1)
        .unwrap_or_default();
    if frame.len() > longest {
        return false;
    }
    if are_common(properties) {
        return true;
    }
    // Each table or array starts with its letter and its length, whose first
    // byte is 0 in any frame; text has no NUL.
    let tables = properties
        .windows(2)
        .filter(|pair| matches!(pair, [b'F' | b'A', 0]))
        .count();
    tables <= MAX_TABLES && parse_properties(properties).is_ok_and(|(rest, _)| rest.is_empty())
}

/// Returns true for the properties of nearly all messages: texts, numbers, and
/// headers without tables. They need no second parsing by lapin's own rules.
fn are_common(mut properties: &[u8]) -> bool {
    let rest = &mut properties;
    common(rest).is_some() && rest.is_empty()
}

fn common(rest: &mut &[u8]) -> Option<()> {
    let flags = take(rest, 2)?.get_u16();
    // No property has these flags.
    if flags & 0b11 != 0 {
        return None;
    }
    for property in (2..16).rev().filter(|bit| flags >> bit & 1 == 1) {
        match property {
            HEADERS => {
                let length = take(rest, 4)?.get_u32() as usize;
                let mut headers = take(rest, length)?;
                while !headers.is_empty() {
                    short_text(&mut headers)?;
                    common_value(&mut headers)?;
                }
            }
            DELIVERY_MODE | PRIORITY => drop(take(rest, 1)?),
            TIMESTAMP => drop(take(rest, 8)?),
            _ => short_text(rest)?,
        }
    }
    Some(())
}

fn common_value(rest: &mut &[u8]) -> Option<()> {
    let length = match take(rest, 1)? {
        b"t" => 1,
        b"I" => 4,
        b"l" | b"T" => 8,
        b"S" => take(rest, 4)?.get_u32() as usize,
        _ => return None,
    };
    take(rest, length).map(drop)
}

fn short_text(rest: &mut &[u8]) -> Option<()> {
    let length = take(rest, 1)?.get_u8().into();
    std::str::from_utf8(take(rest, length)?).ok().map(drop)
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    rest.split_off(..length)
}

/// Removes the properties of a header, and returns its length without them. A header that is
/// too short for that stays as it is: lapin reports it.
fn remove_properties(frame: &mut [u8]) -> usize {
    const LENGTH: usize = PREFIX + BARE_LENGTH as usize + 1;
    let whole = frame.len();
    let Some(mut bare) = frame.get_mut(3..LENGTH) else {
        return whole;
    };
    bare.put_u32(BARE_LENGTH);
    let mut after = bare.get_mut(HEADER_PREFIX..).unwrap_or_default();
    after.put_u16(NO_FLAGS);
    after.put_u8(END);
    LENGTH
}

/// Replaces odd bytes in the exchange and routing key by `?`. wahook does not
/// use these, so that odd bytes in there do not make the message poison.
fn sanitize_routing(arguments: &mut [u8]) {
    const TAG_AND_FLAG: usize = 9;
    let mut rest = skip_short(arguments)
        .get_mut(TAG_AND_FLAG..)
        .unwrap_or_default();
    for _ in ["exchange", "routing key"] {
        let length = rest.first().map_or(0, |length| usize::from(*length));
        let name = rest.get_mut(1..=length).unwrap_or_default();
        if std::str::from_utf8(name).is_err() {
            name.iter_mut()
                .filter(|byte| !byte.is_ascii())
                .for_each(|byte| *byte = b'?');
        }
        rest = skip_short(rest);
    }
}

/// Returns the bytes after a short string.
fn skip_short(bytes: &mut [u8]) -> &mut [u8] {
    let length = bytes.first().map_or(0, |length| usize::from(*length));
    bytes.get_mut(1 + length..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
