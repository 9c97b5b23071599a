//! Field `sent` of a record: the body that was sent, where the payload does not give it back.

use mongodb::bson::{RawArray, RawDocument};
use wahook_domain::{Omitted, ReceivedForm, Sent};

use crate::{
    payload::{Form, MAX_BYTES},
    writer::{ArrayKeys, Writer},
};

/// Writes the field, with the body if the record stays small enough with it.
pub(crate) fn write(record: &mut Writer<'_>, key: &str, sent: &Sent, form: Form) {
    let used = record.len();
    let body = sent.body.as_deref();
    let omitted = match body {
        None => sent.omitted,
        Some(_) if form == Form::Omitted => Some(Omitted::Refused),
        Some(body) if used.saturating_add(body.len()) > MAX_BYTES => Some(Omitted::TooLarge),
        Some(_) => None,
    };
    let mut to = record.document(key);
    if let Some(received) = &sent.received {
        write_form(&mut to.document("received"), received);
    }
    match (omitted, body) {
        (Some(reason), _) => to.text("omitted", reason.as_str()),
        (None, Some(body)) => to.binary("body", body),
        (None, None) => {}
    }
}

fn write_form(to: &mut Writer<'_>, form: &ReceivedForm) {
    if let Some(content_type) = &form.content_type {
        to.text("contentType", content_type);
    }
    if form.headers.is_empty() {
        return;
    }
    let (mut headers, mut keys) = (to.array("headers"), ArrayKeys::default());
    for (name, value) in &form.headers {
        let mut header = headers.array(keys.next());
        header.text("0", name);
        header.text("1", value);
    }
}

/// Reads the field of a record; `None` if it is missing, erased or damaged.
pub(crate) fn read(record: &RawDocument) -> Option<Sent> {
    let stored = record.get_document("sent").ok()?;
    let omitted = stored.get_str("omitted").ok();
    Some(Sent {
        received: stored.get_document("received").ok().map(read_form),
        omitted: omitted.map(|name| Omitted::parse(name).unwrap_or(Omitted::NotKept)),
        body: (stored.get_binary("body").ok()).map(|body| body.bytes.to_vec().into()),
    })
}

fn read_form(stored: &RawDocument) -> ReceivedForm {
    let content_type = stored.get_str("contentType").ok();
    let headers = stored.get_array("headers").ok();
    let headers = headers.into_iter().flatten().flatten();
    ReceivedForm {
        content_type: content_type.map(str::to_owned),
        headers: headers
            .filter_map(|header| read_header(header.as_array()?))
            .collect(),
    }
}

fn read_header(stored: &RawArray) -> Option<(String, String)> {
    let text = |index| stored.get_str(index).ok().map(str::to_owned);
    Some((text(0)?, text(1)?))
}
