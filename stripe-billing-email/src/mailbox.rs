use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::mail::Mail;

/// Mails that are kept in memory instead of being sent: for development and tests. Clones share
/// them.
#[derive(Clone)]
pub struct Mailbox {
    mails: Arc<Mutex<VecDeque<Mail>>>,
    kept: usize,
}

impl Mailbox {
    /// A mailbox that keeps so many of the latest mails.
    pub fn keeping(kept: usize) -> Self {
        Self { mails: Arc::default(), kept: kept.max(1) }
    }

    /// What is there, the newest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.lock().iter().rev().cloned().collect()
    }

    pub(crate) fn put(&self, mail: Mail) {
        let mut mails = self.lock();
        while mails.len() >= self.kept {
            mails.pop_front();
        }
        mails.push_back(mail);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Mail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Mailbox {
    /// One that keeps a hundred.
    fn default() -> Self {
        Self::keeping(100)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("mails", &self.lock().len()).finish_non_exhaustive()
    }
}
