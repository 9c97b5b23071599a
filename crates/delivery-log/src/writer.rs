//! How is a document written? Once, into one buffer, with no tree before it:
//! one is written for each delivery.

use std::io::Write;

use mongodb::bson::spec::ElementType;

/// An object or array that is being written. It is ended when it is dropped.
pub(crate) struct Writer<'b> {
    bytes: &'b mut Vec<u8>,
    start: usize,
}

impl<'b> Writer<'b> {
    /// Begins a document at the end of `bytes`.
    pub(crate) fn begin(bytes: &'b mut Vec<u8>) -> Self {
        let start = bytes.len();
        // Its length, which is known at its end.
        bytes.extend([0; 4]);
        Self { bytes, start }
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.key(ElementType::Null, key);
    }

    pub(crate) fn bool(&mut self, key: &str, value: bool) {
        self.key(ElementType::Boolean, key);
        self.bytes.push(value.into());
    }

    pub(crate) fn double(&mut self, key: &str, value: f64) {
        self.key(ElementType::Double, key);
        self.bytes.extend(value.to_le_bytes());
    }

    pub(crate) fn int(&mut self, key: &str, value: i32) {
        self.key(ElementType::Int32, key);
        self.bytes.extend(value.to_le_bytes());
    }

    /// `int` where it fits: shells and other languages show it more kindly than
    /// `long`.
    pub(crate) fn integer(&mut self, key: &str, value: i64) {
        if let Ok(value) = i32::try_from(value) {
            return self.int(key, value);
        }
        self.key(ElementType::Int64, key);
        self.bytes.extend(value.to_le_bytes());
    }

    /// In milliseconds since 1970.
    pub(crate) fn date(&mut self, key: &str, millis: i64) {
        self.key(ElementType::DateTime, key);
        self.bytes.extend(millis.to_le_bytes());
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(ElementType::String, key);
        self.bytes.extend(length(value.len() + 1));
        self.bytes.extend(value.as_bytes());
        self.bytes.push(0);
    }

    pub(crate) fn document(&mut self, key: &str) -> Writer<'_> {
        self.key(ElementType::EmbeddedDocument, key);
        Writer::begin(self.bytes)
    }

    pub(crate) fn array(&mut self, key: &str) -> Writer<'_> {
        self.key(ElementType::Array, key);
        Writer::begin(self.bytes)
    }

    /// Lets `fill` write, and takes all of it back where it is longer than
    /// `most` bytes; says whether it stays.
    pub(crate) fn attempt(&mut self, most: usize, fill: impl FnOnce(&mut Self)) -> bool {
        let before = self.bytes.len();
        fill(self);
        let fits = self.bytes.len() - before <= most;
        if !fits {
            self.bytes.truncate(before);
        }
        fits
    }

    /// A document that is written already.
    pub(crate) fn written(&mut self, key: &str, document: &[u8]) {
        self.key(ElementType::EmbeddedDocument, key);
        self.bytes.extend(document);
    }

    /// An array that is written already.
    pub(crate) fn written_array(&mut self, key: &str, array: &[u8]) {
        self.key(ElementType::Array, key);
        self.bytes.extend(array);
    }

    /// Whoever calls this has no NUL in the key: it would end there.
    fn key(&mut self, kind: ElementType, key: &str) {
        debug_assert!(!key.contains('\0'));
        self.bytes.push(kind as u8);
        self.bytes.extend(key.as_bytes());
        self.bytes.push(0);
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.bytes.push(0);
        let written = length(self.bytes.len() - self.start);
        if let Some(place) = self.bytes.get_mut(self.start..self.start + 4) {
            place.copy_from_slice(&written);
        }
    }
}

/// No document of ours comes near 2 GiB.
fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}

/// The keys of an array: "0", "1", and so on.
#[derive(Default)]
pub(crate) struct Places {
    next: usize,
    text: Vec<u8>,
}

impl Places {
    pub(crate) fn next(&mut self) -> &str {
        self.text.clear();
        // A vector takes whatever is written.
        let _ = write!(self.text, "{}", self.next);
        self.next += 1;
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}
