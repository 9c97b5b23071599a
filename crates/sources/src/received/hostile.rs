//! Fuzz test: bodies of all encodings.

use proptest::prelude::*;
use wahook_domain::json::parse;
use wahook_hostile::{cases, damaged, damaged_text};

use super::*;

const BODIES: &[&str] = &[
    r#"{"type":"Message","event":{"Info":{"ID":"3EB0"}}}"#,
    "jsonData=%7B%22type%22%3A%22Message%22%7D&userID=1b2c&instanceName=shop1",
    "a=1&b=%5B1%2C2%5D&c=%7B%7D",
    "--X\r\nContent-Disposition: form-data; name=\"jsonData\"\r\n\r\n{\"type\":\"Message\"}\r\n\
     --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\
     Content-Type: image/jpeg\r\n\r\n\u{1}\u{2}\r\n--X--\r\n",
    "",
];

const TYPES: &[&str] = &[
    "application/json; charset=utf-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=X",
    "multipart/form-data; boundary=\"X\"",
    "text/html",
    "",
];

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn hostile_body_is_refused_or_one_text(body in damaged(BODIES), kind in damaged_text(TYPES)) {
        let content_type = Some(kind.as_str());
        let request = Request { content_type, body: &body, ..Request::default() };
        if let Ok(received) = Received::read(&request) {
            let _ = received.parse();
        }
    }

    #[test]
    fn hostile_fields_keep_their_values(fields in prop::collection::vec((".{1,9}", ".{0,20}"), 1..6)) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&fields);
        let body = form.finish();
        let content_type = Some("application/x-www-form-urlencoded");
        let request = Request { content_type, body: body.as_bytes(), ..Request::default() };
        let received = Received::read(&request).unwrap();
        let Node::Object(members) = received.parse().unwrap() else { panic!() };
        for (name, value) in &fields {
            let last = fields.iter().rev().find(|(other, _)| other == name).unwrap();
            match members.get(name) {
                Some(Node::Text(text)) => prop_assert_eq!(text.to_str().0, last.1.as_str()),
                other => prop_assert_eq!(other.cloned(), parse(value.as_bytes()).ok()),
            }
        }
    }

    /// What surrounds the event neither completes a damaged text nor damages a valid one.
    #[test]
    fn hostile_event_is_valid_within_its_form_if_it_is_alone(event in damaged_text(&BODIES[..1])) {
        prop_assume!(event.trim().starts_with('{') && event.trim().ends_with('}'));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("jsonData", &event).append_pair("userID", "1b2c");
        let body = form.finish();
        let content_type = Some("application/x-www-form-urlencoded");
        let request = Request { content_type, body: body.as_bytes(), ..Request::default() };
        let received = Received::read(&request).unwrap();
        // Around an event, white space of Unicode is removed too.
        prop_assert_eq!(received.parse().is_ok(), parse(event.trim().as_bytes()).is_ok());
    }
}
