//! Random operations on the credit ledger, the same ones for the same seed, and the comparison of a
//! store with the reference in memory.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use stripe_billing_core::ledger::{
    Account, Answer, Command, Entry, EntryKind, Grant, Ledger, LedgerKey, LedgerPolicy, LotId,
    LotKind, MoneyBack, MoneyBackStatus, Refusal, RepaidBy, Reply, Request, Rollover, Scope,
    Segment, Window, verify,
};
use stripe_billing_core::store::{EntryQuery, LedgerTerms, Store};
use stripe_billing_core::{ErrorKind, StoreError};

use crate::conformance::Dice;

const DAY: i64 = 86_400;

/// A stream of operations on one account. It goes by how the account is, so that what it asks for
/// makes sense most of the time, and does not now and then.
#[derive(Debug)]
pub struct Stream {
    dice: Dice,
    seconds: i64,
    sources: Vec<(String, i64)>,
    renewed: Option<LotId>,
    last: Option<Request>,
}

impl Stream {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        let (sources, renewed, last) = (Vec::new(), None, None);
        Self { dice: Dice::new(seed), seconds: 0, sources, renewed, last }
    }

    /// When the operation takes place that was asked for last.
    pub fn now(&self) -> DateTime<Utc> {
        self.at(0)
    }

    /// The rules for the account of a seed: of every kind.
    pub fn policy(seed: u64) -> LedgerPolicy {
        let mut policy = match seed % 5 {
            1 => LedgerPolicy::gentle(),
            2 => LedgerPolicy::refund_gentle_dispute_strict(),
            _ => LedgerPolicy::default(),
        };
        if seed % 5 == 3 {
            policy.debt_repaid_by = RepaidBy::Paid;
            policy.low_at = Some(200);
        }
        if seed % 5 == 4 {
            policy.freeze_inquiries = true;
            policy.no_holds_while_disputed = true;
            policy.return_grace = TimeDelta::hours(2);
        }
        policy
    }

    fn at(&self, ahead: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + self.seconds + ahead, 0).unwrap_or_default()
    }

    fn number(&mut self, from: i64, to: i64) -> i64 {
        let sides = usize::try_from(to - from).unwrap_or(1);
        from + i64::try_from(self.dice.roll(sides)).unwrap_or(0)
    }

    fn name(&mut self, of: &str) -> String {
        format!("{of}{}", self.number(0, 400))
    }

    fn one<T: Clone>(&mut self, of: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let place = self.dice.roll(of.len());
        let mut of = of;
        of.nth(place)
    }

    /// The next request for an account with a history. The time goes on by itself.
    pub fn next(&mut self, account: Option<&Account>, entries: &[Entry]) -> Request {
        self.seconds += [0, 0, 1, 60, 3_600, DAY][self.dice.roll(6)];
        loop {
            let kind = self.dice.roll(36);
            let request = match account {
                _ if kind < 20 => self.common(kind, account),
                Some(account) => self.rare(kind, account, entries),
                None => None,
            };
            if let Some(request) = request {
                self.last = Some(request.clone());
                return request;
            }
        }
    }

    /// Tells the stream what came of a request.
    pub fn heard(&mut self, answer: &Result<Answer, Refusal>) {
        if let Ok(Answer { reply: Reply::Renewed { lot, .. }, .. }) = answer {
            self.renewed = Some(*lot);
        }
    }

    fn common(&mut self, kind: usize, account: Option<&Account>) -> Option<Request> {
        Some(match kind {
            0..=2 => Command::Grant(self.grant()).into(),
            3..=9 => {
                let (key, amount) = (self.name("k"), self.number(1, 200));
                self.asked(Command::Spend { key, amount })
            }
            10..=13 => {
                let ttl = TimeDelta::seconds([10, 3_600, DAY][self.dice.roll(3)]);
                let (id, amount) = (self.name("r"), self.number(1, 200));
                self.asked(Command::Reserve { id, amount, ttl })
            }
            14..=16 => {
                let one = self.one(account?.reservations.values())?;
                let amount = one.amount * self.number(0, 106) / 100;
                Command::Capture { id: one.id.clone(), amount }.into()
            }
            17 => {
                let id = self.one(account?.reservations.values())?.id.clone();
                Command::Release { id }.into()
            }
            18 => Command::Sweep.into(),
            _ => self.last.clone()?,
        })
    }

    /// A request of a member, or of nobody.
    fn asked(&mut self, command: Command) -> Request {
        let request = Request::from(command);
        match self.dice.roll(4) {
            0 => request.by("m1"),
            1 => request.by("m2").on("chat"),
            2 => request.on("chat"),
            _ => request,
        }
    }

    fn grant(&mut self) -> Grant {
        let (key, amount) = (self.name("g"), self.number(1, 1_000));
        let kind = [LotKind::Pack, LotKind::Promo, LotKind::Trial][self.dice.roll(3)];
        let mut grant = Grant::new(key, amount).of_kind(kind);
        grant.priority = [10, 50, 50][self.dice.roll(3)];
        if self.dice.roll(2) == 0 {
            let life = self.number(1, 10 * DAY);
            grant = grant.until(self.at(life));
        }
        if self.dice.roll(4) == 0 {
            let ahead = self.number(0, 20_000);
            grant = grant.from(self.at(ahead));
        }
        if self.dice.roll(3) > 0 {
            let (source, paid) =
                (format!("ch{}", self.sources.len()), [0, 100, 999, 1_000][self.dice.roll(4)]);
            grant = grant.paid_with(source.clone(), paid);
            self.sources.push((source, paid));
        }
        grant
    }

    fn rare(&mut self, kind: usize, account: &Account, entries: &[Entry]) -> Option<Request> {
        let reason = "test".to_owned();
        Some(match kind {
            20 | 21 => self.money_back()?,
            22 => self.returns()?,
            23 => {
                let grant = Grant::new(self.name("n"), self.number(1, 500)).of_kind(LotKind::Plan);
                let grant = grant.until(self.at(30 * DAY));
                let max = [0, 100][self.dice.roll(2)];
                let total_max = [None, Some(150)][self.dice.roll(2)];
                let rollover = Rollover { max, total_max, expires_at: Some(self.at(60 * DAY)) };
                Command::Renew { previous: self.renewed, grant, rollover, reason }.into()
            }
            24 => {
                let ttl = TimeDelta::seconds(self.number(0, 90_000));
                let id = self.one(account.reservations.values())?.id.clone();
                Command::Extend { id, ttl }.into()
            }
            25 => self.schedule(),
            26 => Command::Withdraw(vec![self.one(account.scheduled.keys())?.clone()]).into(),
            27 => Command::End { lot: *self.one(account.lots.keys())?, reason }.into(),
            28 => {
                let (key, amount) = (self.name("f"), self.number(1, 300));
                Command::Forgive { key, amount, reason }.into()
            }
            29 => {
                let (key, amount) = (self.name("a"), self.number(-300, 300));
                Command::Adjust { key, amount, reason }.into()
            }
            30 => {
                let spends: Vec<&Entry> =
                    entries.iter().filter(|entry| entry.kind == EntryKind::Spend).collect();
                let entry = Box::new(self.one(spends.into_iter())?.clone());
                Command::Reverse { entry, reason }.into()
            }
            31 => Command::SetOverdraft { limit: self.number(0, 100) }.into(),
            32 => {
                let member = ["m1", "m2"][self.dice.roll(2)].to_owned();
                let feature = [None, Some("chat".to_owned())][self.dice.roll(2)].clone();
                let window = [Window::Day, Window::Month][self.dice.roll(2)];
                Command::SetLimit { member, feature, window, max: self.number(0, 900) }.into()
            }
            33 => {
                let grant = Grant::new(self.name("u"), 0).of_kind(LotKind::Upgrade);
                let allowance = self.number(0, 2_000);
                let part = |allowance, days| Segment { allowance, seconds: days * DAY };
                let segments = vec![part(allowance / 4, 10), part(allowance, 20)];
                Command::Upgrade { grant: grant.in_period("p"), segments }.into()
            }
            34 => {
                let grant = Grant::new(self.name("p"), self.number(1, 500)).of_kind(LotKind::Plan);
                let begins = self.number(-5, 4) * DAY;
                let grant = grant.in_series("s").from(self.at(begins));
                let grant = grant.until(self.at(begins + 30 * DAY));
                Command::Allow { grant, rollover: Rollover::default() }.into()
            }
            _ => Command::EndSeries { series: "s".to_owned(), at: self.at(DAY) }.into(),
        })
    }

    fn schedule(&mut self) -> Request {
        let (name, source) = (self.name("d"), self.name("in"));
        let (amount, months, paid) = (self.number(1, 400), self.number(1, 5), self.number(0, 900));
        let grants = (0..months).map(|month| {
            let grant = Grant::new(format!("{name}-{month}"), amount).from(self.at(month * DAY));
            grant.paid_with(source.clone(), paid).until(self.at(40 * DAY))
        });
        Command::Schedule(grants.collect()).into()
    }

    fn money_back(&mut self) -> Option<Request> {
        use MoneyBackStatus as Status;
        let sources = self.sources.clone();
        let (source, paid) = self.one(sources.into_iter())?;
        let number = self.number(0, 3);
        let (id, amount, status) = if self.dice.roll(2) == 0 {
            let all = [Status::RefundPending, Status::RefundSucceeded, Status::RefundFailed];
            (format!("re{number}-{source}"), paid * (number + 1) / 5, all[self.dice.roll(3)])
        } else {
            let all = [
                Status::DisputeInquiry,
                Status::DisputeOpen,
                Status::DisputeLost,
                Status::DisputeWon,
            ];
            (format!("dp{number}-{source}"), paid * (number + 1) / 3, all[self.dice.roll(4)])
        };
        Some(Command::MoneyBack { source, id, amount, status }.into())
    }

    /// The same as one word about a payment.
    fn returns(&mut self) -> Option<Request> {
        let Command::MoneyBack { source, id, amount, status } = self.money_back()?.command else {
            return None;
        };
        let row = MoneyBack { amount, status, made_at: Some(self.at(-60)) };
        Some(Command::Returns { source, rows: [(id, row)].into() }.into())
    }
}

/// Operations of an account before the next one begins: what deciding costs grows with the lots.
const PER_ACCOUNT: u64 = 400;

/// Runs so many operations on a store, handle by handle in turn, and on the reference beside it.
/// Every answer is compared, every 40 operations the whole account, and in the end of an account its
/// whole history, in which every invariant has to hold.
///
/// # Panics
/// When the store and the reference differ, or an invariant is broken.
pub async fn side_by_side(nodes: &[Arc<dyn Store>], steps: u64) {
    let (mut done, mut seed) = (0, 1);
    while done < steps {
        let count = PER_ACCOUNT.min(steps - done);
        one_account(nodes, seed, count).await;
        done += count;
        seed += 1;
    }
}

async fn one_account(nodes: &[Arc<dyn Store>], seed: u64, steps: u64) {
    let (mut stream, policy) = (Stream::new(seed), Stream::policy(seed));
    let mut reference = Ledger::new(policy);
    let key = LedgerKey::new(format!("stream-{seed}").as_str(), "credits");
    let mut turn = nodes.iter().cycle();
    for step in 1..=steps {
        let request = stream.next(reference.account(&key), reference.entries(&key));
        let now = stream.now();
        let expected = reference.execute(&key, request.clone(), now);
        stream.heard(&expected);
        let Some(node) = turn.next() else { return };
        let terms = LedgerTerms { now, policy };
        let found = execute(node.as_ref(), &key, &request, &terms).await;
        assert_eq!(found, expected, "account {seed}, step {step}: {request:?}");
        if step % 40 == 0 || step == steps {
            let found = node.account(&key, Scope::All).await.expect("account");
            assert_eq!(found.as_ref(), reference.account(&key), "account {seed}, step {step}");
        }
    }
    let Some(expected) = reference.account(&key) else { return };
    let mut entries: Vec<Entry> = Vec::new();
    let node = &nodes[0];
    loop {
        let last = entries.last().map_or(0, |entry| entry.seq);
        let page = node.entries(&EntryQuery::after(key.clone(), last, 1_000)).await;
        let page = page.expect("entries");
        if page.is_empty() {
            break;
        }
        entries.extend(page);
    }
    assert_eq!(entries, reference.entries(&key), "account {seed}");
    let account = node.account(&key, Scope::All).await.expect("account");
    assert_eq!(account.as_ref(), Some(expected), "account {seed}");
    assert_eq!(account.map(|one| verify(&one, &entries, &policy)), Some(vec![]), "account {seed}");
}

/// Does it, however often another transaction is in the way.
async fn execute(
    node: &dyn Store,
    key: &LedgerKey,
    request: &Request,
    terms: &LedgerTerms,
) -> Result<Answer, Refusal> {
    loop {
        let answer: Result<_, StoreError> = node.execute(key, request, terms).await;
        match answer {
            Ok(answer) => return answer,
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => panic!("{request:?}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short lives of many accounts, under every policy, proven after each operation.
    #[test]
    fn the_rules_keep_every_invariant_of_many_streams() {
        for seed in 1_000..1_040 {
            let (mut stream, policy) = (Stream::new(seed), Stream::policy(seed));
            let mut ledger = Ledger::new(policy);
            let key = LedgerKey::new("a", "credits");
            for step in 0..120 {
                let request = stream.next(ledger.account(&key), ledger.entries(&key));
                let answer = ledger.execute(&key, request.clone(), stream.now());
                stream.heard(&answer);
                let broken = ledger.verify();
                assert!(broken.is_empty(), "account {seed}, step {step}: {request:?}: {broken:?}");
            }
        }
    }

    #[test]
    fn a_seed_is_a_stream() {
        let requests = |seed| {
            let mut stream = Stream::new(seed);
            let mut ledger = Ledger::default();
            let key = LedgerKey::new("a", "credits");
            let mut kinds = std::collections::BTreeSet::new();
            let mut all = Vec::new();
            for _ in 0..600 {
                let request = stream.next(ledger.account(&key), ledger.entries(&key));
                let answer = ledger.execute(&key, request.clone(), stream.now());
                stream.heard(&answer);
                kinds.insert(format!("{:?}", std::mem::discriminant(&request.command)));
                all.push(request);
            }
            assert!(kinds.len() >= 20, "only {} kinds of operations", kinds.len());
            all
        };
        assert_eq!(requests(7), requests(7));
        assert_ne!(requests(7), requests(8));
    }
}
