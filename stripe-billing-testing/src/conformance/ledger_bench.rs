//! One ledger account on a bench, with short words for what is done to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use stripe_billing_core::ledger::{
    Account, Answer, Command, Entry, EntryKind, Grant, LedgerKey, LedgerPolicy, Lot, LotId,
    LotKind, MoneyBackStatus, Refusal, Reply, Request, Rollover, Scope, verify,
};
use stripe_billing_core::store::{EntryQuery, LedgerTerms, Store};

use super::Fixture;

pub(super) const DAY: i64 = 86_400;

/// T plus seconds.
pub(super) fn t(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("in range")
}

/// By the rules as they are by default.
pub(super) fn terms(now: DateTime<Utc>) -> LedgerTerms {
    LedgerTerms { now, policy: LedgerPolicy::default() }
}

/// A plan's allowance.
pub(super) fn plan(key: &str, amount: i64) -> Grant {
    Grant::new(key, amount).of_kind(LotKind::Plan)
}

/// An account of its own, and how it was read last. Operations go to both handles in turn.
#[derive(Debug)]
pub(super) struct Bench {
    nodes: [Arc<dyn Store>; 2],
    calls: usize,
    pub(super) key: LedgerKey,
    policy: LedgerPolicy,
    pub(super) now: DateTime<Utc>,
    account: Account,
    entries: Vec<Entry>,
}

impl Bench {
    pub(super) fn new(fixture: &Fixture) -> Self {
        Self::under(fixture, LedgerPolicy::default())
    }

    pub(super) fn under(fixture: &Fixture, policy: LedgerPolicy) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("app-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let key = LedgerKey::new(name.as_str(), "credits");
        Self {
            nodes: [fixture.turn(0), fixture.turn(1)],
            calls: 0,
            account: Account::new(key.clone()),
            key,
            policy,
            now: t(0),
            entries: Vec::new(),
        }
    }

    pub(super) fn at(&mut self, seconds: i64) -> &mut Self {
        self.now = t(seconds);
        self
    }

    /// Does it, reads all there is, and checks every invariant.
    pub(super) async fn run(&mut self, request: impl Into<Request>) -> Result<Answer, Refusal> {
        let request = request.into();
        let node = &self.nodes[self.calls % 2];
        self.calls += 1;
        let terms = LedgerTerms { now: self.now, policy: self.policy };
        let answer = node.execute(&self.key, &request, &terms).await.expect("execute");
        let (account, entries) = (self.account.clone(), self.entries.len());
        self.refresh().await;
        if answer.is_err() {
            assert_eq!(self.entries.len(), entries, "a refusal wrote {request:?}");
            assert_eq!(self.account, account, "a refusal changed {request:?}");
        }
        self.verify();
        answer
    }

    /// Reads the account from the other node than the last operation went to.
    pub(super) async fn refresh(&mut self) {
        let node = &self.nodes[self.calls % 2];
        let account = node.account(&self.key, Scope::All).await.expect("account");
        self.account = account.unwrap_or_else(|| Account::new(self.key.clone()));
        self.entries.clear();
        loop {
            let last = self.entries.last().map_or(0, |entry| entry.seq);
            let query = EntryQuery::after(self.key.clone(), last, 10_000);
            let page = node.entries(&query).await.expect("entries");
            if page.is_empty() {
                break;
            }
            self.entries.extend(page);
        }
    }

    pub(super) fn verify(&self) {
        assert_eq!(verify(&self.account, &self.entries, &self.policy), []);
    }

    pub(super) async fn reply(&mut self, request: impl Into<Request>) -> Reply {
        self.run(request).await.expect("is done").reply
    }

    pub(super) async fn grant(&mut self, grant: Grant) -> LotId {
        match self.reply(Command::Grant(grant)).await {
            Reply::Granted { lot: Some(lot) } => lot,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn spend(&mut self, key: &str, amount: i64) -> Result<Answer, Refusal> {
        self.run(Command::Spend { key: key.to_owned(), amount }).await
    }

    pub(super) async fn reserve(
        &mut self,
        id: &str,
        amount: i64,
        ttl: i64,
    ) -> Result<Answer, Refusal> {
        let ttl = TimeDelta::seconds(ttl);
        self.run(Command::Reserve { id: id.to_owned(), amount, ttl }).await
    }

    pub(super) async fn capture(&mut self, id: &str, amount: i64) -> Result<Answer, Refusal> {
        self.run(Command::Capture { id: id.to_owned(), amount }).await
    }

    pub(super) async fn release(&mut self, id: &str) -> Result<Answer, Refusal> {
        self.run(Command::Release { id: id.to_owned() }).await
    }

    pub(super) async fn sweep(&mut self) {
        self.reply(Command::Sweep).await;
    }

    /// A refund or dispute; answers the credits taken back by it.
    pub(super) async fn back(
        &mut self,
        source: &str,
        id: &str,
        amount: i64,
        to: MoneyBackStatus,
    ) -> i64 {
        let (source, id) = (source.to_owned(), id.to_owned());
        match self.reply(Command::MoneyBack { source, id, amount, status: to }).await {
            Reply::MoneyBack { clawed, .. } => clawed,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn refund(&mut self, source: &str, id: &str, amount: i64) -> i64 {
        self.back(source, id, amount, MoneyBackStatus::RefundSucceeded).await
    }

    pub(super) async fn renew(&mut self, previous: LotId, grant: Grant, rollover: Rollover) {
        let reason = "renewal".to_owned();
        self.reply(Command::Renew { previous: Some(previous), grant, rollover, reason }).await;
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn lot(&self, id: LotId) -> &Lot {
        &self.account.lots[&id]
    }

    pub(super) fn by_key(&self, key: &str) -> Option<&Lot> {
        self.account.lots.values().find(|lot| lot.grant_key == key)
    }

    pub(super) fn av(&self) -> i64 {
        self.account.balance.available
    }

    pub(super) fn held(&self) -> i64 {
        self.account.balance.held
    }

    pub(super) fn frozen(&self) -> i64 {
        self.account.balance.frozen
    }

    pub(super) fn debt(&self) -> i64 {
        self.account.balance.debt
    }

    /// Kind and change of the last entries.
    pub(super) fn last(&self, count: usize) -> Vec<(EntryKind, i64)> {
        let last = self.entries.len().saturating_sub(count);
        self.entries[last..].iter().map(|entry| (entry.kind, entry.delta_available)).collect()
    }
}
