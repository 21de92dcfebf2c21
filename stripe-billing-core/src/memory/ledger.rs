use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Inner, MemoryStore, OutboxRow, QueueState};
use crate::changes::OutboxEntry;
use crate::error::StoreError;
use crate::keys::AccountKey;
use crate::ledger::{
    Account, Answer, Entry, LedgerKey, Outcome, Rebuild, Recounted, Refusal, Request, Scope,
};
use crate::notice::{Notice, credits_subject};
use crate::store::{
    AuditLine, CreditLedger, EntryPage, EntryQuery, LedgerPosting, LedgerTerms, Usage, UsageQuery,
    count_entries, usage_of,
};

#[async_trait]
impl CreditLedger for MemoryStore {
    async fn execute(
        &self,
        key: &LedgerKey,
        request: &Request,
        terms: &LedgerTerms,
    ) -> Result<Result<Answer, Refusal>, StoreError> {
        Ok(self.lock().post(key, request, terms))
    }

    async fn account(&self, key: &LedgerKey, _: Scope) -> Result<Option<Account>, StoreError> {
        Ok(self.lock().ledger.account(key).cloned())
    }

    async fn accounts_of(
        &self,
        owner: &AccountKey,
        livemode: Option<bool>,
    ) -> Result<Vec<Account>, StoreError> {
        let inner = self.lock();
        let own = inner.ledger.accounts().filter(|account| {
            account.key.owner == *owner && livemode.is_none_or(|mode| mode == account.key.livemode)
        });
        Ok(own.cloned().collect())
    }

    async fn entries(&self, query: &EntryQuery) -> Result<Vec<Entry>, StoreError> {
        let inner = self.lock();
        let all = inner.ledger.entries(&query.key).iter();
        let fits = |entry: &&Entry| {
            query.kind.is_none_or(|kind| kind == entry.kind)
                && (query.actor.is_none() || query.actor == entry.actor)
                && (query.feature.is_none() || query.feature == entry.feature)
        };
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let all = all.filter(fits);
        Ok(match query.page {
            EntryPage::After(seq) => {
                all.filter(|entry| entry.seq > seq).take(limit).cloned().collect()
            }
            EntryPage::Before(seq) => {
                all.rev().filter(|entry| entry.seq < seq).take(limit).cloned().collect()
            }
        })
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<LedgerKey>, StoreError> {
        let inner = self.lock();
        let mut due: Vec<(DateTime<Utc>, LedgerKey)> = inner
            .ledger
            .accounts()
            .filter_map(|account| Some((account.next_due()?, account.key.clone())))
            .filter(|(due, _)| *due <= now)
            .collect();
        due.sort();
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(due.into_iter().map(|(_, key)| key).collect())
    }

    async fn ledger_keys(
        &self,
        after: Option<&LedgerKey>,
        limit: u32,
    ) -> Result<Vec<LedgerKey>, StoreError> {
        let inner = self.lock();
        let keys = inner.ledger.accounts().map(|account| &account.key);
        let page = keys.filter(|key| after.is_none_or(|after| *key > after));
        Ok(page.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    async fn roll_up(&self, limit: u32) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        let Inner { ledger, rolled_up, .. } = &mut *inner;
        let mut left = i64::from(limit);
        for account in ledger.accounts() {
            let done = rolled_up.entry(account.key.clone()).or_default();
            let step = (account.balance.seq - *done).clamp(0, left);
            let added = |entry: &&Entry| (*done + 1..=*done + step).contains(&entry.seq);
            count_entries(ledger.entries(&account.key).iter().filter(added));
            *done += step;
            left -= step;
        }
        Ok(u64::try_from(i64::from(limit) - left).unwrap_or(0))
    }

    async fn rebuild(
        &self,
        key: &LedgerKey,
        by: &Rebuild,
    ) -> Result<Result<Vec<Recounted>, Refusal>, StoreError> {
        let mut inner = self.lock();
        Ok(inner.ledger.rebuild(key, by).map(|(differences, outcome)| {
            if let Some(outcome) = outcome {
                inner.note(key, outcome, by.now);
            }
            differences
        }))
    }

    async fn rebuild_usage(&self, key: &LedgerKey) -> Result<(), StoreError> {
        self.lock().rolled_up.remove(key);
        Ok(())
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<Usage>, StoreError> {
        let inner = self.lock();
        let done = inner.rolled_up.get(&query.key).copied().unwrap_or(0);
        let entries = inner.ledger.entries(&query.key).iter().filter(|entry| entry.seq <= done);
        let mut usage = usage_of(entries);
        usage.retain(|row| (query.from..=query.to).contains(&row.day));
        usage.retain(|row| query.actor.is_none() || query.actor == row.actor);
        Ok(usage)
    }
}

impl Inner {
    /// Executes what follows from an event; what is refused changes nothing.
    pub(super) fn execute_postings(&mut self, postings: &[LedgerPosting], terms: &LedgerTerms) {
        for LedgerPosting { key, request } in postings {
            if let Err(refusal) = self.post(key, request, terms) {
                tracing::warn!(account = %key.owner, "a posting is skipped: {refusal}");
            }
        }
    }

    fn post(
        &mut self,
        key: &LedgerKey,
        request: &Request,
        terms: &LedgerTerms,
    ) -> Result<Answer, Refusal> {
        if let Some(standing) = request.standing
            && self.version_of(&key.owner, standing.livemode) != standing.version
            && !self.ledger.is_known(key, request)
        {
            return Err(Refusal::StandingChanged);
        }
        let (answer, outcome) = self.ledger.post(key, request, terms.now, &terms.policy)?;
        if let Some(outcome) = outcome {
            self.note(key, outcome, terms.now);
        }
        Ok(answer)
    }

    /// The sum of the versions of an owner's subjects.
    fn version_of(&self, owner: &AccountKey, livemode: Option<bool>) -> i64 {
        let own = self.subjects.iter().filter(|(key, row)| {
            row.account.as_deref() == Some(owner.account.as_str())
                && key.tenant.stripe_account == owner.stripe_account
                && livemode.is_none_or(|mode| key.tenant.livemode == mode)
        });
        own.map(|(_, row)| row.version).sum()
    }

    /// What an operation leaves beside the ledger.
    fn note(&mut self, key: &LedgerKey, outcome: Outcome, now: DateTime<Utc>) {
        for notice in outcome.notices {
            self.warn(key, notice, now);
        }
        if let Some(entry) = outcome.audit {
            let seq = self.audit.last().map_or(1, |line| line.seq + 1);
            self.audit.push(AuditLine { seq, at: now, subject: credits_subject(key), entry });
        }
    }

    fn warn(&mut self, key: &LedgerKey, notice: Notice, now: DateTime<Utc>) {
        let entry = OutboxEntry::from(notice);
        let subject = credits_subject(key);
        let seq = self.outbox.last_key_value().map_or(1, |(seq, _)| seq + 1);
        let place = (subject.tenant.clone(), entry.key.clone());
        if let std::collections::hash_map::Entry::Vacant(free) = self.outbox_keys.entry(place) {
            free.insert(seq);
            let queue = QueueState::new("pending", now);
            self.outbox.insert(seq, OutboxRow::new(entry, subject, queue));
        }
    }
}
