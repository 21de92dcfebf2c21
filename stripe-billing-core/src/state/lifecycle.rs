use serde::{Deserialize, Serialize};

use crate::stripe::objects::{Subscription, SubscriptionStatus};

/// Where a subscription, or an account with its subscriptions, stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// There is none.
    #[default]
    NoSubscription,
    /// The first payment has not gone through.
    Incomplete,
    /// In its trial.
    Trialing,
    /// Paid, and renewing.
    Active,
    /// A renewal is not paid: with access while in grace, without after.
    PastDue,
    /// Retries are exhausted.
    Unpaid,
    /// Paused: no invoices, no access.
    Paused,
    /// Canceled: over, or with time left that was paid for.
    Canceled,
    /// The first payment never went through.
    Expired,
}

impl State {
    /// Every state, in the order of a subscription's life.
    pub const ALL: [Self; 9] = [
        Self::NoSubscription,
        Self::Incomplete,
        Self::Trialing,
        Self::Active,
        Self::PastDue,
        Self::Unpaid,
        Self::Paused,
        Self::Canceled,
        Self::Expired,
    ];

    /// The state a subscription is in. One that will cancel by itself counts as canceled, with
    /// time left; a status that Stripe adds one day counts as unpaid: no access, nothing lost.
    pub fn of(subscription: &Subscription) -> Self {
        match subscription.status {
            SubscriptionStatus::Incomplete => Self::Incomplete,
            SubscriptionStatus::IncompleteExpired => Self::Expired,
            SubscriptionStatus::Trialing | SubscriptionStatus::Active
                if subscription.will_cancel() =>
            {
                Self::Canceled
            }
            SubscriptionStatus::Trialing => Self::Trialing,
            SubscriptionStatus::Active => Self::Active,
            SubscriptionStatus::PastDue => Self::PastDue,
            SubscriptionStatus::Canceled => Self::Canceled,
            SubscriptionStatus::Paused => Self::Paused,
            SubscriptionStatus::Unpaid | SubscriptionStatus::Other(_) => Self::Unpaid,
        }
    }

    /// The state as JSON and the docs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSubscription => "no_subscription",
            Self::Incomplete => "incomplete",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }

    /// Whether the table allows the step. Stripe decides what happens; a step outside of the table
    /// is applied all the same and logged, since it means that events are missing or a rule is new.
    pub fn may_become(self, next: Self) -> bool {
        self == next || TRANSITIONS.iter().any(|step| step.from == self && step.to == next)
    }
}

/// One legal step between two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// What causes it.
    pub on: &'static str,
}

const fn step(from: State, to: State, on: &'static str) -> Transition {
    Transition { from, to, on }
}

/// Every legal step of a subscription. The diagram in `ARCHITECTURE.md` is made from it.
pub const TRANSITIONS: &[Transition] = &[
    step(State::NoSubscription, State::Incomplete, "created, first payment open"),
    step(State::NoSubscription, State::Trialing, "created with a trial"),
    step(State::NoSubscription, State::Active, "created and paid"),
    step(State::Incomplete, State::Active, "first payment succeeded"),
    step(State::Incomplete, State::Trialing, "first payment succeeded, trial runs"),
    step(State::Incomplete, State::Expired, "not paid within 23 hours"),
    step(State::Incomplete, State::Canceled, "canceled"),
    step(State::Trialing, State::Active, "trial over, paid"),
    step(State::Trialing, State::PastDue, "trial over, payment failed"),
    step(State::Trialing, State::Unpaid, "trial over, retries exhausted"),
    step(State::Trialing, State::Paused, "trial over, no payment method"),
    step(State::Trialing, State::Canceled, "canceled, or will be"),
    step(State::Active, State::Trialing, "trial granted"),
    step(State::Active, State::PastDue, "renewal failed"),
    step(State::Active, State::Unpaid, "retries exhausted"),
    step(State::Active, State::Paused, "paused"),
    step(State::Active, State::Canceled, "canceled, or will be"),
    step(State::PastDue, State::Active, "paid"),
    step(State::PastDue, State::Unpaid, "retries exhausted"),
    step(State::PastDue, State::Paused, "final payment failed"),
    step(State::PastDue, State::Canceled, "canceled, or retries exhausted"),
    step(State::Unpaid, State::Active, "paid"),
    step(State::Unpaid, State::PastDue, "payment tried again"),
    step(State::Unpaid, State::Paused, "paused"),
    step(State::Unpaid, State::Canceled, "canceled"),
    step(State::Paused, State::Active, "resumed and paid"),
    step(State::Paused, State::Trialing, "resumed within the trial"),
    step(State::Paused, State::PastDue, "resumed, payment failed"),
    step(State::Paused, State::Canceled, "canceled"),
    step(State::Canceled, State::Active, "cancellation taken back"),
    step(State::Canceled, State::Trialing, "cancellation taken back in the trial"),
    step(State::Canceled, State::PastDue, "last renewal failed"),
];

/// The table as a Mermaid state diagram.
pub fn mermaid() -> String {
    let mut diagram = String::from("stateDiagram-v2\n    [*] --> no_subscription\n");
    for Transition { from, to, on } in TRANSITIONS {
        diagram.push_str(&format!("    {} --> {}: {on}\n", from.as_str(), to.as_str()));
    }
    diagram.push_str("    expired --> [*]\n");
    diagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_reached_and_only_expired_is_final() {
        for state in State::ALL {
            let reached =
                state == State::NoSubscription || TRANSITIONS.iter().any(|step| step.to == state);
            assert!(reached, "{state:?} cannot be reached");
            let left = TRANSITIONS.iter().any(|step| step.from == state);
            assert_eq!(left, state != State::Expired, "{state:?}");
        }
    }

    #[test]
    fn the_table_has_no_step_twice_and_none_to_itself() {
        for (n, step) in TRANSITIONS.iter().enumerate() {
            assert_ne!(step.from, step.to);
            let again = TRANSITIONS[..n].iter().any(|s| s.from == step.from && s.to == step.to);
            assert!(!again, "{step:?} stands twice");
        }
        assert!(!State::Expired.may_become(State::Active));
        assert!(State::Active.may_become(State::Active));
    }
}
