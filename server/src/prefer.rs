//! The `Prefer` header of requests (RFC 7240).

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

pub const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The header that lists the applied preferences.
pub const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
pub const WAIT: HeaderValue = HeaderValue::from_static("wait");

/// The wait if the client gives no number of seconds.
const DEFAULT: Duration = Duration::from_secs(60);
/// The maximum wait: proxies between client and server time out soon after.
const MOST: Duration = Duration::from_secs(300);

/// How long the response may wait for the run to end: `wait`, or `wait=10` in seconds. `None` if the client does not
/// want to wait. As the RFC requires, the first of several preferences counts, and a malformed one is ignored.
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let preference = values.flat_map(preferences).find(|(name, _)| name.eq_ignore_ascii_case("wait"))?;
    match preference.1 {
        "" => Some(DEFAULT),
        seconds if seconds.bytes().all(|byte| byte.is_ascii_digit()) => {
            // A number with too many digits counts as the maximum.
            Some(seconds.parse().map_or(MOST, Duration::from_secs).min(MOST))
        }
        _ => None,
    }
}

/// Name and value of each preference, without its parameters.
fn preferences(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    let outside_quotes = move |c: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '"' if !was_escaped => quoted = !quoted,
            '\\' => escaped = quoted && !was_escaped,
            _ => {}
        }
        c == ',' && !quoted
    };
    value.split(outside_quotes).map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        (name.trim(), value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_one_waits() {
        let seconds = |values: &[&'static str]| {
            let header = |value: &&'static str| (PREFER, HeaderValue::from_static(value));
            wait(&values.iter().map(header).collect()).map(|wait| wait.as_secs())
        };
        for (values, wanted) in [
            (vec![], None),
            (vec!["wait"], Some(60)),
            (vec!["Wait=5"], Some(5)),
            (vec!["wait=0"], Some(0)),
            (vec!["wait = 5"], Some(5)),
            (vec!["wait=\"5\""], Some(5)),
            (vec!["wait="], Some(60)),
            (vec!["respond-async, wait=10;x=y"], Some(10)),
            (vec!["return=minimal", "wait=7"], Some(7)),
            (vec!["wait=7", "wait=8"], Some(7)),
            (vec!["wait=3600"], Some(300)),
            (vec!["wait=99999999999999999999999"], Some(300)),
            (vec!["wait=-1"], None),
            (vec!["wait=+1"], None),
            (vec!["wait=soon"], None),
            (vec!["waiting"], None),
            (vec!["foo=\"a, wait=3, b\""], None),
            (vec!["foo=\"a\\\", wait=3\", wait=4"], Some(4)),
        ] {
            assert_eq!(seconds(&values), wanted, "{values:?}");
        }
    }
}
