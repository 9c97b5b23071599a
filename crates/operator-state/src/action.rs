//! Record of an operator's action.

use wahook_domain::UnixMillis;

/// Action of an operator. Records of actions are kept indefinitely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Time of the action.
    pub at: UnixMillis,
    /// Operator: a name, or the place of a command.
    pub who: String,
    /// Kind of action, such as `pause` or `redrive`.
    pub action: String,
    /// Object of the action, such as the name of an endpoint.
    pub subject: String,
    /// Number of objects, such as messages.
    pub count: u64,
}
