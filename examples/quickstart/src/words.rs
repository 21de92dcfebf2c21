//! An account's state in plain words.

use chrono::DateTime;
use stripe_billing_core::state::State;
use stripe_billing_core::{Access, SubscriptionAccess};

/// How a state looks and reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// `good`, `warn`, `bad` or `calm`: its colour.
    pub(crate) tone: &'static str,
    /// A word or two, for the badge.
    pub(crate) badge: &'static str,
    /// What it means, and until when.
    pub(crate) sentence: String,
}

/// `Fri 21 Nov 2025`, in one piece: lines break around it.
pub(crate) fn day(unix: i64) -> String {
    written(unix, "%a\u{a0}%-d\u{a0}%b\u{a0}%Y")
}

/// `21 Nov, 14:03`.
pub(crate) fn minute(unix: i64) -> String {
    written(unix, "%-d %b, %H:%M")
}

fn written(unix: i64, format: &str) -> String {
    DateTime::from_timestamp(unix, 0)
        .map_or_else(|| unix.to_string(), |time| time.format(format).to_string())
}

/// Says where an account stands.
pub(crate) fn tell(access: &Access) -> Told {
    let best = access.subscriptions.first();
    let on = |time: Option<i64>| time.map_or_else(|| "some day".to_owned(), day);
    let at = |pick: fn(&SubscriptionAccess) -> Option<i64>| on(best.and_then(pick));
    let told = |tone, badge, sentence: String| Told { tone, badge, sentence };
    match access.state {
        State::NoSubscription => told(
            "calm",
            "No subscription",
            "Nothing is subscribed to yet. Pick a plan below.".to_owned(),
        ),
        State::Active => told(
            "good",
            "Active",
            format!("Paid. Renews by itself on {}.", at(|share| share.period_end)),
        ),
        State::Trialing => told(
            "good",
            "Free trial",
            format!("Free until {}, then billed.", at(|share| share.trial_end)),
        ),
        State::Canceled if access.access => told(
            "warn",
            "Active, ends soon",
            format!(
                "Canceled. Everything works until {}, and until then it can be resumed.",
                at(|share| share.ends_at)
            ),
        ),
        State::Canceled => told(
            "calm",
            "Canceled",
            "The subscription is over. A new one can be bought any time.".to_owned(),
        ),
        State::PastDue if access.access => told(
            "warn",
            "Payment overdue",
            format!(
                "The renewal failed. Access goes on until {} while the payment is tried again.",
                at(|share| share.grace_until)
            ),
        ),
        State::PastDue => told(
            "bad",
            "Payment overdue",
            format!(
                "The grace period ended on {}: no access until the open invoice is paid.",
                at(|share| share.grace_until)
            ),
        ),
        State::Unpaid => told(
            "bad",
            "Unpaid",
            "Every try to collect has failed. Access returns when the invoice is paid.".to_owned(),
        ),
        State::Paused => told("calm", "Paused", "No invoices, and no access.".to_owned()),
        State::Incomplete => told(
            "warn",
            "Waiting for payment",
            "The first payment has not gone through.".to_owned(),
        ),
        State::Expired => {
            told("calm", "Expired", "The first payment never went through.".to_owned())
        }
        _ => told("calm", "Unknown", "This state is new to the demo.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_yet_is_told() {
        let told = tell(&Access::default());
        assert_eq!((told.tone, told.badge), ("calm", "No subscription"));
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(day(1_763_733_780), "Fri\u{a0}21\u{a0}Nov\u{a0}2025");
        assert_eq!(minute(1_763_733_780), "21 Nov, 14:03");
        assert_eq!(day(i64::MAX), i64::MAX.to_string());
    }
}
