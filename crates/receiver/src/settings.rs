//! Settings of the receiver.

use wahook_runtime::{ListenAddress, Settings};

use crate::verify::Keys;

#[derive(Debug)]
pub struct ReceiverSettings {
    /// `RECEIVER_ADDRESS`
    pub address: ListenAddress,
    /// `WEBHOOK_SECRET`
    pub keys: Option<Keys>,
}

impl ReceiverSettings {
    /// Reads all settings; faults are recorded in `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let address = settings.parsed(
            "RECEIVER_ADDRESS",
            ListenAddress::loopback(4000),
            "an address and port",
            "127.0.0.1:4000",
        );
        let secret = settings.secret("WEBHOOK_SECRET");
        let keys = secret.and_then(|secret| match Keys::new(secret) {
            Ok(keys) => Some(keys),
            Err(error) => {
                settings.fault(
                    "WEBHOOK_SECRET",
                    format!("is not a valid secret: {error}"),
                    "the sender's secret",
                );
                None
            }
        });
        Some(Self { address, keys })
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
