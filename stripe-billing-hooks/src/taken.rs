//! Which endpoints are through with a fact that others have not taken yet.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many facts are remembered; the oldest is forgotten first, and goes to all endpoints again.
const REMEMBERED: usize = 10_000;

/// How an endpoint ended with a fact: it has it, or said why it never will.
pub(crate) type Ended = Result<(), String>;

#[derive(Debug, Default)]
pub(crate) struct Taken(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    by_fact: HashMap<String, Vec<Option<Ended>>>,
    oldest_first: VecDeque<String>,
}

impl Taken {
    /// How each endpoint ended with it; nothing if none did.
    pub(crate) fn recall(&self, id: &str) -> Vec<Option<Ended>> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.by_fact.get(id).cloned().unwrap_or_default()
    }

    pub(crate) fn remember(&self, id: &str, ended: Vec<Option<Ended>>) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.by_fact.insert(id.to_owned(), ended).is_none() {
            memory.oldest_first.push_back(id.to_owned());
            if memory.oldest_first.len() > REMEMBERED
                && let Some(oldest) = memory.oldest_first.pop_front()
            {
                memory.by_fact.remove(&oldest);
            }
        }
    }

    /// All endpoints are through with it.
    pub(crate) fn forget(&self, id: &str) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.by_fact.remove(id).is_some() {
            memory.oldest_first.retain(|known| known != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bounds_and_forgets_the_oldest() {
        let taken = Taken::default();
        for number in 0..=REMEMBERED {
            taken.remember(&number.to_string(), vec![Some(Ok(()))]);
        }
        assert_eq!(taken.recall("0"), []);
        assert_eq!(taken.recall("1"), [Some(Ok(()))]);
        taken.forget("1");
        taken.remember("2", vec![None]);
        assert_eq!((taken.recall("1"), taken.recall("2")), (vec![], vec![None]));
        let memory = taken.0.lock().unwrap();
        assert_eq!((memory.by_fact.len(), memory.oldest_first.len()), (9_999, 9_999));
    }
}
