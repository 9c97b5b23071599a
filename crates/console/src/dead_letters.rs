//! `/dead-letters`: list of dead letters, with the reasons.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wahook_runtime::problem::{MEDIA_TYPE, Problem};

use crate::{
    failure::Failure, letter::Letter, letter_filter::LetterFilter, query, queues::Queues,
    refusals::Reading,
};

/// Query of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LetterQuery {
    /// Name of the endpoint
    endpoint: Option<String>,
    /// Name of the event
    event: Option<String>,
    /// Reason, exactly
    reason: Option<String>,
    /// Dead letters in the answer, 1 to 200
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// `next` of the previous answer
    cursor: Option<String>,
}

/// Part of the dead letters that match, the latest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LetterList {
    dead_letters: Vec<Letter>,
    /// Reasons of the dead letters of endpoint and event, the most frequent first
    groups: Vec<ReasonGroup>,
    /// Dead letters that match
    total: usize,
    /// `cursor` of the next part; null in the last one
    next: Option<String>,
    /// Only present, and false, if there are more dead letters than a list reads
    #[serde(skip_serializing_if = "Clone::clone")]
    #[schema(required = false)]
    complete: bool,
}

/// Dead letters of one reason.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ReasonGroup {
    reason: String,
    count: usize,
}

/// List dead letters, the latest first
///
/// While RabbitMQ's dead letters are read, other programs do not see them.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    tag = "dead letters",
    security(("bearer" = []), ("cookie" = [])),
    params(LetterQuery),
    responses(
        (status = 200, description = "Dead letters that match", body = LetterList),
        (status = 400, description = "Unknown or invalid query", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The broker is unavailable, or a job runs on the dead letters", body = Problem, content_type = MEDIA_TYPE),
        Reading,
    )
)]
pub(crate) async fn list(
    State(queues): State<Arc<Queues>>,
    query: Result<Query<LetterQuery>, QueryRejection>,
) -> Result<Json<LetterList>, Failure> {
    let Query(asked) = query?;
    let limit = query::limit(asked.limit)?;
    let filter = LetterFilter::new(asked.endpoint, asked.event, asked.reason);
    let read = queues.dead_letters().await?;
    let list = of_page(read.letters, &filter, asked.cursor.as_deref(), limit);
    Ok(Json(LetterList {
        complete: read.is_complete,
        ..list
    }))
}

/// Returns the part of the list after `cursor`, with the numbers of all.
fn of_page(
    letters: Vec<Letter>,
    filter: &LetterFilter,
    cursor: Option<&str>,
    limit: usize,
) -> LetterList {
    let mut of_any_reason = letters;
    of_any_reason.retain(|letter| filter.is_of(letter));
    let groups = groups(&of_any_reason);
    let mut matching = of_any_reason;
    matching.retain(|letter| filter.is_reason(letter));
    matching.sort_by_cached_key(|letter| std::cmp::Reverse(letter.position()));
    let total = matching.len();
    if let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) {
        matching.retain(|letter| letter.position().as_str() < cursor);
    }
    let has_more = matching.len() > limit;
    matching.truncate(limit);
    let last = matching.last().filter(|_| has_more);
    LetterList {
        groups,
        total,
        next: last.map(Letter::position),
        dead_letters: matching,
        complete: true,
    }
}

fn groups(letters: &[Letter]) -> Vec<ReasonGroup> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in letters {
        *counts.entry(&letter.reason).or_default() += 1;
    }
    let groups = counts.into_iter().map(|(reason, count)| ReasonGroup {
        reason: reason.to_owned(),
        count,
    });
    let mut groups: Vec<_> = groups.collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::UnixMillis;

    fn letter(id: &str, at: i64, reason: &str) -> Letter {
        Letter {
            event_id: Some(id.to_owned()),
            endpoint: Some("crm".to_owned()),
            event: Some("call".to_owned()),
            reason: reason.to_owned(),
            dead_at: Some(UnixMillis::new(at).to_iso8601()),
            attempts: Some(3),
            accepted_at: None,
        }
    }

    fn ids(list: &LetterList) -> Vec<&str> {
        let letters = list.dead_letters.iter();
        letters.filter_map(|l| l.event_id.as_deref()).collect()
    }

    #[test]
    fn pages_are_complete_while_letters_arrive() {
        let mut letters = vec![
            letter("e1", 1_000, "answered 500"),
            letter("e3", 3_000, "answered 500"),
            letter("e2", 2_000, "timeout"),
        ];
        let all = LetterFilter::default();
        let first = of_page(letters.clone(), &all, None, 2);
        assert_eq!((ids(&first), first.total), (vec!["e3", "e2"], 3));
        letters.push(letter("e4", 4_000, "timeout"));
        let second = of_page(letters, &all, first.next.as_deref(), 2);
        assert_eq!((ids(&second), second.next.is_some()), (vec!["e1"], false));
    }

    #[test]
    fn groups_count_each_reason_whatever_reason_is_selected() {
        let letters = vec![
            letter("e1", 1_000, "timeout"),
            letter("e2", 2_000, "answered 500"),
            letter("e3", 3_000, "answered 500"),
        ];
        let timeouts = LetterFilter::new(None, None, Some("timeout".to_owned()));
        let list = of_page(letters, &timeouts, None, 50);
        assert_eq!((ids(&list), list.total), (vec!["e1"], 1));
        let counts: Vec<_> = list.groups.iter().map(|group| group.count).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(list.groups[0].reason, "answered 500");
    }
}
