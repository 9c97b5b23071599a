//! Replacement of the transfer in a program without MongoDB support.

use std::{
    future::{Ready, ready},
    path::Path,
};
use wahook_cli::NoMongoDb;
use wahook_runtime::{Settings, Shutdown};

/// Transfer that always fails.
#[derive(Debug)]
pub(super) struct Transfer;

impl Transfer {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "like the transfer with MongoDB support"
    )]
    pub(super) fn read(_: &mut Settings) -> Option<Self> {
        Some(Self)
    }

    #[expect(clippy::unused_self, reason = "like the transfer with MongoDB support")]
    pub(super) fn run(self, _: &Path, _: Shutdown) -> Ready<anyhow::Result<bool>> {
        ready(Err(NoMongoDb.into()))
    }
}
