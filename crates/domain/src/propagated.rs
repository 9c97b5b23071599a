//! Context of a request that is handed on with its events.

use std::sync::Arc;

/// `tracestate` (W3C Trace Context) and `baggage` (W3C Baggage) of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Propagated {
    pub tracestate: Option<String>,
    pub baggage: Option<String>,
}

impl Propagated {
    /// Returns the context; `None` if the request has neither.
    #[must_use]
    pub fn of(tracestate: Option<String>, baggage: Option<String>) -> Option<Arc<Self>> {
        let is_empty = tracestate.is_none() && baggage.is_none();
        (!is_empty).then(|| {
            Arc::new(Self {
                tracestate,
                baggage,
            })
        })
    }

    /// Returns its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let size = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size(&self.tracestate) + size(&self.baggage)
    }
}
