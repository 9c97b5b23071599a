//! `wahook import`
use clap::Args;
use wahook_service::Shutdown;
use crate::settings::{Access, To};
/// What
#[derive(Debug, Args)]
pub struct ImportArguments {
    #[command(flatten)]
    pub(crate) to: To,
}
pub(crate) async fn run(_a: ImportArguments, _access: Access, _stop: Shutdown) -> anyhow::Result<bool> { Ok(true) }
