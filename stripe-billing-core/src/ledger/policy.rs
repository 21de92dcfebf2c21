//! What a product may decide about its ledger.

use chrono::TimeDelta;

/// What happens to credits that were spent before their money went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Residual {
    /// The account owes them.
    Debt,
    /// They are written off.
    WriteOff,
}

/// Which lots may be used to settle debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Reach {
    /// All lots, at once, in burn order.
    All,
    /// Only credits that come in later.
    OriginOnly,
}

/// How credits are taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Clawback {
    /// What becomes of what is spent already.
    pub residual: Residual,
    /// What settles it.
    pub reach: Reach,
}

impl Clawback {
    /// Spent credits are owed, and any other credits settle it.
    pub const STRICT: Self = Self { residual: Residual::Debt, reach: Reach::All };
    /// Spent credits are written off; other credits stay untouched.
    pub const GENTLE: Self = Self { residual: Residual::WriteOff, reach: Reach::OriginOnly };
}

/// What a capture does once its reservation has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum LateCapture {
    /// It is refused.
    Reject,
    /// It is a new spend, if the balance allows it.
    SpendIfAvailable,
    /// It is a new spend; what the balance does not have becomes debt.
    ForceDebt,
}

/// Which lots repay debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum RepaidBy {
    /// All of them.
    Any,
    /// Paid ones, so that a free allowance does not wash away a chargeback.
    Paid,
}

/// The rules that a product chooses. The default is strict about money and lenient about work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerPolicy {
    /// How long a reservation lives at most, extensions included: 24 hours.
    pub longest_reservation: TimeDelta,
    /// What a late capture does.
    pub late_capture: LateCapture,
    /// How long returned credits of a lot that ran out meanwhile stay usable; zero by default.
    pub return_grace: TimeDelta,
    /// How far ahead of our clock Stripe's may be before a lot has to wait: 300 seconds.
    pub clock_skew: TimeDelta,
    /// What a refund takes back.
    pub refund: Clawback,
    /// What a lost dispute takes back.
    pub dispute: Clawback,
    /// Whether credits that ran out unused count as taken back when their money goes back; without
    /// it they are owed like spent ones.
    pub claw_expired: bool,
    /// Which lots repay debt.
    pub debt_repaid_by: RepaidBy,
    /// From which balance on it is low, credits. `None` never warns.
    pub low_at: Option<i64>,
    /// How long restored credits live at least: 30 days.
    pub restored_life: TimeDelta,
    /// Whether an inquiry freezes credits like a dispute.
    pub freeze_inquiries: bool,
    /// Whether an account with an open dispute is refused new reservations.
    pub no_holds_while_disputed: bool,
}

impl Default for LedgerPolicy {
    fn default() -> Self {
        Self {
            longest_reservation: TimeDelta::hours(24),
            late_capture: LateCapture::SpendIfAvailable,
            return_grace: TimeDelta::zero(),
            clock_skew: TimeDelta::seconds(300),
            refund: Clawback::STRICT,
            dispute: Clawback::STRICT,
            claw_expired: true,
            debt_repaid_by: RepaidBy::Any,
            low_at: None,
            restored_life: TimeDelta::days(30),
            freeze_inquiries: false,
            no_holds_while_disputed: false,
        }
    }
}

impl LedgerPolicy {
    /// Refunds and lost disputes write off what is spent, and touch no other lot.
    pub fn gentle() -> Self {
        Self { refund: Clawback::GENTLE, dispute: Clawback::GENTLE, ..Self::default() }
    }

    /// Refunds are gentle, lost disputes strict.
    pub fn refund_gentle_dispute_strict() -> Self {
        Self { refund: Clawback::GENTLE, ..Self::default() }
    }

    /// Whether debt is settled from lots that were there before it.
    pub(super) fn settles_from_all(&self) -> bool {
        let spares =
            |claw: Clawback| claw.residual == Residual::Debt && claw.reach == Reach::OriginOnly;
        !spares(self.refund) && !spares(self.dispute)
    }
}
