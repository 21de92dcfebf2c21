//! What waits to be delivered, and what was ordered to go wrong.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::Attempt;
use crate::fake_stripe::{events::FakeEvent, ids::Dice};

#[derive(Clone)]
pub(super) struct Job {
    pub(super) event: FakeEvent,
    pub(super) endpoint: usize,
    pub(super) attempt: u32,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) ready: VecDeque<Job>,
    pub(super) held: Vec<Job>,
    pub(super) failed: Vec<Job>,
    /// Ready, in flight, or waiting for a retry.
    pub(super) outstanding: usize,
    /// (event, endpoint) not acknowledged yet.
    pub(super) pending: BTreeMap<String, BTreeSet<usize>>,
    pub(super) paused: bool,
    pub(super) reorder: Option<Dice>,
    pub(super) duplicates: u32,
    pub(super) drop_next: u32,
    pub(super) drop_fraction: Option<(f64, Dice)>,
    pub(super) delay: Duration,
    pub(super) log: Vec<Attempt>,
}

impl Queue {
    pub(super) fn loses_one(&mut self) -> bool {
        if self.drop_next > 0 {
            self.drop_next -= 1;
            return true;
        }
        self.drop_fraction.as_mut().is_some_and(|(fraction, dice)| dice.chance(*fraction))
    }

    pub(super) fn admit(&mut self, job: Job) {
        if self.paused || self.reorder.is_some() {
            self.held.push(job);
        } else {
            self.outstanding += 1;
            self.ready.push_back(job);
        }
    }

    pub(super) fn release(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        if let Some(dice) = &mut self.reorder {
            dice.shuffle(&mut held);
        }
        self.outstanding += held.len();
        self.ready.extend(held);
    }

    pub(super) fn acknowledge(&mut self, job: &Job) {
        let Some(endpoints) = self.pending.get_mut(job.event.id()) else {
            return;
        };
        endpoints.remove(&job.endpoint);
        if endpoints.is_empty() {
            self.pending.remove(job.event.id());
        }
    }
}
