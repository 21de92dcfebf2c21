use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What tells which account of the app a subject belongs to, the most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinkSource {
    /// An operator said so.
    Operator,
    /// The customer's metadata.
    CustomerMetadata,
    /// A subscription's metadata.
    SubscriptionMetadata,
    /// The metadata of a checkout session, which only the app can set.
    SessionMetadata,
    /// A payment's metadata.
    PaymentMetadata,
    /// A session's `client_reference_id`. A payment link takes it from the URL: a claim, not a
    /// proof, so it links what nothing else does and never links anew.
    ClientReference,
}

/// What kind of object a subject is named by, the best first: a subject is its customer, and where
/// none is known, the best of the objects that are known to belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Anchor {
    /// A customer.
    Customer,
    /// A payment intent.
    PaymentIntent,
    /// A checkout session.
    CheckoutSession,
    /// A charge.
    Charge,
    /// An invoice.
    Invoice,
    /// Anything else that came without a customer.
    Other,
}

/// An id that names a subject; the best name orders first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Name {
    /// What it is the id of.
    pub anchor: Anchor,
    /// Stripe's id.
    pub id: String,
}

impl Name {
    /// A name.
    pub fn new(anchor: Anchor, id: impl Into<String>) -> Self {
        Self { anchor, id: id.into() }
    }

    /// Whether it may stand for the best name of a family: customers stand for themselves, and no
    /// subject stands for itself, which an object under another's id would ask of it.
    pub(super) fn may_be_of(&self, best: &Self) -> bool {
        self.anchor != Anchor::Customer && self.id != best.id
    }
}

/// Which account each source names, and by which ids a subject without a customer is known. A
/// join-semilattice: of one source the newest claim holds, of a session's `client_reference_id` the
/// oldest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    claims: BTreeMap<LinkSource, Claim>,
    /// Empty for a customer, of whose names there is no end.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    names: BTreeSet<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Claim {
    stamp: i64,
    account: String,
}

impl Links {
    /// Adds what a source said at a time (Unix seconds).
    pub fn claim(&mut self, source: LinkSource, account: impl Into<String>, stamp: i64) {
        self.join(source, Claim { stamp, account: account.into() });
    }

    /// Joins other links.
    pub fn merge(&mut self, other: &Self) {
        for (source, claim) in &other.claims {
            self.join(*source, claim.clone());
        }
        self.names.extend(other.names.iter().cloned());
    }

    /// Makes these the names of a subject that has no customer; with a customer among them there
    /// are none to keep.
    pub(crate) fn name(&mut self, names: &BTreeSet<Name>) {
        self.names.extend(names.iter().cloned());
        if self.names.first().is_some_and(|name| name.anchor == Anchor::Customer) {
            self.names.clear();
        }
    }

    /// The ids by which a subject without a customer is known; none for a customer.
    pub fn names(&self) -> &BTreeSet<Name> {
        &self.names
    }

    fn join(&mut self, source: LinkSource, claim: Claim) {
        let kept = self.claims.entry(source).or_insert_with(|| claim.clone());
        let wins = match source {
            LinkSource::ClientReference => claim < *kept,
            _ => claim > *kept,
        };
        if wins {
            *kept = claim;
        }
    }

    /// The account it belongs to, by the most trusted source.
    pub fn account(&self) -> Option<&str> {
        self.claims.values().next().map(|claim| claim.account.as_str())
    }

    /// Whether the sources disagree; an operator should look.
    pub fn is_contested(&self) -> bool {
        self.claims.values().map(|claim| &claim.account).collect::<BTreeSet<_>>().len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_trusted_source_names_the_account() {
        let mut links = Links::default();
        assert_eq!(links.account(), None);
        links.claim(LinkSource::ClientReference, "mallory", 1);
        assert_eq!(links.account(), Some("mallory"));
        links.claim(LinkSource::CustomerMetadata, "acme", 2);
        assert_eq!(links.account(), Some("acme"));
        assert!(links.is_contested());
    }

    #[test]
    fn a_client_reference_never_links_anew_and_metadata_does() {
        let mut links = Links::default();
        links.claim(LinkSource::ClientReference, "acme", 1);
        links.claim(LinkSource::ClientReference, "mallory", 2);
        assert_eq!(links.account(), Some("acme"));
        links.claim(LinkSource::SubscriptionMetadata, "acme", 1);
        links.claim(LinkSource::SubscriptionMetadata, "zenith", 2);
        assert_eq!(links.account(), Some("zenith"));
    }
}
