//! Rules of wahook as pure functions over values: accepted events and their
//! canonical bytes, signatures, retries, the circuit breaker and delivery records.
//!
//! The crate does not wait, read a clock, draw random numbers or do I/O, so
//! every rule can be tested without a server.

mod checked_text;
mod documented;
mod stored_json;

pub mod admission;
pub mod auto_redrive;
pub mod body;
pub mod canonical;
pub mod circuit;
pub mod delivery;
pub mod endpoint;
pub mod envelope;
pub mod event;
pub mod fault;
pub mod filter;
pub mod health;
pub mod host_list;
pub mod id;
pub mod jid;
pub mod json;
pub mod lanes;
pub mod link;
pub mod log_limit;
pub mod order;
pub mod origin;
pub mod origin_filter;
pub mod outcome;
pub mod pace;
pub mod prefetch;
pub mod propagated;
pub mod public_address;
pub mod reach;
pub mod record;
pub mod redaction;
pub mod redirect;
pub mod retry;
pub mod retry_after;
pub mod sent;
pub mod signature;
pub mod size_limit;
pub mod throttle;
pub mod time;
pub mod validation;

pub use admission::{Admission, Recorded, Start};
pub use auto_redrive::{
    AutoRedrive, DeadDelivery, Recoveries, Recovery, RedrivePeriod, RedriveRate,
};
pub use body::{BodyFault, BodyForm, EventBody, LARGEST_EVENT};
pub use canonical::{canonical_body, compose};
pub use circuit::{Change, Circuit, CircuitRule};
pub use delivery::{AttemptNumber, QueuedEvent};
pub use documented::samples;
pub use endpoint::{EndpointName, InvalidEndpointName};
pub use envelope::{AcceptedEvent, Ingest, Rejection, ingest};
pub use event::{EventName, InvalidEventName, KnownEvent};
pub use fault::Fault;
pub use filter::{EventPattern, InvalidEventPattern};
pub use health::HealthSignal;
pub use id::{ContentHash, EventId, InvalidEventId, InvalidKey};
pub use jid::{ChatId, InvalidChatId};
pub use lanes::{InvalidLaneCount, LaneBalance, LaneCount, Lanes};
pub use link::LinkState;
pub use order::{
    InvalidOrderKey, InvalidSentKey, Order, OrderKey, Parking, Place, Resume, Sequencer,
};
pub use origin::{InvalidSourceName, Origin, ReceivedForm, SourceName};
pub use origin_filter::{InvalidSessionPattern, OriginFilter, SessionPattern};
pub use outcome::{FailureCause, Outcome};
pub use pace::{Pace, RateLimit};
pub use prefetch::{PREFETCH_FACTOR, prefetch, slowed_prefetch};
pub use propagated::Propagated;
pub use public_address::is_public;
pub use reach::Reach;
pub use record::{Attempt, AttemptResult, DeliveryRecord, Status};
pub use redaction::{InvalidRedaction, Redaction};
pub use redirect::RedirectFault;
pub use retry::{Decision, InvalidRetryRule, RetryRule, WaitStep};
pub use retry_after::{MAX_RETRY_AFTER, parse_retry_after};
pub use sent::{Omitted, Original, Sent, sent_body};
pub use signature::{InvalidSecret, Secret, Signer};
pub use size_limit::{RecentSize, SizeLimit};
pub use throttle::{Hold, Throttle};
pub use time::UnixMillis;
pub use validation::{InvalidValidation, Validation};
