//! The places at which the fault matrix ends a program, to see that nothing is
//! lost there, and the hour by which it steps a program's clock.
//!
//! They are compiled in with the feature `armed` alone; without it everything
//! here does nothing, at no cost. With it they are set by the environment:
//!
//! - `WAHOOK_FAILPOINT=posted@17`: the program ends, as by `kill -9`, when it
//!   passes that place for the 17th time;
//! - `WAHOOK_CLOCK_STEP=3600000@100`: from its 100th reading on the wall clock
//!   shows that many milliseconds more (or, with a minus, less).
//!
//! A crate of our own, since `fail`, the one for this, knows no action that
//! ends a process, and would be a dependency of every build.

#[cfg(feature = "armed")]
mod armed;

/// A place in a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// A message is handed to the broker and not yet confirmed.
    Published,
    /// The producer has the broker's confirm and has not answered yet.
    Confirmed,
    /// The consumer has a message and has done nothing with it yet.
    Received,
    /// The webhook has answered, and nobody knows it yet.
    Posted,
    /// The broker has confirmed a retry, and its attempt is not recorded yet.
    RetryConfirmed,
    /// A batch of results is on its way to the log.
    Writing,
    /// A result is durable, and its message is not acknowledged yet.
    Recorded,
    /// A result that waited at the broker is in the log, and its message is not
    /// acknowledged yet.
    Drained,
}

impl Failpoint {
    /// Every place, in the order in which an event comes by.
    pub const ALL: [Self; 8] = [
        Self::Published,
        Self::Confirmed,
        Self::Received,
        Self::Posted,
        Self::RetryConfirmed,
        Self::Writing,
        Self::Recorded,
        Self::Drained,
    ];

    /// As `WAHOOK_FAILPOINT` names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Confirmed => "confirmed",
            Self::Received => "received",
            Self::Posted => "posted",
            Self::RetryConfirmed => "retry-confirmed",
            Self::Writing => "writing",
            Self::Recorded => "recorded",
            Self::Drained => "drained",
        }
    }
}

/// Whether failpoints are compiled in.
#[must_use]
pub const fn is_armed() -> bool {
    cfg!(feature = "armed")
}

/// The program is here now. May not return.
#[inline]
pub fn pass(place: Failpoint) {
    #[cfg(feature = "armed")]
    armed::pass(place);
    #[cfg(not(feature = "armed"))]
    let _ = place;
}

/// As [`pass`], but the end comes a moment later, while what has begun here is
/// under way.
#[inline]
pub fn pass_into(place: Failpoint) {
    #[cfg(feature = "armed")]
    armed::pass_into(place);
    #[cfg(not(feature = "armed"))]
    let _ = place;
}

/// By how much the wall clock is off, in milliseconds.
#[inline]
#[must_use]
pub fn clock_step_ms() -> i64 {
    #[cfg(feature = "armed")]
    return armed::clock_step_ms();
    #[cfg(not(feature = "armed"))]
    0
}
