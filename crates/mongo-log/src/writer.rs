//! Writes BSON straight into one buffer, without an intermediate tree: every delivery
//! needs a document.

use std::io::Write;

use mongodb::bson::spec::{BinarySubtype, ElementType};

/// Writer of an object or array, which is completed on drop.
pub(crate) struct Writer<'b> {
    bytes: &'b mut Vec<u8>,
    start: usize,
}

impl<'b> Writer<'b> {
    /// Begins a document at the end of `bytes`.
    pub(crate) fn begin(bytes: &'b mut Vec<u8>) -> Self {
        let start = bytes.len();
        // Placeholder for the length, which is written on drop.
        bytes.extend_from_slice(&[0; 4]);
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
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn int(&mut self, key: &str, value: i32) {
        self.key(ElementType::Int32, key);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes an `int` if the value fits, else a `long`: shells and other languages
    /// display `int` better.
    pub(crate) fn integer(&mut self, key: &str, value: i64) {
        if let Ok(value) = i32::try_from(value) {
            return self.int(key, value);
        }
        self.key(ElementType::Int64, key);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a date in milliseconds since 1970.
    pub(crate) fn date(&mut self, key: &str, millis: i64) {
        self.key(ElementType::DateTime, key);
        self.bytes.extend_from_slice(&millis.to_le_bytes());
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(ElementType::String, key);
        self.bytes.extend_from_slice(&length(value.len() + 1));
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
    }

    /// Writes bytes of no particular type.
    pub(crate) fn binary(&mut self, key: &str, value: &[u8]) {
        self.key(ElementType::Binary, key);
        self.bytes.extend(length(value.len()));
        self.bytes.push(BinarySubtype::Generic.into());
        self.bytes.extend(value);
    }

    /// Returns the length of this object or array so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn document(&mut self, key: &str) -> Writer<'_> {
        self.key(ElementType::EmbeddedDocument, key);
        Writer::begin(self.bytes)
    }

    pub(crate) fn array(&mut self, key: &str) -> Writer<'_> {
        self.key(ElementType::Array, key);
        Writer::begin(self.bytes)
    }

    /// Runs `fill` and removes its output if that is longer than `max_bytes`. Returns
    /// true if the output was kept.
    pub(crate) fn try_write(&mut self, max_bytes: usize, fill: impl FnOnce(&mut Self)) -> bool {
        let before = self.bytes.len();
        fill(self);
        let fits = self.bytes.len() - before <= max_bytes;
        if !fits {
            self.bytes.truncate(before);
        }
        fits
    }

    /// Copies an encoded array.
    pub(crate) fn encoded_array(&mut self, key: &str, array: &[u8]) {
        self.key(ElementType::Array, key);
        self.bytes.extend_from_slice(array);
    }

    /// Writes type and key. The key must not contain NUL, which would end it.
    fn key(&mut self, kind: ElementType, key: &str) {
        debug_assert!(!key.contains('\0'));
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(key.as_bytes());
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

/// Encodes a length; documents never come near 2 GiB.
fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}

/// Generator of array keys: "0", "1", and so on.
#[derive(Default)]
pub(crate) struct ArrayKeys {
    next: usize,
    text: Vec<u8>,
}

impl ArrayKeys {
    pub(crate) fn next(&mut self) -> &str {
        self.text.clear();
        // Writing to a vector can't fail.
        let _ = write!(self.text, "{}", self.next);
        self.next += 1;
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}
