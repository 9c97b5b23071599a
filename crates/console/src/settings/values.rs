//! Values of the console's settings.

use std::{fmt, str::FromStr};

use wahook_runtime::{ListenAddress, address::InvalidListenAddress};

/// Value of `CONSOLE_LISTEN`.
pub(super) enum Listen {
    At(ListenAddress),
    Off,
}

impl FromStr for Listen {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("off") {
            Ok(Self::Off)
        } else {
            text.parse().map(Self::At)
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    On,
    Off,
}

#[derive(Debug, thiserror::Error)]
#[error("neither on nor off")]
pub(super) struct InvalidSwitch;

impl FromStr for Switch {
    type Err = InvalidSwitch;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(InvalidSwitch),
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}
