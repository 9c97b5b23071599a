//! Record of operators' actions in the database of the log.

use wahook_domain::UnixMillis;
use wahook_operator_state::{Action, SharedOperatorState};

use crate::failure::Failure;

/// Longest subject of a record, in characters.
const LONGEST_SUBJECT: usize = 500;

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
        subject: shortened(subject),
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

/// Cuts a subject, which clients can make long, such as by ids.
fn shortened(subject: String) -> String {
    if subject.chars().count() <= LONGEST_SUBJECT {
        return subject;
    }
    let start = subject.chars().take(LONGEST_SUBJECT);
    start.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_subject_is_cut_between_characters() {
        assert_eq!(shortened("ü".repeat(500)), "ü".repeat(500));
        let cut = shortened("ü".repeat(501));
        assert_eq!(cut, format!("{}…", "ü".repeat(500)));
    }
}
