//! What can be asked of the ledger.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize, Serializer};

use super::entry::Entry;
use super::lot::{Category, LotId, LotKind};
use super::member::Window;
use super::source::{MoneyBack, MoneyBackStatus};

/// One operation on one account, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Request {
    /// What.
    pub command: Command,
    /// Who: a member, an operator, a job.
    pub actor: Option<String>,
    /// For which feature.
    pub feature: Option<String>,
    /// What the caller wants to find it by later.
    pub reference: Option<String>,
    /// How the owner's state has to be for it to be done; `None` asks for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

/// A state of an account at Stripe, by its version: that of [`Access::version`](crate::Access).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Standing {
    /// The sum of the versions of the owner's subjects.
    pub version: i64,
    /// Of which mode the subjects are; `None` counts those of both.
    pub livemode: Option<bool>,
}

impl Request {
    /// The same, asked by somebody.
    #[must_use]
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// The same, for a feature.
    #[must_use]
    pub fn on(mut self, feature: impl Into<String>) -> Self {
        self.feature = Some(feature.into());
        self
    }

    /// The same, only while the owner's state is this one.
    #[must_use]
    pub fn while_standing(mut self, standing: Standing) -> Self {
        self.standing = Some(standing);
        self
    }

    /// What of the account has to be loaded to decide on it.
    pub fn scope(&self) -> Scope {
        match &self.command {
            Command::Spend { .. }
            | Command::Reserve { .. }
            | Command::Capture { .. }
            | Command::Release { .. }
            | Command::Extend { .. }
            | Command::Sweep
            | Command::Forgive { .. }
            | Command::SetOverdraft { .. }
            | Command::SetLimit { .. } => Scope::Open,
            _ => Scope::All,
        }
    }

    /// The reservation that it is about, which is needed even if it has ended.
    pub fn reservation(&self) -> Option<&str> {
        match &self.command {
            Command::Reserve { id, .. }
            | Command::Capture { id, .. }
            | Command::Release { id }
            | Command::Extend { id, .. } => Some(id),
            _ => None,
        }
    }

    /// A fingerprint of what is asked: the same key with another one is a mistake of the caller.
    /// Who spends belongs to it; who tells of a fact does not, since several may.
    pub fn hash(&self) -> String {
        match &self.command {
            Command::Spend { .. } | Command::Reserve { .. } => {
                crate::digest::fingerprint(&(&self.command, &self.actor, &self.feature))
            }
            command => crate::digest::fingerprint(command),
        }
    }
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Self { command, actor: None, feature: None, reference: None, standing: None }
    }
}

/// How much of an account is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Scope {
    /// The balance and the limits; lots with anything remaining, held or frozen; open reservations and
    /// freezes, and the reservation that the request names; scheduled lots and the sources that
    /// fund them.
    Open,
    /// All of it.
    All,
}

/// A lot to be granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Grant {
    /// The fact it is granted for, for example `line:il_1` or `plan:sub_1:si_1:4`: one lot each.
    pub key: String,
    /// How much.
    pub amount: i64,
    /// Why.
    pub kind: LotKind,
    /// 0 to 100; lower burns first, 50 unless a product says otherwise.
    pub priority: u8,
    /// Paid or promotional.
    pub category: Category,
    /// From when; `None` is now. Up to the policy's clock skew ahead counts as now.
    pub effective_at: Option<DateTime<Utc>>,
    /// Until when, exclusively.
    pub expires_at: Option<DateTime<Utc>>,
    /// The payment that it was bought with.
    pub funding: Option<Funding>,
    /// The allowance period that it counts in, for upgrades.
    pub period: Option<String>,
    /// The row of periods that it belongs to, usually a subscription item: each lot of it ends the one
    /// before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// Why, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The payment behind a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Funding {
    /// Charge or invoice.
    pub source: String,
    /// All that was paid with it, minor units; zero is never taken back.
    pub paid: i64,
}

impl Grant {
    /// A paid pack without expiry or source.
    pub fn new(key: impl Into<String>, amount: i64) -> Self {
        Self {
            key: key.into(),
            amount,
            kind: LotKind::Pack,
            priority: 50,
            category: Category::Paid,
            effective_at: None,
            expires_at: None,
            funding: None,
            period: None,
            series: None,
            reason: None,
        }
    }

    /// The same of another kind; promotions, trials and operators' gifts are not paid for.
    #[must_use]
    pub fn of_kind(mut self, kind: LotKind) -> Self {
        self.kind = kind;
        self.category = match kind {
            LotKind::Promo | LotKind::Trial | LotKind::Manual => Category::Promo,
            _ => Category::Paid,
        };
        self
    }

    /// The same with an expiry.
    #[must_use]
    pub fn until(mut self, expires_at: DateTime<Utc>) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// The same, effective at a time.
    #[must_use]
    pub fn from(mut self, effective_at: DateTime<Utc>) -> Self {
        self.effective_at = Some(effective_at);
        self
    }

    /// The same, bought with a payment.
    #[must_use]
    pub fn paid_with(mut self, source: impl Into<String>, paid: i64) -> Self {
        self.funding = Some(Funding { source: source.into(), paid });
        self
    }

    /// The same, with what somebody said about it.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The same, one of a row of periods.
    #[must_use]
    pub fn in_series(mut self, series: impl Into<String>) -> Self {
        self.series = Some(series.into());
        self
    }

    /// The same, counted in an allowance period.
    #[must_use]
    pub fn in_period(mut self, period: impl Into<String>) -> Self {
        self.period = Some(period.into());
        self
    }
}

/// What a renewal carries over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Rollover {
    /// At most so much of the unused part; 0 carries nothing.
    pub max: i64,
    /// At most so much carried over in all; the oldest is trimmed first.
    pub total_max: Option<i64>,
    /// Until when it can be used.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Part of a period with one allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Segment {
    /// The allowance of a whole period: of the plan, times the quantity.
    pub allowance: i64,
    /// For how many seconds of the period it holds.
    pub seconds: i64,
}

/// The operations. Those with a key are done once per key and account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Command {
    /// Grants a lot. Keyed by the grant's key.
    Grant(Grant),
    /// Grants what an upgrade or a larger quantity adds to a period: what its segments entitle to,
    /// less what was granted in it already, and at least what it began with. The grant's amount is not looked at.
    Upgrade {
        /// The lot, with its period.
        grant: Grant,
        /// The whole period, each part with its allowance.
        segments: Vec<Segment>,
    },
    /// Has lots granted by themselves when their time comes. Keyed each by the grant's key.
    Schedule(Vec<Grant>),
    /// Takes scheduled lots back because their plan ended.
    Withdraw(Vec<String>),
    /// Ends a period's lot, carries over and grants the next. Keyed by the grant's key.
    Renew {
        /// The lot that ends.
        previous: Option<LotId>,
        /// The next period's lot.
        grant: Grant,
        /// What is carried over.
        rollover: Rollover,
        /// What the end of the old lot is recorded as: `renewal`, `downgrade_overflow`.
        reason: String,
    },
    /// Grants a period's lot in its series: the lot of an earlier period ends where this one
    /// begins, and this one where a later one began, in whichever order they are granted. Keyed by
    /// the grant's key.
    Allow {
        /// The lot, with its series.
        grant: Grant,
        /// What is carried over of a lot that ends.
        rollover: Rollover,
    },
    /// Ends all lots of a series at a time, at the latest: the subscription is over.
    EndSeries {
        /// Which.
        series: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// Ends a lot: a trial that was converted, a plan that was cancelled at once.
    End {
        /// Which.
        lot: LotId,
        /// Why.
        reason: String,
    },
    /// Spends at once.
    Spend {
        /// The caller's idempotency key.
        key: String,
        /// How much.
        amount: i64,
    },
    /// Sets credits aside for work in progress.
    Reserve {
        /// The caller's id for the reservation; its idempotency key.
        id: String,
        /// How much.
        amount: i64,
        /// For how long, 1 second to 24 hours.
        #[serde(serialize_with = "millis")]
        ttl: TimeDelta,
    },
    /// Spends of a reservation, and gives the rest back.
    Capture {
        /// The reservation.
        id: String,
        /// How much of it; 0 gives all of it back.
        amount: i64,
    },
    /// Gives a reservation back.
    Release {
        /// The reservation.
        id: String,
    },
    /// Gives a reservation more time from now.
    Extend {
        /// The reservation.
        id: String,
        /// For how long from now; it never gets less.
        #[serde(serialize_with = "millis")]
        ttl: TimeDelta,
    },
    /// Books what has come due: expired reservations and lots, scheduled lots.
    Sweep,
    /// Records a refund or dispute of a payment, and takes credits back or gives them back.
    MoneyBack {
        /// The payment.
        source: String,
        /// Refund or dispute id.
        id: String,
        /// Minor units.
        amount: i64,
        /// Where it stands.
        status: MoneyBackStatus,
    },
    /// Says where all refunds and disputes of a payment stand by now. What is not named stays.
    Returns {
        /// The payment.
        source: String,
        /// Refunds and disputes, by their ids.
        rows: BTreeMap<String, MoneyBack>,
    },
    /// Forgives debt, at most what is owed.
    Forgive {
        /// The operator's request id.
        key: String,
        /// How much at most.
        amount: i64,
        /// Why.
        reason: String,
    },
    /// Corrects the balance: above zero grants a manual lot, below takes in burn order.
    Adjust {
        /// The operator's request id.
        key: String,
        /// By how much.
        amount: i64,
        /// Why.
        reason: String,
    },
    /// Undoes a spend: its credits go back to the lots they came from. Keyed by the entry.
    Reverse {
        /// The entry as it is stored.
        entry: Box<Entry>,
        /// Why.
        reason: String,
    },
    /// Sets how much debt a spend may make.
    SetOverdraft {
        /// The limit.
        limit: i64,
    },
    /// Sets or changes a member's limit. It counts from when it is first set.
    SetLimit {
        /// Whom.
        member: String,
        /// For one feature, or for all together.
        feature: Option<String>,
        /// Over which time.
        window: Window,
        /// How much.
        max: i64,
    },
}

impl Command {
    /// The key under which it is done once, if it has one. Repeating the others changes nothing by
    /// itself.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Grant(grant) => Some(format!("grant:{}", grant.key)),
            Self::Upgrade { grant, .. } => Some(format!("upgrade:{}", grant.key)),
            Self::Renew { grant, .. } => Some(format!("renew:{}", grant.key)),
            Self::Allow { grant, .. } => Some(format!("grant:{}", grant.key)),
            Self::Spend { key, .. } => Some(format!("spend:{key}")),
            Self::Reserve { id, .. } => Some(format!("reserve:{id}")),
            Self::Forgive { key, .. } => Some(format!("forgive:{key}")),
            Self::Adjust { key, .. } => Some(format!("adjust:{key}")),
            Self::Reverse { entry, .. } => Some(format!("reverse:{}", entry.seq)),
            Self::Schedule(_)
            | Self::Withdraw(_)
            | Self::End { .. }
            | Self::EndSeries { .. }
            | Self::Returns { .. }
            | Self::Capture { .. }
            | Self::Release { .. }
            | Self::Extend { .. }
            | Self::Sweep
            | Self::MoneyBack { .. }
            | Self::SetOverdraft { .. }
            | Self::SetLimit { .. } => None,
        }
    }
}

fn millis<S: Serializer>(span: &TimeDelta, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_i64(span.num_milliseconds())
}
