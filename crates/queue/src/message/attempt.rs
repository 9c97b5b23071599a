//! Stored form of an attempt, separate from the domain type so that each can change by itself.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use wahook_domain::{Attempt, AttemptNumber, UnixMillis};

/// Defines a stored form. The stores differ in the spelling of the names only.
macro_rules! stored_attempt {
    ($name:ident, $spelling:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(rename_all = $spelling)]
        pub struct $name<'a> {
            queued_at: i64,
            number: u32,
            started_at: i64,
            duration_ms: i64,
            status_code: Option<u16>,
            error: Option<Cow<'a, str>>,
            next_attempt_at: Option<i64>,
            webhook_url: Cow<'a, str>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            response: Option<Cow<'a, str>>,
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            other_event: bool,
        }

        impl<'a> From<&'a Attempt> for $name<'a> {
            fn from(attempt: &'a Attempt) -> Self {
                Self {
                    queued_at: attempt.queued_at.get(),
                    number: attempt.number.get(),
                    started_at: attempt.started_at.get(),
                    duration_ms: attempt.duration_ms,
                    status_code: attempt.status_code,
                    error: attempt.error.as_deref().map(Cow::Borrowed),
                    next_attempt_at: attempt.next_attempt_at.map(UnixMillis::get),
                    webhook_url: Cow::Borrowed(&attempt.webhook_url),
                    response: attempt.response.as_deref().map(Cow::Borrowed),
                    other_event: attempt.other_event,
                }
            }
        }

        impl $name<'_> {
            /// Returns the attempt; `None` if its number is 0.
            #[must_use]
            pub fn read(self) -> Option<Attempt> {
                Some(Attempt {
                    queued_at: UnixMillis::new(self.queued_at),
                    number: AttemptNumber::new(self.number)?,
                    started_at: UnixMillis::new(self.started_at),
                    duration_ms: self.duration_ms,
                    status_code: self.status_code,
                    error: self.error.map(Cow::into_owned),
                    next_attempt_at: self.next_attempt_at.map(UnixMillis::new),
                    webhook_url: Arc::from(self.webhook_url),
                    response: self.response.map(Arc::from),
                    other_event: self.other_event,
                })
            }
        }
    };
}

stored_attempt!(
    QueuedAttempt,
    "snake_case",
    "Attempt in the header of a message of `wahook.results`."
);
stored_attempt!(
    LoggedAttempt,
    "camelCase",
    "Attempt in the log of the embedded store, with the field names of the MongoDB collection."
);

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            queued_at: UnixMillis::new(1),
            number: AttemptNumber::FIRST,
            started_at: UnixMillis::new(2),
            duration_ms: 3,
            status_code: None,
            error: Some("no answer \"in time\"".into()),
            next_attempt_at: Some(UnixMillis::new(4)),
            webhook_url: "http://127.0.0.1/hook".into(),
            response: None,
            other_event: false,
        }
    }

    #[test]
    fn response_is_stored_where_there_is_one() {
        let answered = Attempt {
            response: Some("out of \"paper\"".into()),
            ..attempt()
        };
        let logged = serde_json::to_string(&LoggedAttempt::from(&answered)).unwrap();
        let member = r#","response":"out of \"paper\""}"#;
        assert!(logged.ends_with(member), "{logged}");
        let logged: LoggedAttempt<'_> = serde_json::from_str(&logged).unwrap();
        assert_eq!(logged.read(), Some(answered));
    }

    #[test]
    fn mark_of_another_event_is_stored_where_it_is_set() {
        let marked = Attempt {
            other_event: true,
            ..attempt()
        };
        let logged = serde_json::to_string(&LoggedAttempt::from(&marked)).unwrap();
        assert!(logged.ends_with(r#","otherEvent":true}"#), "{logged}");
        let logged: LoggedAttempt<'_> = serde_json::from_str(&logged).unwrap();
        assert_eq!(logged.read(), Some(marked));
    }

    #[test]
    fn names_of_the_stored_members_never_change() {
        let queued = serde_json::to_string(&QueuedAttempt::from(&attempt())).unwrap();
        assert_eq!(
            queued,
            r#"{"queued_at":1,"number":1,"started_at":2,"duration_ms":3,"status_code":null,"error":"no answer \"in time\"","next_attempt_at":4,"webhook_url":"http://127.0.0.1/hook"}"#
        );
        let logged = serde_json::to_string(&LoggedAttempt::from(&attempt())).unwrap();
        assert_eq!(
            logged,
            r#"{"queuedAt":1,"number":1,"startedAt":2,"durationMs":3,"statusCode":null,"error":"no answer \"in time\"","nextAttemptAt":4,"webhookUrl":"http://127.0.0.1/hook"}"#
        );
        let queued: QueuedAttempt<'_> = serde_json::from_str(&queued).unwrap();
        let logged: LoggedAttempt<'_> = serde_json::from_str(&logged).unwrap();
        assert_eq!(queued.read(), Some(attempt()));
        assert_eq!(logged.read(), Some(attempt()));
    }
}
