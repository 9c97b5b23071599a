use super::*;

const NOW: UnixMillis = UnixMillis::new(1_767_355_445_678);

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn times_are_absolute_or_relative_and_empty_values_are_absent() {
    let query = DeliveryQuery {
        since: text("24h"),
        until: text("2026-01-02T03:04:05.678Z"),
        event: text(""),
        ..DeliveryQuery::default()
    };
    let filter = query.filter(NOW).unwrap();
    let since = Some(NOW.minus(DAY));
    assert_eq!(
        (filter.since, filter.until),
        (since, Some(UnixMillis::new(1_767_323_045_678)))
    );
    assert_eq!(filter.event, None);
}

#[test]
fn unknown_and_repeated_names_are_refused() {
    let read = |names: &[&str]| {
        let pairs = names
            .iter()
            .map(|name| ((*name).to_owned(), "1".to_owned()));
        list_query(pairs.collect()).map(|(filter, page)| (filter.message_id, page.limit))
    };
    assert_eq!(read(&["messageId", "limit"]), Ok((text("1"), text("1"))));
    let unknown = read(&["colour"]).unwrap_err().to_string();
    assert!(unknown.contains("colour"), "{unknown}");
    assert_eq!(read(&["chat", "chat"]).unwrap_err().name, "chat");
}

#[test]
fn search_in_errors_is_limited_in_time() {
    let errors = |since: Option<&str>| {
        let query = DeliveryQuery {
            error: text("timeout"),
            since: since.map(str::to_owned),
            ..DeliveryQuery::default()
        };
        query.filter(NOW)
    };
    assert_eq!(errors(None).unwrap().since, Some(NOW.minus(DAY)));
    assert!(errors(Some("7d")).is_ok());
    assert_eq!(errors(Some("8d")).unwrap_err().name, "error");
}

#[test]
fn invalid_values_are_named() {
    let status = DeliveryQuery {
        status: text("lost"),
        ..DeliveryQuery::default()
    };
    assert_eq!(status.filter(NOW).unwrap_err().name, "status");
    let code = DeliveryQuery {
        status_code: text("ok"),
        ..DeliveryQuery::default()
    };
    assert_eq!(code.filter(NOW).unwrap_err().name, "statusCode");
    for limit in ["0", "201", "x"] {
        let page = PageQuery {
            limit: text(limit),
            cursor: None,
        };
        assert_eq!(page.read().unwrap_err().name, "limit");
    }
}

#[test]
fn period_is_a_day_by_default_and_never_longer_than_the_limit() {
    let read = |since: Option<&str>| period(since.map(str::to_owned), None, NOW, 31 * DAY);
    assert_eq!(read(None), Ok((NOW.minus(DAY), NOW)));
    assert!(read(Some("31d")).is_ok());
    assert!(read(Some("32d")).is_err());
    assert!(read(Some("2027-01-01T00:00:00Z")).is_err());
}
