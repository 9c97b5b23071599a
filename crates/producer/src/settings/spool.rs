//! Settings of the spool. Only `wahook-producer` reads them: the data file of `wahook` needs no
//! spool.

use std::path::PathBuf;

use wahook_runtime::{
    Setting, Settings,
    settings::{DefaultValue, Kind},
};

use super::LARGEST_EVENT;

pub const SPOOL_SETTINGS: &[Setting] = &[PRODUCER_SPOOL, PRODUCER_SPOOL_MAX_BYTES];

/// Path of the spool.
const PRODUCER_SPOOL: Setting = Setting {
    name: "PRODUCER_SPOOL",
    kind: Kind::Path,
    default: DefaultValue::None,
    example: "/var/lib/wahook/spool.db",
    help: "file for accepted events while the broker is unavailable",
    meaning: "file in which events are stored while the broker is unavailable; they are answered \
        202, and forwarded later. Without it such events are answered 503. `wahook-producer` only: \
        each needs a file of its own, on a disk that outlives it. See [Spool](spool.md)",
};

const PRODUCER_SPOOL_MAX_BYTES: Setting = Setting {
    name: "PRODUCER_SPOOL_MAX_BYTES",
    kind: Kind::Integer {
        // Room for two events of any size.
        min: 2 * (LARGEST_EVENT as u64 + (1 << 20)),
        max: 1 << 40,
        unit: "bytes",
    },
    default: DefaultValue::Number(1 << 30),
    example: "1073741824",
    help: "largest size of the events in PRODUCER_SPOOL",
    meaning: "largest size of the events in `PRODUCER_SPOOL`, each with 512 bytes for its \
        metadata; beyond it events are answered 503. The file needs about a tenth more, and 80 MB \
        for its write-ahead log",
};

#[derive(Debug)]
pub struct SpoolSettings {
    /// `PRODUCER_SPOOL`
    pub path: PathBuf,
    /// `PRODUCER_SPOOL_MAX_BYTES`
    pub max_bytes: u64,
}

impl SpoolSettings {
    /// Reads the settings. Returns `None` if there is no spool, or after a fault.
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let path: Option<String> = settings.value(&PRODUCER_SPOOL);
        let max_bytes = settings.value(&PRODUCER_SPOOL_MAX_BYTES);
        Some(Self {
            path: PathBuf::from(path?),
            max_bytes: max_bytes?,
        })
    }

    /// Records a fault if the spool is configured for a program without one.
    pub fn refuse(settings: &mut Settings) {
        if settings.is_given(&PRODUCER_SPOOL) {
            let problem = "is set, but this program has no spool: it stores each event in its data \
                           file; unset it";
            settings.fault(&PRODUCER_SPOOL, problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<Option<SpoolSettings>, String> {
        let mut settings = Settings::from_pairs(pairs.iter().copied());
        let read = SpoolSettings::read(&mut settings);
        settings.finish().map_err(|faults| faults.to_string())?;
        Ok(read)
    }

    #[test]
    fn spool_is_off_unless_its_file_is_set() {
        assert!(read(&[]).unwrap().is_none());
        let file = ("PRODUCER_SPOOL", "/var/lib/wahook/spool.db");
        let spool = read(&[file]).unwrap().unwrap();
        assert_eq!(spool.path, PathBuf::from(file.1));
        assert_eq!(spool.max_bytes, 1 << 30);
    }

    #[test]
    fn spool_must_hold_two_events_of_any_size() {
        let small = ("PRODUCER_SPOOL_MAX_BYTES", "15728640");
        let refused = read(&[small]).unwrap_err();
        assert!(refused.contains(small.0), "{refused}");
    }
}
