use proptest::prelude::*;

use super::*;

const ANA: &str = "15550001111@c.us";
const TEAM: &str = "120363000000000001@g.us";
const NEWS: &str = "120363000000000002@newsletter";

fn list<T: FromStr<Err: fmt::Debug> + Ord>(texts: &[&str]) -> BTreeSet<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn of_senders(sources: &[&str], sessions: &[&str]) -> OriginFilter {
    OriginFilter {
        sources: list(sources),
        sessions: list(sessions),
        ..OriginFilter::default()
    }
}

fn of_chats(without_groups: bool, chats: &[&str], not_chats: &[&str]) -> OriginFilter {
    OriginFilter {
        without_groups,
        chats: list(chats),
        not_chats: list(not_chats),
        ..OriginFilter::default()
    }
}

fn origin(source: &str, session: Option<&str>, chat: Option<&str>) -> Origin {
    Origin {
        source: source.parse().unwrap(),
        session: session.map(str::to_owned),
        chat: chat.map(str::to_owned),
        message_id: None,
        received: None,
    }
}

#[test]
fn sources_and_sessions_are_matched_by_name_and_pattern() {
    let (all, waha) = (of_senders(&[], &[]), of_senders(&["waha", "shop"], &[]));
    let (shops, any) = (
        of_senders(&[], &["shop-*", "Main"]),
        of_senders(&[], &["*"]),
    );
    let both = of_senders(&["waha"], &["shop-*"]);
    for (source, session, wanted_by) in [
        ("waha", Some("shop-1"), [true, true, true, true, true]),
        ("waha", Some("shop-"), [true, true, true, true, true]),
        ("waha", Some("shop"), [true, true, false, true, false]),
        ("waha", Some("Main"), [true, true, true, true, false]),
        ("waha", Some("main"), [true, true, false, true, false]),
        ("waha", None, [true, true, false, true, false]),
        ("shop", Some("shop-1"), [true, true, true, true, false]),
        ("gowa", Some("shop-1"), [true, false, true, true, false]),
    ] {
        let origin = origin(source, session, None);
        let wants = [&all, &waha, &shops, &any, &both].map(|filter| filter.wants(Some(&origin)));
        assert_eq!(wants, wanted_by, "{origin:?}");
    }
}

#[test]
fn event_without_an_origin_passes_unless_sources_or_sessions_are_named() {
    for (filter, is_wanted) in [
        (OriginFilter::default(), true),
        (of_chats(true, &[ANA], &[TEAM]), true),
        (of_senders(&["waha"], &[]), false),
        (of_senders(&[], &["*"]), false),
    ] {
        assert_eq!(filter.wants(None), is_wanted, "{filter:?}");
    }
}

#[test]
fn chats_are_matched_in_every_spelling_of_their_ids() {
    let (direct, ana) = (of_chats(true, &[], &[]), of_chats(false, &[ANA], &[]));
    let not = of_chats(false, &[], &["15550001111:3@s.whatsapp.net", TEAM]);
    for (chat, wanted_by) in [
        (None, [true, true, true]),
        (Some(""), [true, true, true]),
        (Some(ANA), [true, true, false]),
        (Some("15550001111"), [true, true, false]),
        (Some("15550001111@s.whatsapp.net"), [true, true, false]),
        (Some("15550001111:12@s.whatsapp.net"), [true, true, false]),
        (Some("15550001111@lid"), [true, false, true]),
        (Some("15550001112@c.us"), [true, false, true]),
        (Some(TEAM), [false, false, false]),
        (Some("15550001111-1600000001@g.us"), [false, false, true]),
        (Some(NEWS), [true, false, true]),
        (Some("status@broadcast"), [true, false, true]),
    ] {
        let origin = origin("waha", None, chat);
        let wants = [&direct, &ana, &not].map(|filter| filter.wants(Some(&origin)));
        assert_eq!(wants, wanted_by, "{chat:?}");
    }
}

#[test]
fn pattern_of_sessions_has_a_star_at_its_end_only() {
    for text in ["Main", "shop-*", "my shop 1", "*", "4915*"] {
        let pattern: SessionPattern = text.parse().unwrap();
        assert_eq!(pattern.to_string(), text);
    }
    for text in ["", "**", "*-shop", "a*b"] {
        let refused = text.parse::<SessionPattern>();
        assert_eq!(refused, Err(InvalidSessionPattern), "{text:?}");
    }
}

const CHATS: [&str; 6] = ["1@c.us", "2@c.us", "1@g.us", "2@g.us", "1@lid", "2@lid"];
const SPELLED: [&str; 6] = ["1", "1:2@s.whatsapp.net", "2@c.us", "1@g.us", "2:0@lid", ""];
const SESSIONS: [&str; 5] = ["a", "ab", "b", "ba", ""];
const PATTERNS: [&str; 5] = ["a", "b", "a*", "ba*", "*"];

/// Returns sets of up to `most` of these texts, parsed.
fn some<T: FromStr<Err: fmt::Debug> + Ord + fmt::Debug>(
    texts: &'static [&str],
    most: usize,
) -> impl Strategy<Value = BTreeSet<T>> {
    prop::sample::subsequence(texts, 0..=most).prop_map(|texts| list(&texts))
}

fn filters() -> impl Strategy<Value = OriginFilter> {
    let lists = (some(&["waha", "gowa"], 2), some(&PATTERNS, 2));
    (lists, any::<bool>(), some(&CHATS, 3), some(&CHATS, 3)).prop_map(
        |((sources, sessions), without_groups, chats, not_chats)| OriginFilter {
            sources,
            sessions,
            without_groups,
            chats,
            not_chats,
        },
    )
}

fn origins() -> impl Strategy<Value = Origin> {
    let optional = |texts| prop::option::of(prop::sample::select(texts));
    let source = prop::sample::select(vec!["waha", "gowa"]);
    (
        source,
        optional(SESSIONS.to_vec()),
        optional(SPELLED.to_vec()),
    )
        .prop_map(|(source, session, chat)| origin(source, session, chat))
}

proptest! {
    /// Each field of a filter can only drop events, and none depends on another.
    #[test]
    fn event_is_wanted_if_each_field_alone_wants_it(filter in filters(), origin in prop::option::of(origins())) {
        let OriginFilter { sources, sessions, without_groups, chats, not_chats } = filter.clone();
        let alone = [
            OriginFilter { sources, ..OriginFilter::default() },
            OriginFilter { sessions, ..OriginFilter::default() },
            OriginFilter { without_groups, ..OriginFilter::default() },
            OriginFilter { chats, ..OriginFilter::default() },
            OriginFilter { not_chats, ..OriginFilter::default() },
        ];
        let expected = alone.iter().all(|filter| filter.wants(origin.as_ref()));
        prop_assert_eq!(filter.wants(origin.as_ref()), expected);
    }

    #[test]
    fn a_chat_is_wanted_by_a_list_or_by_its_opposite(origin in origins(), chats in some::<ChatId>(&CHATS, 6)) {
        prop_assume!(!chats.is_empty() && origin.chat.as_deref().is_some_and(|chat| !chat.is_empty()));
        let include = OriginFilter { chats: chats.clone(), ..OriginFilter::default() };
        let exclude = OriginFilter { not_chats: chats, ..OriginFilter::default() };
        prop_assert_ne!(include.wants(Some(&origin)), exclude.wants(Some(&origin)));
    }
}
