//! One account on a bench, with short words for what is done to it.

use chrono::{DateTime, TimeDelta, Utc};
use stripe_billing_core::ledger::{
    Account, Answer, Command, Entry, EntryKind, Grant, Ledger, LedgerKey, LedgerPolicy, Lot, LotId,
    LotKind, MoneyBackStatus, Refusal, Reply, Request, Rollover,
};

pub(crate) const DAY: i64 = 86_400;

/// T plus seconds.
pub(crate) fn t(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("in range")
}

#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) ledger: Ledger,
    pub(crate) key: LedgerKey,
    pub(crate) now: DateTime<Utc>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::under(LedgerPolicy::default())
    }

    pub(crate) fn under(policy: LedgerPolicy) -> Self {
        Self { ledger: Ledger::new(policy), key: LedgerKey::new("app-1", "credits"), now: t(0) }
    }

    pub(crate) fn at(&mut self, seconds: i64) -> &mut Self {
        self.now = t(seconds);
        self
    }

    /// Does it, and checks every invariant afterwards.
    pub(crate) fn run(&mut self, request: impl Into<Request>) -> Result<Answer, Refusal> {
        let request = request.into();
        let before = self.ledger.clone();
        let answer = self.ledger.execute(&self.key, request.clone(), self.now);
        if answer.is_err() {
            assert_eq!(self.entries(), before.entries(&self.key), "a refusal wrote {request:?}");
            assert_eq!(self.ledger.account(&self.key), before.account(&self.key));
        }
        assert_eq!(self.ledger.verify(), [], "after {request:?}");
        answer
    }

    pub(crate) fn reply(&mut self, request: impl Into<Request>) -> Reply {
        self.run(request).expect("is done").reply
    }

    pub(crate) fn grant(&mut self, grant: Grant) -> LotId {
        match self.reply(Command::Grant(grant)) {
            Reply::Granted { lot: Some(lot) } => lot,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn spend(&mut self, key: &str, amount: i64) -> Result<Answer, Refusal> {
        self.run(Command::Spend { key: key.to_owned(), amount })
    }

    pub(crate) fn reserve(&mut self, id: &str, amount: i64, ttl: i64) -> Result<Answer, Refusal> {
        let ttl = TimeDelta::seconds(ttl);
        self.run(Command::Reserve { id: id.to_owned(), amount, ttl })
    }

    pub(crate) fn capture(&mut self, id: &str, amount: i64) -> Result<Answer, Refusal> {
        self.run(Command::Capture { id: id.to_owned(), amount })
    }

    pub(crate) fn release(&mut self, id: &str) -> Result<Answer, Refusal> {
        self.run(Command::Release { id: id.to_owned() })
    }

    pub(crate) fn sweep(&mut self) {
        self.reply(Command::Sweep);
    }

    /// A refund or dispute; answers the credits taken back by it.
    pub(crate) fn back(&mut self, source: &str, id: &str, amount: i64, to: MoneyBackStatus) -> i64 {
        let (source, id) = (source.to_owned(), id.to_owned());
        match self.reply(Command::MoneyBack { source, id, amount, status: to }) {
            Reply::MoneyBack { clawed, .. } => clawed,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn refund(&mut self, source: &str, id: &str, amount: i64) -> i64 {
        self.back(source, id, amount, MoneyBackStatus::RefundSucceeded)
    }

    pub(crate) fn renew(&mut self, previous: LotId, grant: Grant, rollover: Rollover) -> Reply {
        let reason = "renewal".to_owned();
        self.reply(Command::Renew { previous: Some(previous), grant, rollover, reason })
    }

    pub(crate) fn account(&self) -> &Account {
        self.ledger.account(&self.key).expect("exists")
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        self.ledger.entries(&self.key)
    }

    pub(crate) fn lot(&self, id: LotId) -> &Lot {
        &self.account().lots[&id]
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<&Lot> {
        self.account().lots.values().find(|lot| lot.grant_key == key)
    }

    pub(crate) fn av(&self) -> i64 {
        self.account().balance.available
    }

    pub(crate) fn held(&self) -> i64 {
        self.account().balance.held
    }

    pub(crate) fn frozen(&self) -> i64 {
        self.account().balance.frozen
    }

    pub(crate) fn debt(&self) -> i64 {
        self.account().balance.debt
    }

    /// Kind and change of the last entries.
    pub(crate) fn last(&self, count: usize) -> Vec<(EntryKind, i64)> {
        let entries = self.entries();
        let last = entries.len().saturating_sub(count);
        entries[last..].iter().map(|entry| (entry.kind, entry.delta_available)).collect()
    }
}

/// A plan's allowance.
pub(crate) fn plan(key: &str, amount: i64) -> Grant {
    Grant::new(key, amount).of_kind(LotKind::Plan)
}
