use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::state::versions::Versions;
use crate::stripe::objects::{Subscription, SubscriptionStatus};

/// Changes of prices that are kept of a subscription.
const MAX_PRICE_CHANGES: usize = 16;

/// What is known of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    pub(crate) id: String,
    pub(crate) versions: Versions<Subscription>,
    /// Every status it was ever seen in.
    #[serde(default)]
    pub(crate) seen: BTreeSet<SubscriptionStatus>,
    /// Until when its paid invoices reach, Unix seconds.
    #[serde(default)]
    pub(crate) paid_through: Option<i64>,
    /// The end of the trial that Stripe announced last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trial_ending: Option<i64>,
    /// The period's end whose renewal Stripe announced last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renewal_upcoming: Option<i64>,
    /// What that renewal was said to cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renewal_quote: Option<RenewalQuote>,
    /// The last changes of its prices.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) price_changes: BTreeSet<PriceChange>,
}

/// A change of a subscription's prices. The latest orders last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct PriceChange {
    /// When, Unix seconds.
    pub at: i64,
    /// The prices before.
    pub from: BTreeSet<String>,
    /// The prices after.
    pub to: BTreeSet<String>,
}

/// What a renewal was said to cost. The latest word of the latest renewal orders last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RenewalQuote {
    /// The period's end, Unix seconds.
    pub(crate) period_end: i64,
    /// When it was said, Unix seconds.
    pub(crate) at: i64,
    /// Minor units.
    pub(crate) amount: Option<i64>,
    /// Three-letter code, lower case.
    pub(crate) currency: Option<String>,
}

impl SubscriptionRecord {
    /// A subscription of which nothing is known but its id.
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            versions: Versions::default(),
            seen: BTreeSet::new(),
            paid_through: None,
            trial_ending: None,
            renewal_upcoming: None,
            renewal_quote: None,
            price_changes: BTreeSet::new(),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.versions.merge(&other.versions);
        self.seen.extend(other.seen.iter().cloned());
        self.paid_through = self.paid_through.max(other.paid_through);
        self.trial_ending = self.trial_ending.max(other.trial_ending);
        self.renewal_upcoming = self.renewal_upcoming.max(other.renewal_upcoming);
        if other.renewal_quote > self.renewal_quote {
            self.renewal_quote.clone_from(&other.renewal_quote);
        }
        self.price_changes.extend(other.price_changes.iter().cloned());
        while self.price_changes.len() > MAX_PRICE_CHANGES {
            self.price_changes.pop_first();
        }
    }

    /// Stripe's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The subscription as last seen; `None` while only its invoices were.
    pub fn latest(&self) -> Option<&Subscription> {
        self.versions.latest()
    }

    /// Until when its paid invoices reach, Unix seconds.
    pub fn paid_through(&self) -> Option<i64> {
        self.paid_through
    }
}
