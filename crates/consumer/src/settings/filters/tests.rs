use super::*;
use wahook_domain::Origin;
use wahook_runtime::settings::toml_table::read_tables;

fn parse(fields: &str) -> Result<Option<OriginFilter>, Vec<String>> {
    let text = format!("[[endpoint]]\nname = \"crm\"\n{fields}\n");
    let read = |table: &mut Table<'_, '_>| {
        table.text("name");
        Some(read_origin_filter(table))
    };
    let parsed = read_tables(&text, "endpoint", 1, "the fields of a filter", read);
    let parsed = parsed.map(|mut filters| filters.remove(0));
    parsed.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn endpoint_without_fields_that_drop_events_has_no_filter() {
    assert_eq!(parse(""), Ok(None));
    assert_eq!(parse("groups = true"), Ok(None));
}

#[test]
fn every_field_of_a_filter_is_read() {
    let filter = parse(
        r#"
        sources = ["waha", "shop"]
        sessions = ["main", "shop-*"]
        groups = false
        chats = ["15550001111:3@s.whatsapp.net", "251556000000001@lid"]
        not_chats = ["15550002222@c.us"]
        "#,
    );
    let filter = filter.unwrap().unwrap();
    for (json, is_wanted) in [
        (r#"{"source":"waha","session":"main"}"#, true),
        (r#"{"source":"gowa","session":"main"}"#, false),
        (r#"{"source":"shop","session":"other"}"#, false),
        (
            r#"{"source":"shop","session":"shop-1","chat":"15550001111@c.us"}"#,
            true,
        ),
        (
            r#"{"source":"shop","session":"shop-1","chat":"15550002222@c.us"}"#,
            false,
        ),
        (
            r#"{"source":"shop","session":"shop-1","chat":"1203@g.us"}"#,
            false,
        ),
    ] {
        let origin = Origin::from_json(json).unwrap();
        assert_eq!(filter.wants(Some(&origin)), is_wanted, "{json}");
    }
}

#[test]
fn faults_of_a_filter_name_field_value_and_line() {
    for (fields, fault) in [
        (
            "sources = []",
            "line 3: endpoint crm: sources must be a list of strings, such as [\"waha\", \"shop\"]",
        ),
        (
            "sources = \"waha\"",
            "line 3: endpoint crm: sources must be a list of strings, such as [\"waha\", \"shop\"]",
        ),
        (
            "sources = [\n\"waha\",\n\"Shop\"]",
            "line 5: endpoint crm: sources: \"Shop\" must match [a-z][a-z0-9_-]{0,63}",
        ),
        (
            "sessions = [\"*-shop\"]",
            "line 3: endpoint crm: sessions: \"*-shop\" must be the name of a session, \
             a pattern such as shop-*, or *",
        ),
        (
            "groups = \"no\"",
            "line 3: endpoint crm: groups must be true or false",
        ),
        (
            "not_chats = [\"+1 555 0001111\"]",
            "line 3: endpoint crm: not_chats: \"+1 555 0001111\" must be a JID, \
             such as 15550001111@c.us or 120363000000000001@g.us",
        ),
        (
            "groups = false\nchats = [\"1203@g.us\"]",
            "line 4: endpoint crm: chats: 1203@g.us is a group, but groups is false: keep one",
        ),
        (
            "chats = [\"1@c.us\"]\nnot_chats = [\"1@s.whatsapp.net\"]",
            "line 3: endpoint crm: chats: 1@c.us is also in not_chats: keep one",
        ),
    ] {
        assert_eq!(parse(fields), Err(vec![fault.to_owned()]));
    }
}
