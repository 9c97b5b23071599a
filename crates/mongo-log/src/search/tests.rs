use super::*;
use wahook_delivery_log::FoundDelivery;

fn found(created_at: i64, id: &str) -> FoundDelivery {
    FoundDelivery {
        event_id: EventId::parse(id).unwrap(),
        endpoint: EndpointName::default(),
        event: "call".to_owned(),
        webhook_url: String::new(),
        status: Status::Success,
        status_code: Some(200),
        retry_count: 0,
        error_message: None,
        created_at: UnixMillis::new(created_at),
        updated_at: UnixMillis::new(created_at),
        last_retry_at: None,
        completed_at: None,
        next_attempt_at: None,
        source: None,
        session: None,
        chat: None,
        message_id: None,
        attempt_count: 1,
    }
}

fn page(cursor: Option<&Cursor>, limit: usize, arriving: &[(i64, &str)]) -> (String, Page) {
    let mut newest = NewestFirst::after(cursor, limit);
    for (time, id) in arriving {
        if newest.is_complete() {
            break;
        }
        newest.push(found(*time, id));
    }
    let page = newest.page();
    let ids = page.deliveries.iter().map(|found| found.event_id.as_str());
    (ids.collect::<Vec<_>>().join(" "), page)
}

#[test]
fn deliveries_of_one_millisecond_are_ordered_by_key_over_pages() {
    let arriving = [(9, "a"), (5, "b"), (5, "d"), (5, "c"), (5, "a"), (2, "z")];
    let (ids, first) = page(None, 2, &arriving);
    assert_eq!(ids, "a d");
    let cursor = first.next.unwrap();
    assert_eq!(
        (cursor.created_at.get(), cursor.key.as_str()),
        (5, "d/default")
    );
    let (ids, second) = page(Some(&cursor), 2, &arriving[1..]);
    assert_eq!(ids, "c b");
    let (ids, last) = page(second.next.as_ref(), 2, &arriving[1..]);
    assert_eq!((ids.as_str(), last.next), ("a z", None));
}

#[test]
fn conditions_have_every_part_of_a_filter() {
    let some = |text: &str| Some(text.to_owned());
    let everything = SearchFilter {
        status: Some(Status::Failed),
        event: some("call"),
        endpoint: some("crm"),
        source: some("shop"),
        session: some("s1"),
        chat: some("1@c.us"),
        message_id: some("A"),
        event_id: some("e1"),
        status_code: Some(500),
        error: some("a.b"),
        since: Some(UnixMillis::new(1)),
        until: Some(UnixMillis::new(9)),
    };
    let date = DateTime::from_millis;
    let mut expected = doc! {
        "status": "failed", "event": "call", "endpoint": "crm", "source": "shop",
        "session": "s1", "chat": "1@c.us", "messageId": "A",
        "_id": { "$gte": "e1/", "$lt": "e10" }, "statusCode": 500,
        "errorMessage": { "$regex": r"a\.b" },
        "createdAt": { "$gte": date(1), "$lt": date(9) },
    };
    assert_eq!(conditions(&everything, None), expected);
    let cursor = Cursor {
        created_at: UnixMillis::new(5),
        key: "e1/default".to_owned(),
    };
    expected.insert("createdAt", doc! { "$gte": date(1), "$lte": date(5) });
    assert_eq!(conditions(&everything, Some(&cursor)), expected);
    assert_eq!(conditions(&SearchFilter::default(), None), doc! {});
}
