//! Context of a trace in the headers of a request: W3C Trace Context and W3C Baggage.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use wahook_domain::Propagated;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const ZEROS: &str = "00000000000000000000000000000000";
/// Longest key or value of a member of `tracestate`, in characters.
const MOST_OF_STATE: usize = 256;

/// Limits of a list that is passed on, and the rule of its members.
struct List {
    name: HeaderName,
    members: usize,
    bytes: usize,
    is_member: fn(&str) -> bool,
}

/// Limits of W3C Trace Context.
static TRACESTATE: List = List {
    name: HeaderName::from_static("tracestate"),
    members: 32,
    bytes: 512,
    is_member: is_state,
};

/// Fewer bytes than the 8,192 of W3C Baggage: common servers limit all headers of a request
/// to that, and properties of a message must fit into one frame of 16 KiB.
static BAGGAGE: List = List {
    name: HeaderName::from_static("baggage"),
    members: 64,
    bytes: 2_048,
    is_member: is_baggage,
};

/// Returns the request's trace, if it is one of W3C Trace Context: version, trace id,
/// parent id and flags in lowercase hexadecimal digits, the ids not all zero.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(TRACEPARENT)?.to_str().ok()?;
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let mut parts = value.split('-');
    for (length, must_not_be) in [(2, "ff"), (32, ZEROS), (16, ZEROS), (2, "")] {
        let part = parts.next()?;
        let is_well_formed = part.len() == length && part.bytes().all(is_hex);
        if !is_well_formed || must_not_be.starts_with(part) {
            return None;
        }
    }
    parts.next().is_none().then(|| value.to_owned())
}

/// Returns the further context of the request. `tracestate` means nothing without a trace.
pub(super) fn propagated(headers: &HeaderMap, is_traced: bool) -> Option<Arc<Propagated>> {
    let tracestate = is_traced.then(|| TRACESTATE.read(headers)).flatten();
    Propagated::of(tracestate, BAGGAGE.read(headers))
}

impl List {
    /// Returns all members as one list; `None` if there are none, one is malformed, or a limit
    /// is exceeded.
    fn read(&self, headers: &HeaderMap) -> Option<String> {
        let mut list = String::new();
        let mut count = 0;
        for line in headers.get_all(&self.name) {
            let members = line.to_str().ok()?.split(',').map(str::trim);
            for member in members.filter(|member| !member.is_empty()) {
                if !list.is_empty() {
                    list.push(',');
                }
                list.push_str(member);
                count += 1;
                let is_allowed = count <= self.members && list.len() <= self.bytes;
                if !is_allowed || !(self.is_member)(member) {
                    return None;
                }
            }
        }
        (!list.is_empty()).then_some(list)
    }
}

/// Returns true for a member of `tracestate`: `key=value`.
fn is_state(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    let starts = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let follows = |b: u8| starts(&b) || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@');
    let is_of_value = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b',' | b'=');
    key.as_bytes().first().is_some_and(starts)
        && key.len() <= MOST_OF_STATE
        && key.bytes().all(follows)
        && (1..=MOST_OF_STATE).contains(&value.len())
        && value.bytes().all(is_of_value)
}

/// Returns true for a member of `baggage`: `key=value`, and properties after semicolons.
fn is_baggage(member: &str) -> bool {
    let mut parts = member.split(';').map(str::trim);
    let is_pair = |part: &str| {
        let pair = part.split_once('=');
        pair.is_some_and(|(key, value)| is_token(key.trim_end()) && is_value(value.trim_start()))
    };
    parts.next().is_some_and(is_pair) && parts.all(|part| is_token(part) || is_pair(part))
}

fn is_token(text: &str) -> bool {
    let is_sign = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || is_sign(b))
}

fn is_value(text: &str) -> bool {
    let is_excluded = |b: u8| matches!(b, b'"' | b',' | b';' | b'\\');
    text.bytes()
        .all(|b| b.is_ascii_graphic() && !is_excluded(b))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn trace(value: &str) -> Option<String> {
        let value = HeaderValue::from_str(value).unwrap();
        traceparent(&[(TRACEPARENT, value)].into_iter().collect())
    }

    fn read(list: &List, lines: &[&str]) -> Option<String> {
        let lines = lines
            .iter()
            .map(|line| HeaderValue::from_str(line).unwrap());
        list.read(&lines.map(|line| (list.name.clone(), line)).collect())
    }

    #[test]
    fn only_a_valid_trace_is_passed_on() {
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(trace(valid).as_deref(), Some(valid));
        assert!(trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").is_some());
        for invalid in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "-------------------------------------------------------",
            "00-0af7651916cd43dd8448eb211c80319cb7ad6b71692033310001",
            "0-00af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(trace(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn lines_of_a_list_are_joined_and_empty_members_dropped() {
        let states = [
            "congo=t61rcWkgMzE , rojo=00f067aa",
            "",
            ",fw529a3039@dt=FfFfFfFf,",
        ];
        let joined = "congo=t61rcWkgMzE,rojo=00f067aa,fw529a3039@dt=FfFfFfFf";
        assert_eq!(read(&TRACESTATE, &states).as_deref(), Some(joined));
        let baggage = [
            "userId=alice",
            "serverNode = DF%2028 ; internal;ttl=3, flag=",
        ];
        let joined = "userId=alice,serverNode = DF%2028 ; internal;ttl=3,flag=";
        assert_eq!(read(&BAGGAGE, &baggage).as_deref(), Some(joined));
        assert_eq!(read(&BAGGAGE, &[]), None);
        assert_eq!(read(&BAGGAGE, &[" , "]), None);
    }

    #[test]
    fn a_malformed_member_drops_the_whole_list() {
        for bad in ["a", "=1", "A=1", "-a=1", "a=", "a=b=c", "a b=1"] {
            assert_eq!(read(&TRACESTATE, &["ok=1", bad]), None, "{bad}");
        }
        for bad in [
            "a", "=1", "a=\"1\"", "a=1 2", "a=\\", "a=1;", "a=1;b c", "ä=1",
        ] {
            assert_eq!(read(&BAGGAGE, &["ok=1", bad]), None, "{bad}");
        }
    }

    #[test]
    fn a_list_beyond_its_limits_is_dropped() {
        for (list, longest_member) in [(&TRACESTATE, 258), (&BAGGAGE, 2_048)] {
            let of = |count: usize| vec!["a=1"; count].join(",");
            assert_eq!(read(list, &[&of(list.members)]), Some(of(list.members)));
            assert_eq!(read(list, &[&of(list.members + 1)]), None);
            let member = |length: usize| format!("a={}", "v".repeat(length - 2));
            assert!(read(list, &[&member(longest_member)]).is_some());
            assert_eq!(read(list, &[&member(longest_member + 1)]), None);
        }
        let (half, rest) = (
            format!("a={}", "v".repeat(254)),
            format!("b={}", "v".repeat(253)),
        );
        let whole = [half.as_str(), rest.as_str()];
        assert_eq!(read(&TRACESTATE, &whole).unwrap().len(), 512);
        assert_eq!(read(&TRACESTATE, &[&half, &format!("{rest}v")]), None);
    }

    #[test]
    fn tracestate_is_passed_on_only_with_a_trace_and_baggage_without_one_too() {
        let lists = [("tracestate", "a=1"), ("baggage", "b=2")];
        let lists = lists.map(|(name, value)| {
            let value = HeaderValue::from_static(value);
            (HeaderName::from_static(name), value)
        });
        let headers = HeaderMap::from_iter(lists);
        let (state, baggage) = (Some("a=1".to_owned()), Some("b=2".to_owned()));
        let traced = Propagated::of(state, baggage.clone());
        assert_eq!(propagated(&headers, true), traced);
        let untraced = Propagated::of(None, baggage);
        assert_eq!(propagated(&headers, false), untraced);
        assert_eq!(propagated(&HeaderMap::new(), true), None);
    }
}
