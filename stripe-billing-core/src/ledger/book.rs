//! The ledger in memory: the reference for stores.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::account::{Account, LedgerKey};
use super::command::{Command, Request};
use super::decide::{decide, replay};
use super::entry::Entry;
use super::outcome::{KeyedReply, Outcome, Reply};
use super::policy::LedgerPolicy;
use super::recount::{Rebuild, Recounted, rebuild, recount};
use super::refusal::Refusal;
use super::verify::{Violation, verify};

/// An answer, and whether it was given before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Answer {
    /// The reply.
    pub reply: Reply,
    /// Whether the key was used before: nothing was written now.
    pub replayed: bool,
}

/// Accounts in memory, each with its history and its keyed replies.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    policy: LedgerPolicy,
    books: BTreeMap<LedgerKey, Book>,
}

#[derive(Clone, Debug)]
struct Book {
    account: Account,
    entries: Vec<Entry>,
    keyed: BTreeMap<String, KeyedReply>,
}

impl Ledger {
    /// An empty ledger under a policy.
    pub fn new(policy: LedgerPolicy) -> Self {
        Self { policy, books: BTreeMap::new() }
    }

    /// Does one operation. An account begins with the first one.
    ///
    /// # Errors
    ///
    /// The operation is refused; nothing changed.
    pub fn execute(
        &mut self,
        key: &LedgerKey,
        request: impl Into<Request>,
        now: DateTime<Utc>,
    ) -> Result<Answer, Refusal> {
        let policy = self.policy;
        let (answer, _) = self.post(key, &request.into(), now, &policy)?;
        Ok(answer)
    }

    /// The same under a policy, with how low the balance became.
    pub(crate) fn post(
        &mut self,
        key: &LedgerKey,
        request: &Request,
        now: DateTime<Utc>,
        policy: &LedgerPolicy,
    ) -> Result<(Answer, Option<Outcome>), Refusal> {
        let fresh = || Book {
            account: Account::new(key.clone()),
            entries: Vec::new(),
            keyed: BTreeMap::new(),
        };
        let known = self.books.get(key);
        let idempotency = request.command.key();
        let stored = idempotency.and_then(|id| known?.keyed.get(&id));
        if let Some(stored) = stored {
            return Ok((Answer { reply: replay(stored, request)?, replayed: true }, None));
        }
        let outcome = match known {
            Some(book) => decide(&book.account, request, now, policy)?,
            None => decide(&fresh().account, request, now, policy)?,
        };
        self.books.entry(key.clone()).or_insert_with(fresh).write(&outcome);
        Ok((Answer { reply: outcome.reply.clone(), replayed: false }, Some(outcome)))
    }

    /// Whether a request is a repetition.
    pub(crate) fn is_known(&self, key: &LedgerKey, request: &Request) -> bool {
        let id = request.command.key();
        id.is_some_and(|id| self.books.get(key).is_some_and(|book| book.keyed.contains_key(&id)))
    }

    /// Undoes a spend by the number of its entry.
    ///
    /// # Errors
    ///
    /// There is no such account or spend.
    pub fn reverse(
        &mut self,
        key: &LedgerKey,
        seq: i64,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Answer, Refusal> {
        let entry = self.entries(key).iter().find(|entry| entry.seq == seq);
        let entry = Box::new(entry.ok_or(Refusal::Invalid("there is no such entry"))?.clone());
        self.execute(key, Command::Reverse { entry, reason: reason.to_owned() }, now)
    }

    /// Sets an account to what its entries make of it; what differed.
    pub(crate) fn rebuild(
        &mut self,
        key: &LedgerKey,
        by: &Rebuild,
    ) -> Result<(Vec<Recounted>, Option<Outcome>), Refusal> {
        let book = self.books.get_mut(key).ok_or(Refusal::UnknownAccount)?;
        let differences = recount(&book.account, &book.entries);
        let outcome = rebuild(&book.account, &book.entries, by)?;
        if let Some(outcome) = &outcome {
            book.write(outcome);
        }
        Ok((differences, outcome))
    }

    /// An account, if anything was ever done with it.
    pub fn account(&self, key: &LedgerKey) -> Option<&Account> {
        self.books.get(key).map(|book| &book.account)
    }

    /// All accounts, by key.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.books.values().map(|book| &book.account)
    }

    /// An account's history, oldest first.
    pub fn entries(&self, key: &LedgerKey) -> &[Entry] {
        self.books.get(key).map_or(&[], |book| &book.entries)
    }

    /// Checks the invariants of all accounts.
    pub fn verify(&self) -> Vec<Violation> {
        let books = self.books.values();
        books.flat_map(|book| verify(&book.account, &book.entries, &self.policy)).collect()
    }
}

impl Book {
    fn write(&mut self, outcome: &Outcome) {
        outcome.apply(&mut self.account);
        self.entries.extend(outcome.entries.iter().cloned());
        if let Some(keyed) = &outcome.keyed {
            self.keyed.insert(keyed.key.clone(), keyed.clone());
        }
    }
}
