//! What is told when, and whether it is still right to tell it.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Case, CaseState, DeclineClass, cases, hours};
use crate::catalog::{Dunning, Policy};
use crate::notice::{Due, Notice, NoticeKind};
use crate::state::{ObjectRef, PaymentMethodRecord, Record, Subject};
use crate::ticket::words;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// The least time between two mails about failed payments to one customer.
const QUIET: i64 = 20 * HOUR;
/// How long before access ends the last word is told.
const LAST_WORD: i64 = 48 * HOUR;
/// The least that the last word leaves to act in; otherwise the first word has said it.
const TIME_TO_ACT: i64 = 12 * HOUR;
/// How long after its time the last step may still be told: an outage is not that long, and nobody
/// wants to hear of what was imported.
pub(super) const STALE: i64 = 14 * DAY;

words! {
    /// What a step is.
    StepKind {
        /// The invoice still waits.
        Reminder = "reminder",
        /// Access is about to end.
        Final = "final",
    }
}

/// Something to tell after the first word, while its invoice waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// What.
    pub kind: StepKind,
    /// Which of the reminders, from 1; 0 for the last word.
    pub number: usize,
    /// From when on, Unix seconds.
    pub at: i64,
    /// Until when: it was missed then, and the next one stands for it.
    pub until: i64,
}

/// The steps of a case, at least [`QUIET`] apart, in order. Reminders are by day in the customer's
/// zone, unless the next step would come first.
pub(super) fn steps(
    opened_at: i64,
    grace_end: Option<i64>,
    class: DeclineClass,
    policy: &Policy,
    zone: Option<Tz>,
) -> Vec<Step> {
    if policy.dunning == Dunning::Off {
        return Vec::new();
    }
    let step = |kind, number, at| Step { kind, number, at, until: 0 };
    let last_word = grace_end
        .map(|end| (end, (end - LAST_WORD).max(opened_at + QUIET)))
        .filter(|(end, at)| at + TIME_TO_ACT <= *end)
        .map(|(end, at)| (end, step(StepKind::Final, 0, at)));
    let mut steps: Vec<Step> = Vec::new();
    if class.is_reminded() {
        for (index, days) in policy.dunning_days.iter().enumerate() {
            let at = opened_at.saturating_add(i64::from(*days) * DAY);
            let crowded = last_word.as_ref().is_some_and(|(_, word)| (word.at - at).abs() < QUIET);
            if !crowded {
                steps.push(step(StepKind::Reminder, index + 1, at));
            }
        }
    }
    steps.extend(last_word.iter().map(|(_, word)| word.clone()));
    steps.sort_by_key(|step| step.at);
    // From the last one on, since how long each may wait depends on the next.
    let mut next = None;
    for step in steps.iter_mut().rev() {
        step.until = next.map_or(step.at.saturating_add(STALE), |next: i64| next - QUIET);
        match (step.kind, zone, &last_word) {
            (StepKind::Final, _, Some((end, _))) => step.until = step.until.min(*end),
            (StepKind::Reminder, Some(zone), _) => {
                let morning = hours::by_day(zone, step.at);
                step.at = if morning < step.until { morning } else { step.at };
            }
            _ => {}
        }
        next = Some(step.at);
    }
    steps
}

/// The steps of an invoice's case that are to come, or may be told now.
pub(crate) fn notices(
    subject: &Subject,
    object: &ObjectRef,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Vec<Due> {
    if policy.dunning == Dunning::Off {
        return Vec::new();
    }
    let cases = cases(subject, policy, now);
    let Some(case) = cases.iter().find(|case| case.invoice == object.id) else {
        return Vec::new();
    };
    if case.state != CaseState::Active {
        return Vec::new();
    }
    let seconds = now.timestamp();
    let told = case.steps.iter().filter(|step| {
        step.at > seconds || (step.until > seconds && is_time(case, &cases, subject, seconds))
    });
    told.filter_map(|step| {
        let (kind, detail) = match step.kind {
            StepKind::Reminder => (NoticeKind::PaymentReminder, step.number.to_string()),
            StepKind::Final => (NoticeKind::PaymentFinalNotice, String::new()),
        };
        let at = DateTime::from_timestamp(step.at, 0)?;
        Some(Due { notice: Notice::about(kind, object.clone(), detail), at })
    })
    .collect()
}

/// Until when a reminder that holds now has to wait, since it is night where the customer is: a late
/// delivery, or a zone that is known only now. `None` where it need not, or where it would be too
/// late then.
pub(crate) fn waits_until(
    notice: &Notice,
    subject: &Subject,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let object = notice.object.as_ref().filter(|_| notice.kind == NoticeKind::PaymentReminder)?;
    let zone = hours::zone_of(subject, policy)?;
    let case = cases(subject, policy, now).into_iter().find(|case| case.invoice == object.id)?;
    let number: usize = notice.detail.parse().ok()?;
    let step = case.steps.iter().find(|step| step.number == number)?;
    let morning = hours::by_day(zone, now.timestamp());
    (morning > now.timestamp() && morning < step.until)
        .then(|| DateTime::from_timestamp(morning, 0))
        .flatten()
}

/// Whether a step whose time has come is told now, or left out.
fn is_time(case: &Case, cases: &[Case], subject: &Subject, now: i64) -> bool {
    // The oldest case speaks for all of them.
    let waiting = || cases.iter().filter(|case| case.state == CaseState::Active);
    if waiting().next().map(|lead| &lead.invoice) != Some(&case.invoice) {
        return false;
    }
    // The customer just heard of it, or just paid.
    let lately = |at: Option<i64>| at.is_some_and(|at| at > now - QUIET);
    if waiting().any(|case| lately(Some(case.last_failed_at)))
        || cases.iter().any(|case| lately(case.closed_at))
    {
        return false;
    }
    // Stripe tries again: soon, and if it fails the customer hears of that; or with a new card.
    let Some(next) = case.next_attempt else { return true };
    let soon = next < now + QUIET && case.class.may_pass();
    let replaced = subject.records.values().any(|record| match record {
        Record::PaymentMethod(method) => is_new(method, case.last_failed_at),
        _ => false,
    });
    !soon && !replaced
}

fn is_new(method: &PaymentMethodRecord, since: i64) -> bool {
    let created = method.latest().and_then(|view| view.created);
    !method.is_detached() && created.is_some_and(|created| created > since)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reminders_are_by_day_and_never_crowd_the_next_step(
            index in 0..chrono_tz::TZ_VARIANTS.len(),
            opened_at in 1_600_000_000_i64..2_000_000_000,
            days in btree_set(1_u16..40, 0..8),
            grace in 0_i64..60 * 24,
        ) {
            let policy = Policy {
                dunning_days: days.into_iter().collect(),
                past_due_grace: TimeDelta::hours(grace),
                ..Policy::default()
            };
            let zone = chrono_tz::TZ_VARIANTS[index];
            let end = Some(opened_at + grace * HOUR);
            let of = |zone| steps(opened_at, end, DeclineClass::Hard, &policy, zone);
            let (by_day, plain) = (of(Some(zone)), of(None));
            prop_assert_eq!(by_day.len(), plain.len());
            for (step, plain) in by_day.iter().zip(&plain) {
                prop_assert_eq!((step.kind, step.number), (plain.kind, plain.number));
                let morning = hours::by_day(zone, plain.at);
                let is_free = step.kind == StepKind::Reminder && morning < step.until;
                prop_assert_eq!(step.at, if is_free { morning } else { plain.at });
                prop_assert!(step.until >= step.at || plain.until < plain.at);
            }
            for pair in by_day.windows(2) {
                prop_assert!(pair[1].at - pair[0].at >= QUIET, "{:?}", pair);
            }
        }
    }
}
