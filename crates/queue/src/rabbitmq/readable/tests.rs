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

/// Properties with headers alone; `table` has their entries.
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

fn own_properties() -> Vec<u8> {
    let metadata = crate::MessageMetadata {
        id: "e1".parse().ok(),
        ..crate::MessageMetadata::default()
    };
    let properties = crate::rabbitmq::properties::encode(metadata, None);
    let written = gen_properties::<Vec<u8>>(&properties)(Vec::new().into());
    written.unwrap().into_inner().0
}

fn shown_within(longest: usize, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let checked = FrameCheck::new(longest).check(&mut bytes);
    assert_eq!(checked.incomplete, bytes.len());
    bytes.truncate(checked.readable);
    bytes
}

fn shown(bytes: &[u8]) -> Vec<u8> {
    shown_within(LONGEST, bytes)
}

#[test]
fn parseable_properties_stay_unchanged() {
    for properties in [vec![0, 0], own_properties(), nested(MAX_TABLES)] {
        assert_eq!(shown(&header(&properties)), header(&properties));
    }
}

#[test]
fn own_properties_are_common() {
    assert!(are_common(&own_properties()));
    assert!(!are_common(&nested(1)));
}

#[test]
fn unparseable_properties_are_removed() {
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
    ] {
        assert_eq!(shown(&header(&properties)), bare());
        let (before, after) = (frame(BODY, b"before"), frame(HEARTBEAT, b""));
        let sent = [&*before, &header(&properties), &after].concat();
        assert_eq!(shown(&sent), [before, bare(), after].concat());
    }
    let (rest, bare) = parse_properties([0, 0].as_slice()).unwrap();
    assert_eq!((rest, bare), ([].as_slice(), BasicProperties::default()));
}

#[test]
fn a_header_without_room_for_properties_is_left_to_lapin() {
    for short in [header(b""), frame(HEADER, b""), header(&[0])] {
        assert_eq!(shown(&short), short);
    }
}

#[test]
fn body_passes_before_its_frame_is_complete_and_others_do_not() {
    let mut check = FrameCheck::new(LONGEST);
    let mut passes = |mut bytes: Vec<u8>| check.check(&mut bytes);
    let body = frame(BODY, &[b'x'; 100]);
    let method = frame(METHOD, b"0123");
    assert_eq!(passes(body[..50].to_vec()), unchanged(50));
    assert_eq!(passes(body[50..57].to_vec()), unchanged(7));
    let rest = [&body[57..], &method[..8]].concat();
    assert_eq!(passes(rest), unchanged(51));
    assert_eq!(passes(method[..11].to_vec()), unchanged(0));
    assert_eq!(passes(method), unchanged(12));
}

#[test]
fn a_header_may_be_as_long_as_agreed() {
    assert_eq!(longest_frame(Some(8192)), 8192);
    for unlimited in [None, Some(0), Some(u32::MAX)] {
        assert_eq!(longest_frame(unlimited), MAX_FRAME as usize);
    }
    let text = [b"\x01xS\0\0\x20\0".as_slice(), &[b'x'; 0x2000]].concat();
    let sent = header(&headers(&text));
    assert_eq!(shown_within(sent.len(), &sent), sent);
    assert_eq!(shown_within(sent.len() - 1, &sent), bare());
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
fn bytes_that_are_not_amqp_pass_unchanged() {
    assert_eq!(
        shown(b"HTTP/1.1 400 Bad Request"),
        b"HTTP/1.1 400 Bad Request"
    );
}

proptest! {
    #[test]
    fn any_properties_become_readable(properties in vec(any::<u8>(), 0..80)) {
        let shown = shown(&header(&properties));
        prop_assert!(is_readable(&shown, LONGEST) || properties.len() < 2);
        prop_assert!(shown == header(&properties) || shown == bare());
    }

    /// wahook's own properties, with some bytes changed.
    #[test]
    fn lapin_can_parse_common_properties(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let mut properties = own_properties();
        for (place, byte) in changes {
            let place = place.index(properties.len());
            properties[place] = byte;
        }
        let parsed = parse_properties(properties.as_slice());
        let lapin_can = parsed.is_ok_and(|(rest, _)| rest.is_empty());
        prop_assert!(lapin_can || !are_common(&properties));
    }

    #[test]
    fn frames_pass_unchanged_however_they_are_split(
        frames in vec((prop::sample::select(vec![METHOD, BODY, HEARTBEAT]), vec(any::<u8>(), 0..40)), 0..8),
        cuts in vec(1_usize..60, 1..8),
    ) {
        let sent: Vec<u8> = frames.iter().flat_map(|(kind, payload)| frame(*kind, payload)).collect();
        let mut check = FrameCheck::new(LONGEST);
        let (mut received, mut shown, mut rest) = (Vec::new(), Vec::<u8>::new(), sent.as_slice());
        for cut in cuts.iter().cycle() {
            let (next, later) = rest.split_at(rest.len().min(*cut));
            received.extend(next);
            let checked = check.check(&mut received);
            shown.extend(&received[..checked.readable]);
            received.drain(..checked.incomplete);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&shown, &sent);
        prop_assert!(received.is_empty());
    }
}
