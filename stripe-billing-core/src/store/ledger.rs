use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::keys::AccountKey;
use crate::ledger::{
    Account, Answer, Entry, EntryKind, LedgerKey, LedgerPolicy, Rebuild, Recounted, Refusal,
    Request, Scope,
};

/// An operation on a ledger account that follows from an event: written with it, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct LedgerPosting {
    /// The account.
    pub key: LedgerKey,
    /// What to do. It has happened already if its key was used before.
    pub request: Request,
}

/// What a ledger operation goes by beside the account.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct LedgerTerms {
    /// The time. An account's own time never goes back: the later of it and this counts.
    pub now: DateTime<Utc>,
    /// The rules that the product chose.
    pub policy: LedgerPolicy,
}

/// Keeps accounts of credits, and decides nothing about them: [`crate::ledger::decide`] does.
///
/// Clauses:
/// 1. `execute` loads the account, decides, and writes the outcome whole or not at all. Of one account
///    one operation takes place after the other, whoever asks.
/// 2. An operation with a key happens once per account and key, for ever: a repetition gets the first
///    answer (`replayed`) and writes nothing; with another request it is
///    [`Refusal::IdempotencyMismatch`]. A refused operation leaves nothing under its key.
/// 3. When `execute` returns an answer, it survives a crash. When it fails, it has happened entirely or
///    not at all, and calling again with the same key is safe.
/// 4. `account` returns an account as of one instant, `None` if nothing was ever done with it. In scope
///    [`Scope::Open`] lots, reservations, freezes and sources that nothing can change by itself any
///    more may be missing.
/// 5. Entries are append-only, numbered from 1 without gaps.
/// 6. `due` names accounts in which something has come due by a time, the longest due first.
/// 7. What an operation has to tell (`Outcome::notices`) is written to the outbox with it, about the
///    subject [`crate::notice::credits_subject`].
/// 8. What an operator did writes a line of the audit log with it (`Outcome::audit`), about the same
///    subject.
/// 9. `roll_up` adds entries to the usage figures, each once, a bounded number per call, and says how
///    many; after it has said 0 the figures are complete. What it added is counted ([`count_entries`]). `rebuild_usage` forgets an account's figures,
///    to be made anew by `roll_up`.
/// 10. The postings of a commit ([`crate::changes::Effects::postings`]) are executed in its transaction,
///    in their order. One that is refused is skipped, and logged.
/// 11. `rebuild` sets an account's balance and lots to what its entries make of them, as
///    [`crate::ledger::rebuild`] says, in one transaction; it answers what differed. Of an account
///    that is right it changes nothing.
/// 12. A request with a [`standing`](Request::standing) is done only if the versions of the owner's
///    subjects add up to it, by what is committed while the account is locked; else it is
///    [`Refusal::StandingChanged`]. A repetition gets the first answer all the same.
#[async_trait]
pub trait CreditLedger: fmt::Debug + Send + Sync + 'static {
    /// Does one operation (clauses 1 to 3). An account begins with its first.
    async fn execute(
        &self,
        key: &LedgerKey,
        request: &Request,
        terms: &LedgerTerms,
    ) -> Result<Result<Answer, Refusal>, StoreError>;

    /// Reads an account (clause 4).
    async fn account(&self, key: &LedgerKey, scope: Scope) -> Result<Option<Account>, StoreError>;

    /// Reads all accounts of an owner, whole, ordered by mode and unit.
    async fn accounts_of(
        &self,
        owner: &AccountKey,
        livemode: Option<bool>,
    ) -> Result<Vec<Account>, StoreError>;

    /// Reads a page of an account's history.
    async fn entries(&self, query: &EntryQuery) -> Result<Vec<Entry>, StoreError>;

    /// Accounts to sweep (clause 6).
    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<LedgerKey>, StoreError>;

    /// All accounts by key, those after one: the next page.
    async fn ledger_keys(
        &self,
        after: Option<&LedgerKey>,
        limit: u32,
    ) -> Result<Vec<LedgerKey>, StoreError>;

    /// Keeps the usage figures up to date (clause 9); at most so many entries.
    async fn roll_up(&self, limit: u32) -> Result<u64, StoreError>;

    /// Repairs an account (clause 11). It is read whole while it is locked.
    async fn rebuild(
        &self,
        key: &LedgerKey,
        by: &Rebuild,
    ) -> Result<Result<Vec<Recounted>, Refusal>, StoreError>;

    /// Forgets an account's usage figures (clause 9).
    async fn rebuild_usage(&self, key: &LedgerKey) -> Result<(), StoreError>;

    /// Reads usage figures, ordered by day, feature and member.
    async fn usage(&self, query: &UsageQuery) -> Result<Vec<Usage>, StoreError>;
}

/// Which entries of an account to read. Fields that are `None` do not restrict.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct EntryQuery {
    /// The account.
    pub key: LedgerKey,
    /// In which direction, and from where on.
    pub page: EntryPage,
    /// Of this kind.
    pub kind: Option<EntryKind>,
    /// By this member.
    pub actor: Option<String>,
    /// For this feature.
    pub feature: Option<String>,
    /// At most so many, up to 10,000.
    pub limit: u32,
}

/// A place in an account's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum EntryPage {
    /// Oldest first, those after this number; 0 begins.
    After(i64),
    /// Newest first, those before this number; `i64::MAX` begins.
    Before(i64),
}

impl EntryQuery {
    /// All entries of an account, oldest first, those after a number.
    pub fn after(key: LedgerKey, seq: i64, limit: u32) -> Self {
        let page = EntryPage::After(seq);
        Self { key, page, kind: None, actor: None, feature: None, limit }
    }

    /// All entries of an account, newest first, those before a number.
    pub fn before(key: LedgerKey, seq: i64, limit: u32) -> Self {
        let page = EntryPage::Before(seq);
        Self { key, page, kind: None, actor: None, feature: None, limit }
    }
}

/// Which usage figures to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct UsageQuery {
    /// The account.
    pub key: LedgerKey,
    /// From this day on, UTC.
    pub from: NaiveDate,
    /// Up to this day, included.
    pub to: NaiveDate,
    /// By this member only.
    pub actor: Option<String>,
}

/// What was used on a day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Usage {
    /// The day, UTC, by when it was recorded.
    pub day: NaiveDate,
    /// For which feature.
    pub feature: Option<String>,
    /// By whom.
    pub actor: Option<String>,
    /// Credits used, less those of spends that were undone.
    pub credits: i64,
    /// How many times.
    pub count: i64,
}

/// Counts entries by kind, for metrics: a store calls it with what `roll_up` has added, so that each
/// entry is counted once, by one node, and off the way of who spends.
pub fn count_entries<'a>(entries: impl IntoIterator<Item = &'a Entry>) {
    let mut kinds = BTreeMap::new();
    for entry in entries {
        *kinds.entry(entry.kind).or_insert(0_u64) += 1;
    }
    for (kind, count) in kinds {
        metrics::counter!("stripe_billing_ledger_entries_total", "kind" => kind.as_str())
            .increment(count);
        if kind == EntryKind::ReleaseTimeout {
            metrics::counter!("stripe_billing_reservations_expired_total").increment(count);
        }
    }
}

/// Adds up what entries used, by day, feature and member: what `roll_up` of a store writes.
pub fn usage_of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Usage> {
    let mut days = BTreeMap::new();
    for entry in entries {
        let Some((credits, count)) = entry.usage() else { continue };
        let place = (entry.recorded_at.date_naive(), entry.feature.clone(), entry.actor.clone());
        let sum: &mut (i64, i64) = days.entry(place).or_default();
        sum.0 += credits;
        sum.1 += count;
    }
    let rows = days.into_iter();
    rows.map(|((day, feature, actor), (credits, count))| Usage {
        day,
        feature,
        actor,
        credits,
        count,
    })
    .collect()
}
