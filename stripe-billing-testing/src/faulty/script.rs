//! When and how a store fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stripe_billing_core::{ErrorKind, StoreError};

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Moment {
    /// Before anything happened: [`ErrorKind::Unavailable`].
    Before,
    /// It happened, and the answer is lost: [`ErrorKind::Timeout`].
    After,
}

impl Moment {
    /// Both, for tests that try every fault.
    pub const ALL: [Self; 2] = [Self::Before, Self::After];

    fn kind(self) -> ErrorKind {
        match self {
            Self::Before => ErrorKind::Unavailable,
            Self::After => ErrorKind::Timeout,
        }
    }
}

/// The script of a [`FaultyStore`](super::FaultyStore). Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    calls: Vec<&'static str>,
    by_method: HashMap<&'static str, u64>,
    planned: Vec<Planned>,
    down: bool,
    contended: bool,
}

#[derive(Debug)]
struct Planned {
    method: Option<String>,
    position: u64,
    moment: Moment,
    kind: ErrorKind,
}

impl Faults {
    /// No faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls so far, of all methods.
    pub fn count(&self) -> u64 {
        self.lock().calls.len() as u64
    }

    /// The methods called so far, in order.
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().calls.clone()
    }

    /// The call at a position, counted over all methods from 1, fails at a moment.
    pub fn script(&self, position: u64, moment: Moment) {
        self.script_as(position, moment, moment.kind());
    }

    /// Like [`Faults::script`], with the kind of failure.
    pub fn script_as(&self, position: u64, moment: Moment, kind: ErrorKind) {
        self.plan(None, position, moment, kind);
    }

    /// The call at a position among the calls of one method, counted from 1, fails at a moment.
    pub fn script_method(&self, method: &str, position: u64, moment: Moment) {
        self.plan(Some(method.to_owned()), position, moment, moment.kind());
    }

    /// Like [`Faults::script_method`], with the kind of failure.
    pub fn script_method_as(&self, method: &str, position: u64, moment: Moment, kind: ErrorKind) {
        self.plan(Some(method.to_owned()), position, moment, kind);
    }

    /// From now on every call fails before it happened, until [`Faults::recover`].
    pub fn go_down(&self) {
        self.lock().down = true;
    }

    /// From now on every commit finds that somebody else was faster, until [`Faults::recover`].
    pub fn contend(&self) {
        self.lock().contended = true;
    }

    /// Ends an outage, or contention. Scripted faults stay.
    pub fn recover(&self) {
        let mut script = self.lock();
        (script.down, script.contended) = (false, false);
    }

    pub(super) fn is_contended(&self) -> bool {
        self.lock().contended
    }

    /// Whether scripted faults are left that have not struck.
    pub fn has_pending(&self) -> bool {
        !self.lock().planned.is_empty()
    }

    /// Forgets script, outage and counts.
    pub fn reset(&self) {
        *self.lock() = Script::default();
    }

    fn plan(&self, method: Option<String>, position: u64, moment: Moment, kind: ErrorKind) {
        self.lock().planned.push(Planned { method, position, moment, kind });
    }

    /// Counts a call; the fault that strikes it, if one does.
    pub(super) fn count_call(&self, method: &'static str) -> Option<(Moment, StoreError)> {
        let mut script = self.lock();
        script.calls.push(method);
        let overall = script.calls.len() as u64;
        let own = script.by_method.entry(method).or_default();
        *own += 1;
        let own = *own;
        if script.down {
            return Some((Moment::Before, fault(method, own, ErrorKind::Unavailable)));
        }
        let strikes = |planned: &Planned| match &planned.method {
            Some(name) => name == method && planned.position == own,
            None => planned.position == overall,
        };
        let at = script.planned.iter().position(strikes)?;
        let planned = script.planned.remove(at);
        Some((planned.moment, fault(method, own, planned.kind)))
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fault(method: &str, nth: u64, kind: ErrorKind) -> StoreError {
    StoreError::new(kind, format!("scripted fault at {method} number {nth}"))
}
