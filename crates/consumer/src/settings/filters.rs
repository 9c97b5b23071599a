//! Filters of an endpoint: events, sources, sessions and chats.

use std::{fmt, ops::Range, str::FromStr};
use wahook_domain::{ChatId, EventPattern, OriginFilter};
use wahook_runtime::settings::toml_table::Table;

/// Item of a list and its position in the file.
type Placed<T> = (T, Range<usize>);

/// Reads the patterns of events.
pub(super) fn read_events(table: &mut Table<'_, '_>) -> Vec<EventPattern> {
    let mut patterns: Vec<EventPattern> =
        items(read_list(table, "events", r#"["message_*", "call"]"#));
    patterns.sort();
    patterns.dedup();
    if patterns.is_empty() {
        patterns.push(EventPattern::Every);
    }
    patterns
}

/// Reads the filter by origin; `None` if every event passes.
pub(super) fn read_origin_filter(table: &mut Table<'_, '_>) -> Option<OriginFilter> {
    let sources = read_list(table, "sources", r#"["waha", "shop"]"#);
    let sessions = read_list(table, "sessions", r#"["main", "shop-*"]"#);
    let without_groups = !table.flag("groups", true);
    let chats = read_list(table, "chats", r#"["15550001111@c.us"]"#);
    let not_chats = read_list(table, "not_chats", r#"["status@broadcast"]"#);
    report_contradictions(table, without_groups, &chats, &not_chats);
    let filter = OriginFilter {
        sources: items(sources),
        sessions: items(sessions),
        without_groups,
        chats: items(chats),
        not_chats: items(not_chats),
    };
    (filter != OriginFilter::default()).then_some(filter)
}

/// Reports chats that the other fields drop.
fn report_contradictions(
    table: &mut Table<'_, '_>,
    without_groups: bool,
    chats: &[Placed<ChatId>],
    not_chats: &[Placed<ChatId>],
) {
    for (chat, place) in chats {
        if without_groups && chat.is_group() {
            let problem = format!("chats: {chat} is a group, but groups is false: keep one");
            table.fault(place, problem);
        }
        if not_chats.iter().any(|(other, _)| other == chat) {
            let problem = format!("chats: {chat} is also in not_chats: keep one");
            table.fault(place, problem);
        }
    }
}

/// Reads a list of texts; empty if the field is missing. `example` is a valid list.
fn read_list<T: FromStr<Err: fmt::Display>>(
    table: &mut Table<'_, '_>,
    name: &str,
    example: &str,
) -> Vec<Placed<T>> {
    table.list(name, &format!("a list of strings, such as {example}"))
}

fn items<T, C: FromIterator<T>>(list: Vec<Placed<T>>) -> C {
    list.into_iter().map(|(item, _)| item).collect()
}

#[cfg(test)]
mod tests;
