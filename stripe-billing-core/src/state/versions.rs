use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::digest::fingerprint;

/// Snapshots of one second that are kept side by side; more than Stripe makes of one object.
const MAX_HEADS: usize = 8;
/// Seconds that are remembered: the newest, and those before it to begin from.
const MAX_AGES: usize = 4;

/// A view whose snapshots can be put in order.
pub(crate) trait Snapshot: Clone + PartialEq + Serialize {
    /// Whether Stripe never leaves this state again.
    fn is_terminal(&self) -> bool;

    /// How far along the object is; settles snapshots of one second that say nothing of each
    /// other.
    fn progress(&self) -> i64;

    /// The view without what only some API versions tell: two events of one change are the same
    /// change in whichever versions they are rendered.
    fn essence(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }
}

/// What the event type says of a snapshot's place among its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Rank {
    Created,
    Updated,
    Deleted,
    /// Fetched from Stripe, when the subject had this version: what counts is the last fetch.
    Live(i64),
}

impl Rank {
    pub(crate) fn of(event_type: &str) -> Self {
        match event_type.rsplit('.').next() {
            Some("created") => Self::Created,
            Some("deleted" | "detached") => Self::Deleted,
            _ => Self::Updated,
        }
    }
}

/// One snapshot as an event brought it. Of seconds before the newest only the fingerprints are
/// kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head<T> {
    /// A state without return, which counts as newer than any that is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    terminal: bool,
    /// The event's `created`, Unix seconds.
    stamp: i64,
    rank: Rank,
    progress: i64,
    /// Fingerprint of the view's essence.
    print: String,
    /// That of the view before the event, where the event says what changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    view: Option<T>,
}

impl<T: Snapshot> Head<T> {
    /// Of two renderings of the same change the one that orders last is kept.
    fn complete(&mut self, other: &Self) {
        if let (Some(own), Some(theirs)) = (&self.view, &other.view)
            && own != theirs
            && fingerprint(theirs) > fingerprint(own)
        {
            self.view = Some(theirs.clone());
        }
    }
}

impl<T> Head<T> {
    /// What decides between snapshots of different seconds.
    fn age(&self) -> (bool, i64) {
        (self.terminal, self.stamp)
    }

    /// The order inside one second.
    fn place(&self) -> (Rank, i64, &str, Option<&str>) {
        (self.rank, self.progress, &self.print, self.before.as_deref())
    }
}

/// The newest snapshots of an object: a join-semilattice.
///
/// Merging keeps the snapshots of the newest second, and the fingerprints of a few before it; a
/// terminal snapshot counts as newer than any that is not. Inside one second all are kept, and [`Versions::latest`] picks among them, so
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
    /// A single snapshot, and the view before it where that is known and another one.
    pub(crate) fn of(stamp: i64, rank: Rank, view: T, before: Option<&T>) -> Self {
        let print = fingerprint(&view.essence());
        let before = before.map(|before| fingerprint(&before.essence()));
        let before = before.filter(|before| *before != print);
        Self(vec![Head {
            terminal: view.is_terminal() || rank == Rank::Deleted,
            stamp,
            rank,
            progress: view.progress(),
            print,
            before,
            view: Some(view),
        }])
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|head| self.insert(head));
        let ages = self.0.chunk_by(|a, b| a.age() == b.age());
        let outdated: usize = ages.rev().skip(MAX_AGES).map(<[_]>::len).sum();
        self.0.drain(..outdated);
        let newest = self.0.last().map(Head::age);
        self.0
            .iter_mut()
            .filter(|head| Some(head.age()) != newest)
            .for_each(|head| head.view = None);
    }

    /// Adds a head in a total order, the newest last, so that equal sets are equal values.
    fn insert(&mut self, head: &Head<T>) {
        let order = |kept: &Head<T>| (kept.age(), kept.place()).cmp(&(head.age(), head.place()));
        match self.0.binary_search_by(order) {
            Ok(at) => return self.0[at].complete(head),
            Err(at) => self.0.insert(at, head.clone()),
        }
        let from = self.0.partition_point(|kept| kept.age() < head.age());
        let to = self.0.partition_point(|kept| kept.age() <= head.age());
        let told = self.0[..to]
            .partition_point(|kept| kept.age() < head.age() || !matches!(kept.rank, Rank::Live(_)));
        if to - told > 1 {
            // What was fetched before the last time says nothing any more.
            self.0.drain(told..to - 1);
        } else if to - from > MAX_HEADS {
            self.0.remove(from);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these snapshots, joined to the kept ones, leave open which one of their second is
    /// the last: their events do not tell, or they came after somebody looked.
    pub(crate) fn is_tied_by(&self, arrived: &Self) -> bool {
        let Some(new) = arrived.0.last() else { return false };
        let newest_age = self.0.last().map(Head::age);
        let newest: Vec<&Head<T>> =
            self.0.iter().filter(|head| Some(head.age()) == newest_age).collect();
        let (live, told): (Vec<&Head<T>>, Vec<&Head<T>>) =
            newest.into_iter().partition(|head| matches!(head.rank, Rank::Live(_)));
        // It may be one of too many, and not be kept.
        let among = newest_age == Some(new.age());
        match live.last() {
            Some(live) => among && live.print != new.print,
            None => among && told.iter().any(|head| head.print != new.print) && !is_walk(&told),
        }
    }

    /// When the newest snapshots were made, Unix seconds.
    pub(crate) fn stamp(&self) -> Option<i64> {
        self.0.last().map(|head| head.stamp)
    }

    /// Whether the object was deleted or is in a state without return.
    pub(crate) fn is_deleted(&self) -> bool {
        self.0.last().is_some_and(|head| head.terminal)
    }

    /// The view that holds: the last of the newest second.
    pub(crate) fn latest(&self) -> Option<&T> {
        let ages = self.0.chunk_by(|a, b| a.age() == b.age());
        let walked = ages.fold(None, |base: Option<&Head<T>>, second| {
            last(second, base.map(|head| head.print.as_str()))
        });
        walked.and_then(|head| head.view.as_ref())
    }
}

/// The last of the snapshots of one second, which began in the state `base`.
///
/// An event that says what was before is a step between two states, and the steps of a second are
/// a walk: it ends in the state that is entered once more than it is left. A walk in a circle ends
/// where it began, in the state of the second before or in the one that the object was created in.
/// Where steps are missing, or say nothing of each other, the highest by rank, progress and content
/// is picked.
fn last<'a, T>(heads: &'a [Head<T>], base: Option<&str>) -> Option<&'a Head<T>> {
    if heads.len() <= 1 || heads.last().is_some_and(|head| matches!(head.rank, Rank::Live(_))) {
        return heads.last();
    }
    let entered =
        |state: &str| heads.iter().filter(|h| h.before.is_some() && h.print == state).count();
    let left = |state: &str| heads.iter().filter(|h| h.before.as_deref() == Some(state)).count();
    let end = heads.iter().rfind(|head| {
        let (entered, left) = (entered(&head.print), left(&head.print));
        entered > left || (entered, left) == (0, 0)
    });
    let created = || heads.iter().find(|head| head.rank == Rank::Created).map(|h| h.print.as_str());
    let circle = || {
        let began = base.or_else(created)?;
        heads.iter().rfind(|head| head.print == began)
    };
    end.or_else(circle).or(heads.last())
}

/// Whether the events of one second follow from each other without a gap and end in one state.
fn is_walk<T>(heads: &[&Head<T>]) -> bool {
    let left = |print: &str| heads.iter().any(|head| head.before.as_deref() == Some(print));
    let entered = |print: &str| heads.iter().any(|head| head.print == print);
    let ends = heads.iter().filter(|head| !left(&head.print)).count();
    let begins = heads.iter().filter(|head| !head.before.as_deref().is_some_and(entered)).count();
    (ends, begins) == (1, 1)
}
