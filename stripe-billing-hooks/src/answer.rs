//! What an endpoint's answer means.

use chrono::{DateTime, TimeDelta, Utc};

/// The longest wait that an endpoint can ask for.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(1);

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has the fact.
    Taken,
    /// Not now: why, and how long to wait at least where it said so.
    Later(String, Option<TimeDelta>),
    /// Never.
    Refused(String),
    /// Never, and nothing else either.
    Gone(String),
}

impl Answer {
    /// The meaning of a status and of the header `Retry-After`.
    pub(crate) fn of(status: u16, retry_after: Option<&str>, now: DateTime<Utc>) -> Self {
        let said = format!("answered {status}");
        match status {
            200..=299 => Self::Taken,
            410 => Self::Gone(said),
            408 | 425 | 429 | 500.. => Self::Later(said, retry_after.and_then(|it| wait(it, now))),
            _ => Self::Refused(said),
        }
    }
}

/// Seconds, or a date.
fn wait(text: &str, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = text.trim();
    let wait = match text.parse::<u32>() {
        Ok(seconds) => TimeDelta::seconds(i64::from(seconds)),
        Err(_) => DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc) - now,
    };
    (wait > TimeDelta::zero()).then_some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_meaning() {
        let now = DateTime::UNIX_EPOCH;
        let of = |status| Answer::of(status, None, now);
        for taken in [200, 202, 204, 299] {
            assert_eq!(of(taken), Answer::Taken, "{taken}");
        }
        for later in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(of(later), Answer::Later(_, None)), "{later}");
        }
        for refused in [301, 302, 307, 308, 400, 401, 403, 404, 405, 413, 422] {
            assert!(matches!(of(refused), Answer::Refused(_)), "{refused}");
        }
        assert!(matches!(of(410), Answer::Gone(_)));
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_at_most_a_day() {
        let now = DateTime::from_timestamp(784_111_747, 0).unwrap();
        let asked = |text| match Answer::of(429, Some(text), now) {
            Answer::Later(_, wait) => wait.map(|wait| wait.num_seconds()),
            other => panic!("{other:?}"),
        };
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(asked("4000000000"), Some(86_400));
        for nothing in ["", "0", "soon", "-5", "Sun, 06 Nov 1994 08:49:00 GMT"] {
            assert_eq!(asked(nothing), None, "{nothing}");
        }
    }
}
