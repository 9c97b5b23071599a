//! Context of a trace in an event: W3C Trace Context.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use std::str::FromStr;
use wahook_domain::{Propagated, QueuedEvent};

/// Member of `tracestate` that names the last attempt, for the link of the next one.
const LAST_ATTEMPT: &str = "wahook";

/// Returns the span that an event names; `None` without a valid one.
pub(crate) fn of(event: &QueuedEvent) -> Option<SpanContext> {
    let mut parts = event.traceparent.as_deref()?.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    let state = event.propagated.as_deref();
    let state = state.and_then(|context| context.tracestate.as_deref());
    let state = state.and_then(|list| TraceState::from_str(list).ok());
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let context = SpanContext::new(trace, span, flags, true, state.unwrap_or_default());
    context.is_valid().then_some(context)
}

/// Makes a span the one that an event names.
pub(crate) fn put(event: &mut QueuedEvent, span: &SpanContext) {
    event.traceparent = Some(format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags()
    ));
    put_state(event, span.trace_state());
}

/// Makes a span the last attempt of an event.
pub(crate) fn put_attempt(event: &mut QueuedEvent, span: &SpanContext) {
    let id = span.span_id().to_string();
    if let Ok(state) = span.trace_state().insert(LAST_ATTEMPT, id) {
        put_state(event, &state);
    }
}

fn put_state(event: &mut QueuedEvent, state: &TraceState) {
    let list = Some(state.header()).filter(|list| !list.is_empty());
    let baggage = event.propagated.as_deref();
    let baggage = baggage.and_then(|context| context.baggage.clone());
    event.propagated = Propagated::of(list, baggage);
}

/// Returns the last attempt in a trace.
pub(crate) fn last_attempt(trace: &SpanContext) -> Option<SpanContext> {
    let id = SpanId::from_hex(trace.trace_state().get(LAST_ATTEMPT)?).ok()?;
    let flags = trace.trace_flags();
    let state = TraceState::NONE;
    Some(SpanContext::new(trace.trace_id(), id, flags, true, state))
}

/// Returns the same span without the last attempt: that of another wahook, which sent the
/// event here.
pub(crate) fn without_attempt(span: SpanContext) -> SpanContext {
    match span.trace_state().delete(LAST_ATTEMPT) {
        Ok(state) => SpanContext::new(
            span.trace_id(),
            span.span_id(),
            span.trace_flags(),
            true,
            state,
        ),
        Err(_) => span,
    }
}

/// Returns the context for the children of a span, or for a new trace.
pub(crate) fn below(parent: Option<SpanContext>) -> Context {
    let none = Context::new();
    parent.map_or(none.clone(), |parent| none.with_remote_span_context(parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::{AttemptNumber, EventBody, EventId, EventName, UnixMillis};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn event(traceparent: &str, tracestate: Option<&str>) -> QueuedEvent {
        let baggage = Some("user=alice".to_owned());
        QueuedEvent {
            id: EventId::parse("one").unwrap(),
            name: EventName::parse("call").unwrap(),
            body: EventBody::as_received("{}".into()),
            exact: None,
            attempt: AttemptNumber::FIRST,
            accepted_at: UnixMillis::new(0),
            redriven_at: None,
            traceparent: Some(traceparent.to_owned()),
            propagated: Propagated::of(tracestate.map(str::to_owned), baggage),
            origin: None,
            key: None,
            is_redelivery: false,
            auto_redrives: 0,
        }
    }

    #[test]
    fn context_of_an_event_is_the_same_after_it_is_put_back() {
        for flags in ["00", "01"] {
            let parent = PARENT.replace("-01", &format!("-{flags}"));
            let before = event(&parent, Some("congo=t61rcWkgMzE,rojo=1"));
            let mut after = before.clone();
            let context = of(&before).unwrap();
            assert_eq!(context.is_sampled(), flags == "01");
            put(&mut after, &context);
            assert_eq!(after, before);
        }
        for none in [
            "",
            "00",
            "00-0-0-01",
            "00-x",
            "00-0af7651916cd43dd8448eb211c80319c",
        ] {
            assert_eq!(of(&event(none, None)), None, "{none}");
        }
    }

    #[test]
    fn last_attempt_is_a_member_of_tracestate_that_nothing_else_loses() {
        let mut event = event(PARENT, Some("congo=1"));
        let parent = of(&event).unwrap();
        assert_eq!(last_attempt(&parent), None);
        let id = SpanId::from_hex("00f067aa0ba902b7").unwrap();
        let (trace, flags) = (parent.trace_id(), parent.trace_flags());
        let state = parent.trace_state().clone();
        let attempt = SpanContext::new(trace, id, flags, false, state);
        put_attempt(&mut event, &attempt);
        let context = event.propagated.as_deref().unwrap();
        let state = context.tracestate.as_deref();
        assert_eq!(state, Some("wahook=00f067aa0ba902b7,congo=1"));
        assert_eq!(context.baggage.as_deref(), Some("user=alice"));
        assert_eq!(event.traceparent.as_deref(), Some(PARENT));
        let next = of(&event).unwrap();
        assert_eq!(last_attempt(&next).map(|last| last.span_id()), Some(id));
        assert_eq!(last_attempt(&without_attempt(next)), None);
    }
}
