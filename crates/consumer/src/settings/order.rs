//! Order of an endpoint's events, and its lanes.

use std::{fmt, str::FromStr};
use wahook_domain::{LaneCount, Order};
use wahook_runtime::{Settings, settings::toml_table::Table};

use super::declared::{LANES, ORDERS, WEBHOOK_LANES, WEBHOOK_ORDER};

/// Lanes of an endpoint that receives events in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneSettings {
    /// Events that are delivered one after another.
    pub order: Order,
    pub count: LaneCount,
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
pub(super) fn read(settings: &mut Settings) -> Option<LaneSettings> {
    let order: Choice = settings.value(&WEBHOOK_ORDER)?;
    let count: LaneCount = settings.value(&WEBHOOK_LANES)?;
    let given = settings.is_given(&WEBHOOK_LANES).then_some(count);
    lanes(order, given)
        .map_err(|problem| settings.fault(&WEBHOOK_LANES, problem))
        .ok()?
}

/// Reads the lanes from the endpoints file.
pub(super) fn read_from(table: &mut Table<'_, '_>) -> Option<LaneSettings> {
    let order = table
        .read("order", ORDERS, |value| value.as_str()?.parse().ok())
        .unwrap_or(Choice(None));
    let place = table.place_of("lanes");
    let count = table.whole("lanes", LANES, 1..=LaneCount::MAX.get());
    let given = place.as_ref().and_then(|_| LaneCount::new(count));
    lanes(order, given)
        .map_err(|problem| {
            let place = place.unwrap_or_else(|| table.place.clone());
            table.fault(&place, format_args!("lanes {problem}"));
        })
        .ok()?
}

/// Combines both settings.
fn lanes(
    Choice(order): Choice,
    given: Option<LaneCount>,
) -> Result<Option<LaneSettings>, &'static str> {
    let count = match (order, given) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err("is set without an order: set order to chat or session"),
        (Some(Order::Session), None | Some(LaneCount::ONE)) => LaneCount::ONE,
        (Some(Order::Session), Some(_)) => {
            return Err(
                "must be 1 if the order is session: events are divided among lanes by their chat",
            );
        }
        (Some(Order::Chat), given) => given.or(LaneCount::new(LANES)).unwrap_or(LaneCount::ONE),
    };
    Ok(order.map(|order| LaneSettings { order, count }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_by_chat_has_four_lanes_by_default_and_order_by_session_one() {
        let of = |order: &str, lanes: Option<u8>| {
            let given = lanes.map(|lanes| LaneCount::new(lanes).unwrap());
            super::lanes(order.parse().unwrap(), given)
                .map(|lanes| lanes.map(|lanes| (lanes.order, lanes.count.get())))
        };
        assert_eq!(of("none", None), Ok(None));
        assert_eq!(of("chat", None), Ok(Some((Order::Chat, 4))));
        assert_eq!(of("chat", Some(12)), Ok(Some((Order::Chat, 12))));
        assert_eq!(of("session", None), Ok(Some((Order::Session, 1))));
        assert!(of("session", Some(2)).is_err() && of("none", Some(2)).is_err());
    }
}
