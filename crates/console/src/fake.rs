//! Delivery log in memory, for tests of this crate.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use wahook_delivery_log::{
    Cursor, DeliverySearch, FoundDelivery, LogFuture, LogUnavailable, LoggedDelivery, Page,
    RecentEndpoint, SearchFilter, Summary,
};
use wahook_domain::{Attempt, AttemptNumber, EndpointName, EventId, Status, UnixMillis};

/// Log with these deliveries, the newest first.
#[derive(Default)]
pub(crate) struct FakeLog {
    logged: Mutex<Vec<LoggedDelivery>>,
    has_no_summary: AtomicBool,
}

impl FakeLog {
    /// Refuses summaries from now on.
    pub(crate) fn refuse_summaries(&self) {
        self.has_no_summary.store(true, Ordering::Relaxed);
    }

    /// Adds the newest delivery.
    pub(crate) fn add(&self, logged: LoggedDelivery) {
        self.logged.lock().unwrap().insert(0, logged);
    }
}

impl DeliverySearch for FakeLog {
    fn search<'a>(
        &'a self,
        filter: &'a SearchFilter,
        cursor: Option<&'a Cursor>,
        limit: usize,
    ) -> LogFuture<'a, Page> {
        let is_after = |found: &FoundDelivery| {
            let position = found.position();
            cursor.is_none_or(|cursor| {
                (position.created_at, position.key) < (cursor.created_at, cursor.key.clone())
            })
        };
        let matches = |found: &&FoundDelivery| {
            let (status, id) = (filter.status, filter.event_id.as_deref());
            status.is_none_or(|status| status == found.status)
                && id.is_none_or(|id| id == found.event_id.as_str())
                && is_after(found)
        };
        let logged = self.logged.lock().unwrap();
        let found = logged.iter().map(|logged| &logged.found);
        let found = found.filter(matches).take(limit + 1).cloned().collect();
        Box::pin(async move { Ok(Page::of(found, limit)) })
    }

    fn delivery<'a>(
        &'a self,
        id: &'a EventId,
        _: &'a EndpointName,
    ) -> LogFuture<'a, Option<LoggedDelivery>> {
        let logged = self.logged.lock().unwrap();
        let mut found = logged.iter();
        let found = found.find(|logged| logged.found.event_id == *id).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn summary(&self, since: UnixMillis, until: UnixMillis) -> LogFuture<'_, Summary> {
        let refused = self.has_no_summary.load(Ordering::Relaxed);
        Box::pin(async move {
            if refused {
                Err(LogUnavailable::File("no summary".to_owned()))
            } else {
                Ok(Summary::new(since, until))
            }
        })
    }

    fn recent(&self) -> LogFuture<'_, Vec<RecentEndpoint>> {
        Box::pin(async move { Ok(Vec::new()) })
    }
}

/// Returns a delivery that failed after two attempts.
pub(crate) fn logged(id: &str, created_at: i64) -> LoggedDelivery {
    let created_at = UnixMillis::new(created_at);
    let url: Arc<str> = "https://example.com/hook".into();
    let attempt = |number| Attempt {
        queued_at: created_at,
        number: AttemptNumber::new(number).unwrap(),
        started_at: created_at,
        duration_ms: 12,
        status_code: Some(500),
        error: Some("answered 500".to_owned()),
        next_attempt_at: None,
        webhook_url: Arc::clone(&url),
        response: Some("secret of the receiver".into()),
        other_event: false,
    };
    LoggedDelivery {
        found: FoundDelivery {
            event_id: EventId::parse(id).unwrap(),
            endpoint: EndpointName::default(),
            event: "call".to_owned(),
            webhook_url: url.to_string(),
            status: Status::Failed,
            status_code: Some(500),
            retry_count: 1,
            error_message: Some("answered 500".to_owned()),
            created_at,
            updated_at: created_at,
            last_retry_at: Some(created_at),
            completed_at: Some(created_at),
            next_attempt_at: None,
            source: None,
            session: None,
            chat: None,
            message_id: None,
            attempt_count: 2,
        },
        timestamp: created_at.to_iso8601(),
        payload: Some(r#"{"body":"hello"}"#.to_owned()),
        payload_altered: Vec::new(),
        sent: None,
        attempts: vec![attempt(1), attempt(2)],
    }
}
