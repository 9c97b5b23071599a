//! Encodes the event's data as a BSON document.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

use wahook_domain::json::{self, Node, Object, Text};

use crate::writer::{ArrayKeys, Writer};

/// Largest stored payload. MongoDB accepts documents of up to 16 MiB; half a MiB is
/// left for the rest of the record, whose attempts grow.
pub(crate) const MAX_BYTES: usize = 15 * 1024 * 1024 + 512 * 1024;

// MongoDB supports 100 levels of nesting. The event's data has fewer, and the record
// adds only a few, so no payload is too deep.
const _: () = assert!(json::MAX_DEPTH <= 90);

/// Form in which a payload is sent to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As close to the gateway's JSON as BSON allows.
    AsSent,
    /// Without `$` at the start and `.` inside keys, which servers before 5.0
    /// reject; both are replaced by their full-width equivalents.
    PlainKeys,
    Omitted,
}

/// Reason why a stored payload differs from the delivered one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alteration {
    LoneSurrogate,
    NulInKey,
    ReservedKey,
    Refused,
    TooLarge,
}

impl Alteration {
    /// Returns the value for `payloadAltered`.
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

/// Writes the event's data as a field of `record`, with the types that the Node.js
/// driver uses for the same JSON: whole numbers that fit 32 bits are `int`, all others
/// `double`. Returns the alterations; writes nothing if the payload has to be omitted.
pub(crate) fn write(
    record: &mut Writer<'_>,
    key: &str,
    data: &Node<'_>,
    form: Form,
) -> BTreeSet<Alteration> {
    let (Node::Object(members), Form::AsSent | Form::PlainKeys) = (data, form) else {
        return BTreeSet::from([Alteration::Refused]);
    };
    let mut encoder = Encoder {
        form,
        altered: BTreeSet::new(),
    };
    // Type and key precede the document.
    let max_bytes = MAX_BYTES + key.len() + 2;
    let written = record.try_write(max_bytes, |record| {
        encoder.object(&mut record.document(key), members);
    });
    if !written {
        return BTreeSet::from([Alteration::TooLarge]);
    }
    encoder.altered
}

struct Encoder {
    form: Form,
    altered: BTreeSet<Alteration>,
}

impl Encoder {
    fn object(&mut self, to: &mut Writer<'_>, members: &Object<'_>) {
        // Fast path: nearly all objects need no change.
        if self.form == Form::AsSent && members.iter().all(|(key, _)| is_plain(key)) {
            for (key, value) in members.iter() {
                self.value(to, key.form(), value);
            }
            return;
        }
        let keys = self.keys(members);
        for (key, (_, value)) in keys.iter().zip(members.iter()) {
            self.value(to, key, value);
        }
    }

    fn value(&mut self, to: &mut Writer<'_>, key: &str, node: &Node<'_>) {
        match node {
            Node::Null => to.null(key),
            Node::Bool(value) => to.bool(key, *value),
            Node::Number(value) => number(to, key, *value),
            Node::Text(text) => to.text(key, &self.text(text)),
            Node::Array(items) => {
                let (mut array, mut keys) = (to.array(key), ArrayKeys::default());
                for item in items {
                    self.value(&mut array, keys.next(), item);
                }
            }
            Node::Object(members) => self.object(&mut to.document(key), members),
        }
    }

    /// Replaces lone surrogates, which UTF-8, and so BSON, does not allow.
    fn text<'t>(&mut self, text: &'t Text<'_>) -> Cow<'t, str> {
        let (text, had_lone_surrogates) = text.to_str();
        if had_lone_surrogates {
            self.altered.insert(Alteration::LoneSurrogate);
        }
        text
    }

    /// Returns the keys of an object as they can be stored, in order and distinct: if
    /// an alteration made two keys equal, the later one gets a `_` at its end.
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

/// Returns true if a key is stored unchanged: its canonical form has no escape, hence
/// no NUL and no lone surrogate.
fn is_plain(key: &Text<'_>) -> bool {
    !key.form().contains('\\')
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the comparison detects any loss"
)]
fn number(to: &mut Writer<'_>, key: &str, value: f64) {
    let whole = value as i32;
    if f64::from(whole) == value {
        to.int(key, whole);
    } else {
        to.double(key, value);
    }
}
