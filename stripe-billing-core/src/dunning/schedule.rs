//! What is told when, and whether it is still right to tell it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Case, CaseState, DeclineClass, cases};
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

/// The steps of a case, at least [`QUIET`] apart, in order.
pub(super) fn steps(
    opened_at: i64,
    grace_end: Option<i64>,
    class: DeclineClass,
    policy: &Policy,
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
    for index in 0..steps.len() {
        let next = steps.get(index + 1).map(|next| next.at - QUIET);
        let step = &mut steps[index];
        step.until = next.unwrap_or(step.at.saturating_add(STALE));
        if let (StepKind::Final, Some((end, _))) = (step.kind, &last_word) {
            step.until = step.until.min(*end);
        }
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
