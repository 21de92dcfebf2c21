use serde::{Deserialize, Serialize};

use crate::digest::fingerprint;

/// Snapshots of one second that are kept side by side; more than Stripe makes of one object.
const MAX_HEADS: usize = 8;
/// Seconds that are kept: the newest, and the one before it to begin from.
const MAX_AGES: usize = 2;

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
/// Merging keeps the snapshots of the two newest seconds; a terminal snapshot counts as newer than
/// any that is not. Inside one second all are kept, and [`Versions::latest`] picks among them, so
/// that merging is commutative, associative and idempotent whatever the pick.
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
        other.0.iter().for_each(|head| self.insert(head));
    }

    /// Adds a head in a total order, the newest last, so that equal sets are equal values.
    fn insert(&mut self, head: &Head<T>) {
        // Told apart by age wherever that is enough; content is dear to compare.
        let from = self.0.partition_point(|kept| age(kept) < age(head));
        let to = self.0.partition_point(|kept| age(kept) <= age(head));
        let new = place(head);
        let Err(at) = self.0[from..to].binary_search_by(|kept| place(kept).cmp(&new)) else {
            return;
        };
        self.0.insert(from + at, head.clone());
        if to - from == MAX_HEADS {
            self.0.remove(from);
        }
        let ages = self.0.chunk_by(|a, b| age(a) == age(b));
        let outdated: usize = ages.rev().skip(MAX_AGES).map(<[_]>::len).sum();
        self.0.drain(..outdated);
    }

    /// When the newest snapshots were made, Unix seconds.
    pub(crate) fn stamp(&self) -> Option<i64> {
        self.0.last().map(|head| head.stamp)
    }

    /// Whether the object was deleted or is in a state without return.
    pub(crate) fn is_deleted(&self) -> bool {
        self.0.last().is_some_and(|head| age(head).0)
    }

    /// The view that holds: the last of the newest second.
    pub(crate) fn latest(&self) -> Option<&T> {
        let mut ages = self.0.chunk_by(|a, b| age(a) == age(b)).rev();
        let newest = ages.next()?;
        if let [only] = newest {
            return Some(&only.view);
        }
        let base = ages.next().and_then(|older| last(older, None)).map(|head| print(head));
        last(newest, base.as_ref()).map(|head| &head.view)
    }
}

/// The last of the snapshots of one second.
///
/// An event that says what was before is a step between two states, and the steps of a second are
/// a walk: it ends in the state that is entered once more than it is left. A walk in a circle ends
/// where it began, in the state of the second before or in the one that the object was created in.
/// Where steps are missing, or say nothing of each other, the highest by rank, progress and content
/// is picked.
fn last<T: Snapshot>(heads: &[Head<T>], base: Option<&String>) -> Option<&Head<T>> {
    if heads.len() <= 1 {
        return heads.last();
    }
    let prints: Vec<String> = heads.iter().map(print).collect();
    let entered = |state: &String| {
        heads.iter().zip(&prints).filter(|(head, to)| head.before.is_some() && *to == state).count()
    };
    let left =
        |state: &String| heads.iter().filter(|head| head.before.as_ref() == Some(state)).count();
    let walk = || heads.iter().zip(&prints);
    let ends = walk().rfind(|(_, state)| {
        let (entered, left) = (entered(state), left(state));
        entered > left || (entered, left) == (0, 0)
    });
    let created = || walk().find(|(head, _)| head.rank == Rank::Created).map(|(_, state)| state);
    let circle = || {
        let began = base.or_else(created)?;
        walk().rfind(|(_, state)| *state == began)
    };
    ends.or_else(circle).map(|(head, _)| head).or(heads.last())
}

/// What decides between snapshots of different seconds.
fn age<T: Snapshot>(head: &Head<T>) -> (bool, i64) {
    (head.view.is_terminal() || head.rank == Rank::Deleted, head.stamp)
}

/// The order inside one second.
fn place<T: Snapshot>(head: &Head<T>) -> (Rank, i64, String, Option<String>) {
    (head.rank, head.view.progress(), print(head), head.before.clone())
}

fn print<T: Snapshot>(head: &Head<T>) -> String {
    fingerprint(&head.view)
}
