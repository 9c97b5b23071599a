//! Messages of the fixture.

use super::*;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const RESULT: &str = r#"{"event_id":"evt-1","endpoint":"default","event":"call","accepted_at":1795886940000,"queued_at":1795886940000,"number":1,"started_at":1795886940002,"duration_ms":3,"status_code":500,"error":"answered 500","next_attempt_at":null,"webhook_url":"http://127.0.0.1/hook"}"#;

/// Returns metadata of an event without a trace.
fn of(id: &str, event: &str, attempt: u32, accepted_at: i64) -> MessageMetadata {
    MessageMetadata {
        id: EventId::parse(id).ok(),
        event: EventName::parse(event).ok(),
        attempt: AttemptNumber::new(attempt),
        accepted_at: Some(UnixMillis::new(accepted_at)),
        ..MessageMetadata::default()
    }
}

fn traced(metadata: MessageMetadata) -> MessageMetadata {
    MessageMetadata {
        traceparent: Some(TRACE.to_owned()),
        ..metadata
    }
}

fn redriven(metadata: MessageMetadata, at: i64) -> MessageMetadata {
    MessageMetadata {
        redriven_at: Some(UnixMillis::new(at)),
        ..metadata
    }
}

fn exhausted(metadata: MessageMetadata, reason: &str, at: i64) -> MessageMetadata {
    MessageMetadata {
        endpoint: Some(EndpointName::default()),
        reason: Some(reason.to_owned()),
        dead_at: Some(UnixMillis::new(at)),
        ..metadata
    }
}

fn moved(metadata: MessageMetadata, reason: &str, at: i64) -> MessageMetadata {
    MessageMetadata {
        death: Some(Death {
            queue: Some("wahook.deliver.archive".to_owned()),
            reason: reason.to_owned(),
            at: Some(UnixMillis::new(at)),
        }),
        ..metadata
    }
}

pub(super) fn expected_queued() -> Vec<(&'static str, MessageMetadata)> {
    let result = MessageMetadata {
        id: EventId::parse("evt-1").ok(),
        result: Some(RESULT.to_owned()),
        ..MessageMetadata::default()
    };
    vec![
        (
            "wahook.dead",
            exhausted(
                traced(of(
                    "dc8e63d9-094a-5815-a20e-ecbcabb95fb7",
                    "auth_failure",
                    2,
                    1_795_886_945_801,
                )),
                "answered 500",
                1_795_886_946_122,
            ),
        ),
        (
            "wahook.dead",
            exhausted(
                redriven(
                    of(
                        "bad72df8-31bc-5348-b56f-dcd62d8d74f4",
                        "group_leave",
                        2,
                        1_795_886_945_816,
                    ),
                    1_795_886_946_235,
                ),
                "answered 404",
                1_795_886_946_951,
            ),
        ),
        (
            "wahook.dead",
            moved(
                traced(of(
                    "b0b8e726-2476-5c70-85d0-a08cd5e03d21",
                    "message_ack",
                    1,
                    1_795_886_945_789,
                )),
                "delivery_limit",
                1_795_886_948_000,
            ),
        ),
        (
            "wahook.dead",
            moved(
                of(
                    "40db7062-d87c-5ef9-bedd-108a82eaf952",
                    "message_revoke_everyone",
                    1,
                    1_795_886_945_795,
                ),
                "rejected",
                1_795_886_948_000,
            ),
        ),
        (
            "wahook.deliver.archive",
            traced(of(
                "8d6ec440-ad4e-5fc9-ac2a-d6c5c106885b",
                "message_create",
                1,
                1_795_886_948_532,
            )),
        ),
        (
            "wahook.deliver.archive",
            of(
                "ec6b21dd-6d5f-5e7b-8b39-9d0aca71d67f",
                "message_reaction",
                1,
                1_795_886_948_535,
            ),
        ),
        (
            "wahook.deliver.default",
            traced(of(
                "c336819c-a383-5f92-a427-f525f2db0c5c",
                "disconnected",
                1,
                1_795_886_948_685,
            )),
        ),
        ("wahook.results", result),
    ]
}

pub(super) fn expected_waiting() -> Vec<(&'static str, MessageMetadata)> {
    let queue = "wahook.deliver.default";
    vec![
        (
            queue,
            traced(of(
                "194b75c9-1fda-544a-907a-2e36a76aad27",
                "contact_changed",
                2,
                1_795_886_948_542,
            )),
        ),
        (
            queue,
            of(
                "16818ed4-79b2-539c-8d2b-ebec199e890d",
                "group_update",
                2,
                1_795_886_948_548,
            ),
        ),
        (
            queue,
            redriven(
                of(
                    "d783dc63-be81-59cc-ad7b-b60b36bda7ff",
                    "group_join",
                    2,
                    1_795_886_945_812,
                ),
                1_795_886_948_666,
            ),
        ),
    ]
}
