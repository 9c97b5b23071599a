//! Settings of the receiver.

use wahook_runtime::{
    ListenAddress, Setting, Settings, program,
    settings::{DefaultValue, Kind, shared},
};

use crate::verify::Keys;

/// Settings of `wahook-receiver`.
pub const PROGRAM_SETTINGS: &[&[Setting]] = &[SETTINGS, program::SETTINGS];

/// Settings of the receiver itself.
pub const SETTINGS: &[Setting] = &[RECEIVER_ADDRESS, WEBHOOK_SECRET];

pub const RECEIVER_ADDRESS: Setting = Setting {
    name: "RECEIVER_ADDRESS",
    kind: Kind::Address,
    default: DefaultValue::Text("127.0.0.1:4000"),
    example: "127.0.0.1:4000",
    help: "address and port; beyond loopback, every client that reaches it can see all deliveries \
        and change the answers",
    meaning: "the page at `/`, and a webhook at every other path. On any address except loopback, \
        every client that reaches it can see all deliveries and change the answers",
};

const WEBHOOK_SECRET: Setting = Setting {
    example: "the sender's secret",
    help: "the sender's secret; without it signatures are not checked",
    meaning: "secret of the sender; without it no signature is checked",
    ..shared::WEBHOOK_SECRET
};

#[derive(Debug)]
pub struct ReceiverSettings {
    /// `RECEIVER_ADDRESS`
    pub address: ListenAddress,
    /// `WEBHOOK_SECRET`
    pub keys: Option<Keys>,
}

impl ReceiverSettings {
    /// Reads all settings. Returns `None` only after a fault.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let address = settings.value(&RECEIVER_ADDRESS);
        let secret = settings.secret(&WEBHOOK_SECRET);
        let keys = secret.and_then(|secret| match Keys::new(secret) {
            Ok(keys) => Some(keys),
            Err(error) => {
                settings.fault(&WEBHOOK_SECRET, format!("is not a valid secret: {error}"));
                None
            }
        });
        Some(Self {
            address: address?,
            keys,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<ReceiverSettings, String> {
        let mut settings = Settings::from_pairs(pairs.iter().copied());
        let read = ReceiverSettings::read(&mut settings);
        settings.finish().map_err(|faults| faults.to_string())?;
        Ok(read.unwrap())
    }

    #[test]
    fn default_address_is_loopback_and_no_setting_is_required() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.address.to_string(), "127.0.0.1:4000");
        assert!(settings.address.is_loopback() && settings.keys.is_none());
    }

    #[test]
    fn fault_names_the_variable_and_never_the_secret() {
        let faults = read(&[
            ("RECEIVER_ADDRESS", "4000"),
            ("WEBHOOK_SECRET", "whsec_not base64!"),
        ])
        .unwrap_err();
        for expected in ["RECEIVER_ADDRESS", "127.0.0.1:4000", "WEBHOOK_SECRET"] {
            assert!(faults.contains(expected), "{expected} in {faults}");
        }
        assert!(!faults.contains("not base64!"), "{faults}");
    }
}
