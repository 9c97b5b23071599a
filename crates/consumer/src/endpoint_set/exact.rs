//! Log lines about endpoints that receive bodies as they were sent.

use wahook_domain::BodyForm;

use super::EndpointManager;
use crate::settings::EndpointSettings;

impl EndpointManager {
    /// Logs which endpoints receive bodies as they were sent, and what this needs.
    pub(super) fn log_exact(&self, list: &[EndpointSettings]) {
        let is_exact = |settings: &&EndpointSettings| settings.body == BodyForm::Exact;
        let is_reload = !self.known.is_empty();
        let was_kept = !is_reload || self.known.iter().any(|known| is_exact(&known));
        for settings in list.iter().filter(is_exact) {
            let endpoint = &settings.name;
            if !self.parts.is_local {
                tracing::info!(%endpoint, "endpoint receives bodies as they were sent, if PRODUCER_KEEP_EXACT is true at the producers");
            } else if !was_kept {
                tracing::warn!(%endpoint, "bodies are kept as they were sent from the next start on, unless PRODUCER_KEEP_EXACT is true already: restart wahook");
            }
        }
    }
}
