use serde::{Deserialize, Serialize};

use crate::digest::fingerprint;

/// Snapshots of one second that are kept side by side; more than Stripe makes of one object.
const MAX_HEADS: usize = 8;

/// A view whose snapshots can be put in order.
pub(crate) trait Snapshot: Clone + PartialEq + Serialize {
    /// Whether Stripe never leaves this state again.
    fn is_terminal(&self) -> bool;

    /// How far along the object is; settles snapshots of one second that say nothing of each
    /// other.
    fn progress(&self) -> i64;
}

/// What the event type says of a snapshot's place among its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Rank {
    Created,
    Updated,
    Deleted,
}

impl Rank {
    pub(crate) fn of(event_type: &str) -> Self {
        match event_type.rsplit('.').next() {
            Some("created") => Self::Created,
            Some("deleted") => Self::Deleted,
            _ => Self::Updated,
        }
    }
}

/// One snapshot as an event brought it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head<T> {
    /// The event's `created`, Unix seconds.
    pub(crate) stamp: i64,
    pub(crate) rank: Rank,
    /// Fingerprint of the view before the event, where the event says what changed.
    pub(crate) before: Option<String>,
    pub(crate) view: T,
}

/// The newest snapshots of an object: a join-semilattice.
///
/// Merging keeps the snapshots of the newest second; a terminal snapshot beats any that is not.
/// Inside one second all are kept, and [`Versions::latest`] picks among them, so that merging is
/// commutative, associative and idempotent whatever the pick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Versions<T>(Vec<Head<T>>);

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Snapshot> Versions<T> {
    pub(crate) fn of(head: Head<T>) -> Self {
        Self(vec![head])
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for head in &other.0 {
            match self.0.first().map(age).cmp(&Some(age(head))) {
                std::cmp::Ordering::Greater => {}
                std::cmp::Ordering::Less => self.0 = vec![head.clone()],
                std::cmp::Ordering::Equal => self.insert(head),
            }
        }
    }

    /// Adds a head of the same second, in a total order, so that equal sets are equal values.
    fn insert(&mut self, head: &Head<T>) {
        let key = |head: &Head<T>| {
            let print = fingerprint(&head.view);
            (head.rank, head.view.progress(), print, head.before.clone())
        };
        let new = key(head);
        match self.0.binary_search_by(|kept| key(kept).cmp(&new)) {
            Ok(_) => {}
            Err(at) => {
                self.0.insert(at, head.clone());
                if self.0.len() > MAX_HEADS {
                    self.0.remove(0);
                }
            }
        }
    }

    /// When the newest snapshots were made, Unix seconds.
    pub(crate) fn stamp(&self) -> Option<i64> {
        self.0.first().map(|head| head.stamp)
    }

    /// Whether the object was deleted or is in a state without return.
    pub(crate) fn is_deleted(&self) -> bool {
        self.0.first().is_some_and(|head| age(head).0)
    }

    /// The view that holds: among snapshots of one second the one that no other came after, where
    /// `previous_attributes` tell; else the highest by rank, progress and content.
    pub(crate) fn latest(&self) -> Option<&T> {
        if let [only] = self.0.as_slice() {
            return Some(&only.view);
        }
        let prints: Vec<String> = self.0.iter().map(|head| fingerprint(&head.view)).collect();
        let superseded = |print: &String| {
            self.0
                .iter()
                .zip(&prints)
                .any(|(later, own)| own != print && later.before.as_ref() == Some(print))
        };
        let open = self.0.iter().zip(&prints).rfind(|(_, print)| !superseded(print));
        open.map(|(head, _)| head).or(self.0.last()).map(|head| &head.view)
    }
}

/// What decides between snapshots of different seconds.
fn age<T: Snapshot>(head: &Head<T>) -> (bool, i64) {
    (head.view.is_terminal() || head.rank == Rank::Deleted, head.stamp)
}
