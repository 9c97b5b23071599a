//! What of the broker's frames can lapin not read, and what does it get instead?
//!
//! RabbitMQ takes a message's properties as bytes. lapin wants their short
//! strings (ids, types, names of headers) to be UTF-8 and ends the whole
//! connection over one that is not, over a frame longer than was agreed, and,
//! by the overflow of its stack, the whole process over a table within tables
//! within tables. The message would be handed out again at once, to end the
//! next connection, too.
//!
//! Such a message is shown to lapin without any properties. That makes it
//! poison like any other: it is rejected, and the broker, which alone has the
//! message itself, moves it to the dead letters unchanged.

use bytes::{Buf, BufMut, BytesMut};
use lapin::protocol::basic::parse_properties;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xce;

/// Type, channel and length come before a frame's payload.
const PREFIX: usize = 7;
/// Class, weight and length of the body come before a message's properties.
const HEADER_PREFIX: usize = 12;
/// Of a header with no properties, which is the prefix and two bytes of flags.
const BARE_LENGTH: u32 = 14;
const NO_FLAGS: u16 = 0;
/// Class and method of `basic.deliver`.
const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// The bits of some properties; all others are short strings.
const HEADERS: u16 = 13;
const DELIVERY_MODE: u16 = 12;
const PRIORITY: u16 = 11;
const TIMESTAMP: u16 = 6;
/// The longest frame that RabbitMQ agrees to unless it is told otherwise.
const MAX_FRAME: u32 = 131_072;
/// Tables and arrays in one message's headers, however they are nested. Without
/// optimisation lapin's parser takes some 8 KiB a level of its thread's 2 MiB.
const MAX_TABLES: usize = 64;

/// The longest frame that lapin takes, in bytes, where the address asks for this.
/// The broker keeps bodies below, but sends a message's header as it is.
pub(crate) fn longest_frame(asked: Option<u32>) -> usize {
    let agreed = asked.filter(|asked| *asked > 0).unwrap_or(MAX_FRAME);
    agreed.min(MAX_FRAME) as usize
}

/// Takes the first frame off `came`, in a form that lapin can read; `None` while
/// it is not yet complete.
pub(crate) fn next_frame(came: &mut BytesMut, longest: usize) -> Option<BytesMut> {
    let kind = *came.first()?;
    if !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT) {
        // Not AMQP, or of another version: lapin tells it best.
        return Some(came.split());
    }
    let length = came.get(3..PREFIX)?.get_u32() as usize;
    let whole = PREFIX + length + 1;
    if came.len() < whole {
        return None;
    }
    let mut frame = came.split_to(whole);
    if kind == HEADER && !is_readable(&frame, longest) {
        tracing::warn!(
            bytes = length,
            "a message's properties can't be read: it is taken as one that has none"
        );
        return Some(without_properties(&frame));
    }
    if kind == METHOD && frame.get(PREFIX..PREFIX + 4) == Some(&DELIVER) {
        mend_routing(frame.get_mut(PREFIX + 4..).unwrap_or_default());
    }
    Some(frame)
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
    // Each starts with its letter and its length, whose first byte is 0 in any
    // frame; text has no NUL.
    let tables = properties
        .windows(2)
        .filter(|pair| matches!(pair, [b'F' | b'A', 0]))
        .count();
    tables <= MAX_TABLES && parse_properties(properties).is_ok_and(|(rest, _)| rest.is_empty())
}

/// Whether these are properties as nearly all messages have them, which needs no
/// second parsing by lapin's own rules: texts, numbers, and headers that hold
/// such and no tables.
fn are_common(mut properties: &[u8]) -> bool {
    let rest = &mut properties;
    common(rest).is_some() && rest.is_empty()
}

fn common(rest: &mut &[u8]) -> Option<()> {
    let flags = take(rest, 2)?.get_u16();
    // No property has these.
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

/// The same header, of a message without properties.
fn without_properties(frame: &[u8]) -> BytesMut {
    let mut bare = BytesMut::from(frame.get(..3).unwrap_or_default());
    bare.put_u32(BARE_LENGTH);
    bare.extend(
        frame
            .get(PREFIX..PREFIX + HEADER_PREFIX)
            .unwrap_or_default(),
    );
    bare.put_u16(NO_FLAGS);
    bare.put_u8(END);
    bare
}

/// Nothing of ours asks where a message was published to, so that odd bytes in
/// there don't make it poison: they become `?`.
fn mend_routing(arguments: &mut [u8]) {
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

/// What follows a short string.
fn skip_short(bytes: &mut [u8]) -> &mut [u8] {
    let length = bytes.first().map_or(0, |length| usize::from(*length));
    bytes.get_mut(1 + length..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::{BasicProperties, protocol::basic::gen_properties};
    use proptest::{collection::vec, prelude::*};

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 3];
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame.push(END);
        frame
    }

    const CLASS_AND_LENGTH: [u8; HEADER_PREFIX] = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2];

    fn header(properties: &[u8]) -> Vec<u8> {
        frame(HEADER, &[&CLASS_AND_LENGTH, properties].concat())
    }

    fn bare() -> Vec<u8> {
        header(&[0, 0])
    }

    /// Properties with headers alone, `table` being their entries.
    fn headers(table: &[u8]) -> Vec<u8> {
        let length = u32::try_from(table.len()).unwrap().to_be_bytes();
        [&[0x20, 0], length.as_slice(), table].concat()
    }

    const LONGEST: usize = 0x8000;

    fn nested(depth: usize) -> Vec<u8> {
        let array = |inner: Vec<u8>, _| {
            let length = u32::try_from(inner.len()).unwrap().to_be_bytes();
            [b"A".as_slice(), &length, &inner].concat()
        };
        let value = (0..depth).fold(b"V".to_vec(), array);
        headers(&[b"\x01x".as_slice(), &value].concat())
    }

    fn ours() -> Vec<u8> {
        let properties = crate::message::properties(crate::message::version_header(), &"e1".into());
        let written = gen_properties::<Vec<u8>>(&properties)(Vec::new().into());
        written.unwrap().into_inner().0
    }

    fn all_frames(mut came: BytesMut) -> Vec<u8> {
        std::iter::from_fn(|| next_frame(&mut came, LONGEST))
            .flatten()
            .collect()
    }

    fn shown(bytes: &[u8]) -> Vec<u8> {
        all_frames(BytesMut::from(bytes))
    }

    #[test]
    fn what_lapin_can_read_stays_as_it_came() {
        for properties in [vec![0, 0], ours(), nested(MAX_TABLES)] {
            assert_eq!(shown(&header(&properties)), header(&properties));
        }
    }

    #[test]
    fn our_own_properties_are_common_ones() {
        assert!(are_common(&ours()));
        assert!(!are_common(&nested(1)));
    }

    #[test]
    fn what_lapin_cannot_read_has_no_properties() {
        let long = [b"\x01xS\0\0\x80\0".as_slice(), &[b'x'; 0x8000]].concat();
        for properties in [
            b"\x00\x80\x02\xffa".to_vec(),
            b"\x00\x80\x09cut".to_vec(),
            b"\x00\x80\x01aand more".to_vec(),
            headers(b"\x01\xffV"),
            headers(b"\x01xz"),
            headers(&long),
            nested(MAX_TABLES + 1),
            nested(20_000),
            Vec::new(),
        ] {
            assert_eq!(shown(&header(&properties)), bare());
        }
        let (rest, bare) = parse_properties([0, 0].as_slice()).unwrap();
        assert_eq!((rest, bare), ([].as_slice(), BasicProperties::default()));
    }

    #[test]
    fn a_header_may_be_as_long_as_was_agreed() {
        assert_eq!(longest_frame(Some(8192)), 8192);
        for unlimited in [None, Some(0), Some(u32::MAX)] {
            assert_eq!(longest_frame(unlimited), MAX_FRAME as usize);
        }
        let text = [b"\x01xS\0\0\x20\0".as_slice(), &[b'x'; 0x2000]].concat();
        let sent = header(&headers(&text));
        let shown = |longest| next_frame(&mut BytesMut::from(&sent[..]), longest);
        assert_eq!(shown(sent.len()).unwrap(), sent);
        assert_eq!(shown(sent.len() - 1).unwrap(), bare());
    }

    #[test]
    fn odd_bytes_in_a_routing_key_become_question_marks() {
        let deliver = |exchange: &[u8], key: &[u8]| {
            let text = |text: &[u8]| [&[u8::try_from(text.len()).unwrap()], text].concat();
            let parts = [text(b"ctag"), [1; 9].to_vec(), text(exchange), text(key)];
            frame(METHOD, &[DELIVER.as_slice(), &parts.concat()].concat())
        };
        assert_eq!(shown(&deliver(b"\xfe", b"a.\xff")), deliver(b"?", b"a.?"));
        let good = deliver("é".as_bytes(), b"");
        assert_eq!(shown(&good), good);
    }

    #[test]
    fn what_is_not_amqp_is_handed_on() {
        assert_eq!(
            shown(b"HTTP/1.1 400 Bad Request"),
            b"HTTP/1.1 400 Bad Request"
        );
    }

    proptest! {
        #[test]
        fn any_properties_become_readable(properties in vec(any::<u8>(), 0..80)) {
            let shown = shown(&header(&properties));
            prop_assert!(is_readable(&shown, LONGEST));
            prop_assert!(shown == header(&properties) || shown == bare());
        }

        /// Ours, with some bytes changed.
        #[test]
        fn what_is_common_lapin_can_read(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
            let mut properties = ours();
            for (place, byte) in changes {
                let place = place.index(properties.len());
                properties[place] = byte;
            }
            let parsed = parse_properties(properties.as_slice());
            let lapin_can = parsed.is_ok_and(|(rest, _)| rest.is_empty());
            prop_assert!(lapin_can || !are_common(&properties));
        }

        #[test]
        fn frames_are_handed_on_however_they_are_cut(
            frames in vec((prop::sample::select(vec![METHOD, BODY, HEARTBEAT]), vec(any::<u8>(), 0..40)), 0..8),
            cuts in vec(1_usize..60, 1..8),
        ) {
            let sent: Vec<u8> = frames.iter().flat_map(|(kind, payload)| frame(*kind, payload)).collect();
            let (mut came, mut shown, mut rest) = (BytesMut::new(), Vec::new(), sent.as_slice());
            for cut in cuts.iter().cycle() {
                let (next, later) = rest.split_at(rest.len().min(*cut));
                came.extend(next);
                while let Some(frame) = next_frame(&mut came, LONGEST) {
                    shown.extend(frame);
                }
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(&shown, &sent);
            prop_assert!(came.is_empty());
        }
    }
}
