//! Record of operators' actions in the database of the log.

use wahook_domain::UnixMillis;
use wahook_operator_state::{Action, SharedOperatorState};

use crate::failure::Failure;

/// Client that acts, for records: the console and the client's address.
#[derive(Debug, Clone)]
pub(crate) struct Operator(pub(crate) String);

/// Records an action before it begins, durably.
pub(crate) async fn record(
    state: &SharedOperatorState,
    operator: &Operator,
    action: &str,
    subject: String,
    (count, at): (u64, UnixMillis),
) -> Result<(), Failure> {
    let record = Action {
        at,
        who: operator.0.clone(),
        action: action.to_owned(),
        subject,
        count,
    };
    tracing::info!(
        who = record.who,
        action,
        subject = record.subject,
        count,
        "console: action of an operator"
    );
    let recorded = state.record(&record).await;
    recorded.map_err(|error| Failure::log(&error))
}
