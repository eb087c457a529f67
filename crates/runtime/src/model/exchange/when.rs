//! When a server wants to be asked again, in all the ways that there are to say it.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

/// When the server wants to be asked again: `retry-after-ms`, then `Retry-After` in seconds (whole or
/// not) or as a date (RFC 9110, 10.2.3), then OpenAI's `x-ratelimit-reset-*` of what is used up
/// (platform.openai.com/docs/guides/rate-limits, November 2026).
pub(in crate::model) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|it| it.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(ms / 1000.0).ok();
    }
    let Some(said) = text("retry-after") else {
        let reset = |what: &str| {
            let left = text(&format!("x-ratelimit-remaining-{what}"));
            let used_up = left.is_none_or(|left| left == "0");
            text(&format!("x-ratelimit-reset-{what}")).filter(|_| used_up).and_then(span)
        };
        return ["requests", "tokens"].into_iter().filter_map(reset).max();
    };
    if let Ok(seconds) = said.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = httpdate::parse_http_date(said).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// A span as in `1h2m3.5s` or `900ms`.
fn span(text: &str) -> Option<Duration> {
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        rest = &rest[unit_at..];
        let unit_end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit_end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// The moment that lies `after` from now.
pub(in crate::model) fn at(now: DateTime<Utc>, after: Duration) -> DateTime<Utc> {
    chrono::TimeDelta::from_std(after).ok().and_then(|it| now.checked_add_signed(it)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn after(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let pairs = headers.iter().map(|(name, value)| {
            (name.parse::<reqwest::header::HeaderName>().unwrap(), value.parse().unwrap())
        });
        retry_after(&pairs.collect(), now)
    }

    #[test]
    fn every_way_to_say_when_is_understood() {
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[("retry-after", "7")]), ms(7_000));
        assert_eq!(after(&[("retry-after", " 0.5 ")]), ms(500));
        assert_eq!(after(&[("retry-after-ms", "40"), ("retry-after", "7")]), ms(40));
        assert_eq!(after(&[("retry-after", "Sun, 09 Sep 2001 01:46:50 GMT")]), ms(10_000));
        assert_eq!(after(&[("retry-after", "Sun, 09 Sep 2001 01:46:30 GMT")]), ms(0));
        assert_eq!(after(&[("x-ratelimit-reset-requests", "1m0.5s")]), ms(60_500));
        let both = [("x-ratelimit-reset-requests", "6m"), ("x-ratelimit-reset-tokens", "900ms")];
        assert_eq!(after(&both), ms(360_000));
        let tokens_only = [both[0], both[1], ("x-ratelimit-remaining-requests", "12")];
        assert_eq!(after(&tokens_only), ms(900));
        for nonsense in ["soon", "-1", "1e999", "NaN", "5 parsecs"] {
            assert_eq!(after(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }
}
