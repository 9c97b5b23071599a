//! Order of an endpoint's events, and its lanes.

use std::{fmt, str::FromStr};
use wahook_domain::{LaneCount, Order, RetryRule};
use wahook_runtime::{Settings, settings::toml_table::Table};

use super::declared::{
    EXHAUSTED, LANES, ORDERS, WEBHOOK_LANES, WEBHOOK_ON_EXHAUSTED, WEBHOOK_ORDER,
};

/// Queues among which the events of an endpoint are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Division {
    /// Lanes of an endpoint that receives events in order.
    pub(super) lanes: Option<LaneSettings>,
    /// Number of queues of any other endpoint.
    pub(super) shared: LaneCount,
}

impl Division {
    /// One queue, without an order.
    const NONE: Self = Self {
        lanes: None,
        shared: LaneCount::ONE,
    };
}

/// Lanes of an endpoint that receives events in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneSettings {
    /// Events that are delivered one after another.
    pub order: Order,
    pub count: LaneCount,
    pub on_exhausted: OnExhausted,
}

/// Fate of an event whose retries are exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExhausted {
    /// A dead letter; the next event of its key starts.
    Continue,
    /// Retried until it is delivered or an operator gives it up. Holds its key back.
    Hold,
}

impl FromStr for OnExhausted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "continue" => Ok(Self::Continue),
            "hold" => Ok(Self::Hold),
            _ => Err("unknown value"),
        }
    }
}

impl fmt::Display for OnExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continue => "continue",
            Self::Hold => "hold",
        })
    }
}

/// Value of `order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Choice(Option<Order>);

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            "chat" => Ok(Self(Some(Order::Chat))),
            "session" => Ok(Self(Some(Order::Session))),
            _ => Err("unknown value"),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "none",
            Some(Order::Chat) => "chat",
            Some(Order::Session) => "session",
        })
    }
}

/// Reads the lanes of the single endpoint.
pub(super) fn read(settings: &mut Settings, rule: Option<RetryRule>) -> Division {
    try_read(settings, rule).unwrap_or(Division::NONE)
}

/// Returns `None` after a fault.
fn try_read(settings: &mut Settings, rule: Option<RetryRule>) -> Option<Division> {
    let order: Choice = settings.value(&WEBHOOK_ORDER)?;
    let count: LaneCount = settings.value(&WEBHOOK_LANES)?;
    let on_exhausted: OnExhausted = settings.value(&WEBHOOK_ON_EXHAUSTED)?;
    let given = settings.is_given(&WEBHOOK_LANES).then_some(count);
    if let Err(problem) = check_hold(on_exhausted, order, rule) {
        settings.fault(&WEBHOOK_ON_EXHAUSTED, problem);
    }
    divide(order, given, on_exhausted)
        .map_err(|problem| settings.fault(&WEBHOOK_LANES, problem))
        .ok()
}

/// Reads the lanes from the endpoints file.
pub(super) fn read_from(table: &mut Table<'_, '_>, rule: Option<RetryRule>) -> Division {
    let order = table
        .read("order", ORDERS, |value| value.as_str()?.parse().ok())
        .unwrap_or(Choice(None));
    let place = table.place_of("on_exhausted");
    let on_exhausted = table.read("on_exhausted", EXHAUSTED, |value| {
        value.as_str()?.parse().ok()
    });
    let on_exhausted = on_exhausted.unwrap_or(OnExhausted::Continue);
    if let (Err(problem), Some(place)) = (check_hold(on_exhausted, order, rule), place) {
        table.fault(&place, format_args!("on_exhausted {problem}"));
    }
    let place = table.place_of("lanes");
    let count = table.whole("lanes", LANES, 1..=LaneCount::MAX.get());
    let given = place.as_ref().and_then(|_| LaneCount::new(count));
    divide(order, given, on_exhausted).unwrap_or_else(|problem| {
        let place = place.unwrap_or_else(|| table.place.clone());
        table.fault(&place, format_args!("lanes {problem}"));
        Division::NONE
    })
}

/// Refuses to hold events without an order, or without a delay between the attempts. The rule
/// is `None` after a fault.
fn check_hold(
    on_exhausted: OnExhausted,
    Choice(order): Choice,
    rule: Option<RetryRule>,
) -> Result<(), &'static str> {
    if on_exhausted == OnExhausted::Continue {
        Ok(())
    } else if order.is_none() {
        Err("is hold, but the endpoint has no order: set order to chat or session")
    } else if rule.is_some_and(|rule| rule.max_attempts() == 1) {
        Err("is hold, but there are no retries, whose longest delay is used: allow one or more")
    } else {
        Ok(())
    }
}

/// Combines the settings.
fn divide(
    Choice(order): Choice,
    given: Option<LaneCount>,
    on_exhausted: OnExhausted,
) -> Result<Division, &'static str> {
    let Some(order) = order else {
        return Ok(Division {
            lanes: None,
            shared: given.unwrap_or(LaneCount::ONE),
        });
    };
    let count = match (order, given) {
        (Order::Session, None | Some(LaneCount::ONE)) => LaneCount::ONE,
        (Order::Session, Some(_)) => {
            return Err(
                "must be 1 if the order is session: events are divided among lanes by their chat",
            );
        }
        (Order::Chat, given) => given.or(LaneCount::new(LANES)).unwrap_or(LaneCount::ONE),
    };
    Ok(Division {
        lanes: Some(LaneSettings {
            order,
            count,
            on_exhausted,
        }),
        ..Division::NONE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_by_chat_has_four_lanes_by_default_order_by_session_one_and_no_order_one_queue() {
        let of = |order: &str, lanes: Option<u8>| {
            let given = lanes.map(|lanes| LaneCount::new(lanes).unwrap());
            let divided = divide(order.parse().unwrap(), given, OnExhausted::Continue).ok()?;
            let lanes = divided.lanes.map(|lanes| (lanes.order, lanes.count.get()));
            Some((lanes, divided.shared.get()))
        };
        assert_eq!(of("none", None), Some((None, 1)));
        assert_eq!(of("none", Some(1)), Some((None, 1)));
        assert_eq!(of("none", Some(3)), Some((None, 3)));
        assert_eq!(of("chat", None), Some((Some((Order::Chat, 4)), 1)));
        assert_eq!(of("chat", Some(12)), Some((Some((Order::Chat, 12)), 1)));
        assert_eq!(of("session", None), Some((Some((Order::Session, 1)), 1)));
        assert_eq!(of("session", Some(2)), None);
    }

    #[test]
    fn events_are_held_only_with_an_order_and_a_retry() {
        let of = |choice: &str, order: &str, retries| {
            let rule = RetryRule::new(retries, 5_000).ok();
            check_hold(choice.parse().unwrap(), order.parse().unwrap(), rule).is_ok()
        };
        assert!(of("hold", "chat", 1) && of("hold", "session", 3));
        assert!(of("continue", "none", 0) && of("continue", "chat", 0));
        assert!(!of("hold", "none", 3) && !of("hold", "chat", 0));
    }
}
