//! A message as AMQP carries it: its properties in the bytes that lapin writes and reads, by
//! lapin's own functions, and its payload, which is shared and not copied.

use anyhow::{Context, bail};
use bytes::Bytes;
use lapin::protocol::basic::{gen_properties, parse_properties};
use wahook_domain::QueuedEvent;
use wahook_queue::{Outgoing, message};

/// A message on the wire.
#[derive(Debug, Clone)]
pub struct Carried {
    properties: Vec<u8>,
    payload: Bytes,
}

impl Carried {
    /// Writes it.
    ///
    /// # Errors
    /// Never: a vector takes whatever is written.
    pub fn write(message: &Outgoing) -> anyhow::Result<Self> {
        let properties = gen_properties::<Vec<u8>>(message.properties())(Vec::new().into());
        let (properties, _) = properties.context("properties")?.into_inner();
        Ok(Self {
            properties,
            payload: message.payload().clone(),
        })
    }

    /// Reads it, as the consumer does.
    ///
    /// # Errors
    /// When it is no event's.
    pub fn read(&self) -> anyhow::Result<QueuedEvent> {
        let (rest, properties) = match parse_properties(self.properties.as_slice()) {
            Ok(parsed) => parsed,
            Err(error) => bail!("properties: {error}"),
        };
        if !rest.is_empty() {
            bail!("{} bytes after the properties", rest.len());
        }
        Ok(message::decode(&properties, self.payload.clone())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed;

    #[test]
    fn what_was_written_is_read() {
        let event = fixed::queued(&fixed::event(7, fixed::USUAL)).unwrap();
        let carried = Carried::write(&Outgoing::event(&event)).unwrap();
        assert_eq!(carried.read().unwrap(), event);
    }
}
