//! The event's data as a BSON document.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

use mongodb::bson::{RawArrayBuf, RawBson, RawDocumentBuf, raw::CStr};
use wahook_domain::json::{self, Node, Object, Text};

/// MongoDB takes documents of 16 MiB; the half MiB below is for the rest of the
/// record, whose attempts grow.
const MAX_BYTES: usize = 15 * 1024 * 1024 + 512 * 1024;

// MongoDB promises 100 levels. The event's data can't come near, and the record
// adds a few levels around it, so no payload is ever too deep.
const _: () = assert!(json::MAX_DEPTH <= 90);

/// In which form a payload is offered to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As near to what the gateway sent as BSON allows.
    AsSent,
    /// Without `$` at the start and `.` inside of keys, which servers before 5.0
    /// refuse; both are replaced by their full-width twins.
    PlainKeys,
    /// Not at all.
    LeftOut,
}

/// Why a stored payload differs from what was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alteration {
    LoneSurrogate,
    NulInKey,
    ReservedKey,
    Refused,
    TooLarge,
}

impl Alteration {
    /// The word that `payloadAltered` holds.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::LoneSurrogate => "lone_surrogate",
            Self::NulInKey => "nul_in_key",
            Self::ReservedKey => "reserved_key",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
        }
    }
}

/// A payload as it is stored.
pub(crate) struct Payload {
    /// `None` when it had to be left out.
    pub(crate) document: Option<RawDocumentBuf>,
    pub(crate) altered: BTreeSet<Alteration>,
}

/// Turns the event's data into BSON, typed as the Node.js driver types the same
/// JSON: whole numbers that fit 32 bits are `int`, all others `double`.
pub(crate) fn encode(data: &Node<'_>, form: Form) -> Payload {
    let (Node::Object(members), Form::AsSent | Form::PlainKeys) = (data, form) else {
        return left_out(Alteration::Refused);
    };
    let mut encoder = Encoder {
        form,
        altered: BTreeSet::new(),
    };
    let document = encoder.object(members);
    if document.as_bytes().len() > MAX_BYTES {
        return left_out(Alteration::TooLarge);
    }
    Payload {
        document: Some(document),
        altered: encoder.altered,
    }
}

fn left_out(reason: Alteration) -> Payload {
    Payload {
        document: None,
        altered: BTreeSet::from([reason]),
    }
}

struct Encoder {
    form: Form,
    altered: BTreeSet<Alteration>,
}

impl Encoder {
    fn object(&mut self, members: &Object<'_>) -> RawDocumentBuf {
        let keys = self.keys(members);
        let mut document = RawDocumentBuf::new();
        for (key, (_, value)) in keys.iter().zip(members.iter()) {
            // A key that still holds a NUL can't be here: `keys` replaced it.
            if let Ok(key) = <&CStr>::try_from(key.as_ref()) {
                document.append(key, self.value(value));
            }
        }
        document
    }

    fn value(&mut self, node: &Node<'_>) -> RawBson {
        match node {
            Node::Null => RawBson::Null,
            Node::Bool(value) => RawBson::Boolean(*value),
            Node::Number(value) => number(*value),
            Node::Text(text) => RawBson::String(self.text(text).into_owned()),
            Node::Array(items) => {
                let mut array = RawArrayBuf::new();
                for item in items {
                    array.push(self.value(item));
                }
                RawBson::Array(array)
            }
            Node::Object(members) => RawBson::Document(self.object(members)),
        }
    }

    /// BSON strings are UTF-8, which has no lone surrogates.
    fn text<'t>(&mut self, text: &'t Text<'_>) -> Cow<'t, str> {
        let (text, had_lone_surrogates) = text.to_str();
        if had_lone_surrogates {
            self.altered.insert(Alteration::LoneSurrogate);
        }
        text
    }

    /// The keys of one object as they can be stored, in order and distinct: where
    /// a change made two alike, the later one gets a `_` at its end.
    fn keys<'t>(&mut self, members: &'t Object<'_>) -> Vec<Cow<'t, str>> {
        let mut keys: Vec<_> = members.iter().map(|(key, _)| self.key(key)).collect();
        if !self.altered.is_empty() {
            let mut taken = HashSet::new();
            for key in &mut keys {
                while !taken.insert(key.to_string()) {
                    key.to_mut().push('_');
                }
            }
        }
        keys
    }

    fn key<'t>(&mut self, text: &'t Text<'_>) -> Cow<'t, str> {
        let mut key = self.text(text);
        if key.contains('\0') {
            self.altered.insert(Alteration::NulInKey);
            key = Cow::Owned(key.replace('\0', "\u{2400}"));
        }
        if self.form == Form::PlainKeys && (key.starts_with('$') || key.contains('.')) {
            self.altered.insert(Alteration::ReservedKey);
            let undotted = key.replace('.', "\u{ff0e}");
            key = Cow::Owned(match undotted.strip_prefix('$') {
                Some(rest) => format!("\u{ff04}{rest}"),
                None => undotted,
            });
        }
        key
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the comparison tells whether anything was lost"
)]
fn number(value: f64) -> RawBson {
    let whole = value as i32;
    if f64::from(whole) == value {
        RawBson::Int32(whole)
    } else {
        RawBson::Double(value)
    }
}
