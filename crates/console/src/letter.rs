//! Dead letter as the API answers it (pure).

use serde::Serialize;
use utoipa::ToSchema;
use wahook_domain::UnixMillis;
use wahook_queue::DeadLetter;

/// Dead letter.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetter)]
pub(crate) struct Letter {
    /// Null for a message that is no event
    pub(crate) event_id: Option<String>,
    pub(crate) endpoint: Option<String>,
    /// Name of the event
    pub(crate) event: Option<String>,
    pub(crate) reason: String,
    pub(crate) dead_at: Option<String>,
    pub(crate) attempts: Option<u32>,
    pub(crate) accepted_at: Option<String>,
}

impl Letter {
    /// Describes a dead letter without its content.
    pub(crate) fn of(letter: &DeadLetter) -> Self {
        let content = letter.content.as_ref().ok();
        Self {
            event_id: letter.id.clone(),
            endpoint: letter.endpoint.as_ref().map(ToString::to_string),
            event: letter.event.clone(),
            reason: letter.reason.clone(),
            dead_at: letter.died_at.map(UnixMillis::to_iso8601),
            attempts: content.map(|event| event.attempt.get()),
            accepted_at: content.map(|event| event.accepted_at.to_iso8601()),
        }
    }

    /// Returns the place in the list, as a text that sorts.
    pub(crate) fn position(&self) -> String {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        format!(
            "{}~{}/{}",
            part(&self.dead_at),
            part(&self.event_id),
            part(&self.endpoint)
        )
    }
}
