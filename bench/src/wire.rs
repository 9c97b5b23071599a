//! Message in its AMQP form: properties encoded and decoded by lapin's own functions, and a
//! payload that is shared, not copied.

use anyhow::{Context, bail};
use bytes::Bytes;
use lapin::protocol::basic::{gen_properties, parse_properties};
use wahook_domain::QueuedEvent;
use wahook_queue::{Outgoing, Stored, rabbitmq::properties};

/// Message on the wire.
#[derive(Debug, Clone)]
pub struct Carried {
    properties: Vec<u8>,
    payload: Bytes,
}

impl Carried {
    /// Encodes the properties and keeps the payload.
    ///
    /// # Errors
    /// Never: a vector accepts all bytes.
    pub fn write(message: Outgoing) -> anyhow::Result<Self> {
        let Stored { metadata, payload } = message.into();
        let properties = properties::encode(metadata, None);
        let properties = gen_properties::<Vec<u8>>(&properties)(Vec::new().into());
        let (properties, _) = properties
            .context("cannot encode the properties")?
            .into_inner();
        Ok(Self {
            properties,
            payload,
        })
    }

    /// Decodes the message as the consumer does.
    ///
    /// # Errors
    /// If the message is not an event.
    pub fn read(&self) -> anyhow::Result<QueuedEvent> {
        let (rest, properties) = match parse_properties(self.properties.as_slice()) {
            Ok(parsed) => parsed,
            Err(error) => bail!("cannot decode the properties: {error}"),
        };
        if !rest.is_empty() {
            bail!("{} extra bytes after the properties", rest.len());
        }
        Ok(properties::decode_event(&properties, self.payload.clone())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed;

    #[test]
    fn encoded_message_is_decoded_unchanged() {
        let event = fixed::queued(&fixed::event(7, fixed::USUAL)).unwrap();
        let carried = Carried::write(Outgoing::event(&event)).unwrap();
        assert_eq!(carried.read().unwrap(), event);
    }
}
