//! `Keep-Alive` header of an answer.

use reqwest::header::{HeaderMap, HeaderName};
use std::time::Duration;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Returns the time after which the receiver closes the unused connection, if it says so:
/// `Keep-Alive: timeout=5, max=100`.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let parameters = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    let seconds = parameters.split(',').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        is_timeout.then(|| value.trim().trim_matches('"'))
    })?;
    seconds.parse().map(Duration::from_secs).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_is_read_in_all_its_forms() {
        for (value, seconds) in [
            ("timeout=5", Some(5)),
            ("timeout=5, max=1000", Some(5)),
            ("max=1000,Timeout = 2", Some(2)),
            ("timeout=\"7\"", Some(7)),
            ("timeout=", None),
            ("timeout=-1", None),
            ("max=5", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(KEEP_ALIVE, value.parse().unwrap())]);
            assert_eq!(
                timeout(&headers),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
