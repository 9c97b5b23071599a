//! Encoding of message properties.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use super::{number, short};

/// Encoded value of each property except the headers, by the number of its flag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    values: BTreeMap<u32, Vec<u8>>,
    /// Typed value of each header by its name. The broker does not keep their order.
    headers: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
}

const HEADERS: u32 = 13;
const DELIVERY_MODE: u32 = 12;
const PRIORITY: u32 = 11;
const TIMESTAMP: u32 = 6;
/// From the first flag, `content_type`, to the last, `cluster_id`.
const FLAGS: std::ops::RangeInclusive<u32> = 2..=15;

impl Properties {
    /// Sets a short string property, of any bytes: `message_id` is 7, `type` 5.
    #[must_use]
    pub fn with_text(mut self, flag: u32, text: &[u8]) -> Self {
        self.values.insert(flag, short(text).unwrap_or_default());
        self
    }

    /// Adds a header of any name; `value` starts with the character of its type.
    #[must_use]
    pub fn with_header(mut self, name: &[u8], value: &[u8]) -> Self {
        let headers = self.headers.get_or_insert_default();
        headers.insert(name.to_vec(), value.to_vec());
        self
    }

    /// Removes the headers that the broker adds when it dead-letters a message.
    #[must_use]
    pub fn without_traces(mut self) -> Self {
        let traces: [&[u8]; 4] = [b"x-death", b"x-first-death", b"x-last-death", b"x-delivery"];
        if let Some(headers) = &mut self.headers {
            headers.retain(|name, _| !traces.iter().any(|trace| name.starts_with(trace)));
        }
        // The original message may have had no headers.
        self.headers = self.headers.filter(|headers| !headers.is_empty());
        self
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut values = self.values.clone();
        if let Some(headers) = &self.headers {
            values.insert(HEADERS, table(headers.clone()));
        }
        let flags = values.keys().fold(0_u16, |flags, flag| flags | 1 << flag);
        let mut bytes = flags.to_be_bytes().to_vec();
        values.values().rev().for_each(|value| bytes.extend(value));
        bytes
    }

    pub(super) fn decode(mut bytes: &[u8]) -> anyhow::Result<Self> {
        let flags = number(take(&mut bytes, 2)?);
        let mut properties = Self::default();
        for flag in FLAGS.rev().filter(|flag| flags & 1 << flag != 0) {
            let length = match flag {
                HEADERS => {
                    let length = number(take(&mut bytes, 4)?).try_into()?;
                    properties.headers = Some(headers(take(&mut bytes, length)?)?);
                    continue;
                }
                DELIVERY_MODE | PRIORITY => 1,
                TIMESTAMP => 8,
                _ => 1 + usize::from(*bytes.first().context("truncated property")?),
            };
            let value = take(&mut bytes, length)?.to_vec();
            properties.values.insert(flag, value);
        }
        Ok(properties)
    }
}

/// Encodes a table of names and typed values, with a length prefix.
pub fn table(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let entry = |(name, value): (Vec<u8>, Vec<u8>)| {
        let mut entry = short(&name).unwrap_or_default();
        entry.extend(value);
        entry
    };
    long_string(&entries.into_iter().flat_map(entry).collect::<Vec<_>>())
}

/// Encodes bytes with a length prefix.
pub fn long_string(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or_default();
    [&length.to_be_bytes(), text].concat()
}

fn headers(mut bytes: &[u8]) -> anyhow::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut headers = BTreeMap::new();
    while !bytes.is_empty() {
        let length = number(take(&mut bytes, 1)?).try_into()?;
        let name = take(&mut bytes, length)?.to_vec();
        let length = match bytes.first() {
            Some(b'V') => 1,
            Some(b't' | b'b' | b'B') => 2,
            Some(b's' | b'u') => 3,
            Some(b'I' | b'i' | b'f') => 5,
            Some(b'D') => 6,
            Some(b'l' | b'L' | b'd' | b'T') => 9,
            Some(b'S' | b'x' | b'F' | b'A') => {
                5 + usize::try_from(number(bytes.get(1..5).context("truncated header")?))?
            }
            other => bail!("unsupported header type {other:?}"),
        };
        headers.insert(name, take(&mut bytes, length)?.to_vec());
    }
    Ok(headers)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> anyhow::Result<&'a [u8]> {
    let (taken, rest) = bytes
        .split_at_checked(length)
        .context("truncated properties")?;
    *bytes = rest;
    Ok(taken)
}
