use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What tells which account of the app a subject belongs to, the most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinkSource {
    /// The customer's metadata.
    CustomerMetadata,
    /// A subscription's metadata.
    SubscriptionMetadata,
    /// The metadata of a checkout session, which only the app can set.
    SessionMetadata,
    /// A session's `client_reference_id`. A payment link takes it from the URL: a claim, not a
    /// proof, so it links what nothing else does and never links anew.
    ClientReference,
}

/// Which account each source names. A join-semilattice: of one source the newest claim holds, of a
/// session's `client_reference_id` the oldest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Links(BTreeMap<LinkSource, Claim>);

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
        for (source, claim) in &other.0 {
            self.join(*source, claim.clone());
        }
    }

    fn join(&mut self, source: LinkSource, claim: Claim) {
        let kept = self.0.entry(source).or_insert_with(|| claim.clone());
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
        self.0.values().next().map(|claim| claim.account.as_str())
    }

    /// Whether the sources disagree; an operator should look.
    pub fn is_contested(&self) -> bool {
        self.0.values().map(|claim| &claim.account).collect::<BTreeSet<_>>().len() > 1
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
