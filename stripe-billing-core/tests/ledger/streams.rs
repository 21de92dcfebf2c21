//! Random streams of operations on one account.

use chrono::TimeDelta;
use proptest::prelude::*;
use stripe_billing_core::ledger::{
    Answer, Command, EntryKind, Grant, LedgerPolicy, LotId, LotKind, MoneyBackStatus, Refusal,
    Reply, Request, Rollover, Segment, Window,
};

use crate::bench::{Bench, DAY, t};

/// What is done, in small numbers; [`Stream`] makes a request of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Grant {
        key: u8,
        amount: i64,
        priority: u8,
        paid: bool,
        life: Option<i64>,
        price: i64,
    },
    Spend {
        key: u8,
        amount: i64,
        member: bool,
    },
    Reserve {
        key: u8,
        amount: i64,
        ttl: i64,
        member: bool,
    },
    Capture {
        pick: usize,
        share: i64,
    },
    Release {
        pick: usize,
    },
    Refund {
        pick: usize,
        id: u8,
        status: MoneyBackStatus,
    },
    Dispute {
        pick: usize,
        id: u8,
        status: MoneyBackStatus,
    },
    Renew {
        key: u8,
        amount: i64,
        max: i64,
    },
    /// The last request once more.
    Again,
    // Beyond the executable model:
    Extend {
        pick: usize,
        ttl: i64,
    },
    Schedule {
        key: u8,
        amount: i64,
        months: i64,
        price: i64,
    },
    Withdraw {
        pick: usize,
    },
    End {
        pick: usize,
    },
    Forgive {
        key: u8,
        amount: i64,
    },
    Adjust {
        key: u8,
        amount: i64,
    },
    Reverse {
        pick: usize,
    },
    Overdraft {
        limit: i64,
    },
    Limit {
        max: i64,
    },
    Upgrade {
        key: u8,
        allowance: i64,
    },
    Waiting {
        key: u8,
        amount: i64,
        ahead: i64,
    },
}

/// An operation and the seconds before it.
pub(crate) type Step = (i64, Op);

fn gap() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(0), Just(1), Just(60), Just(3600), Just(DAY)]
}

/// Operations that the executable model knows, too.
pub(crate) fn model_op() -> impl Strategy<Value = Op> {
    use MoneyBackStatus as Status;
    let price = prop_oneof![Just(0), Just(100), Just(999), Just(1000)];
    let life = prop_oneof![Just(None), (1..=10 * DAY).prop_map(Some)];
    let refund = prop_oneof![
        Just(Status::RefundPending),
        Just(Status::RefundSucceeded),
        Just(Status::RefundSucceeded),
        Just(Status::RefundFailed)
    ];
    let dispute = prop_oneof![
        Just(Status::DisputeOpen),
        Just(Status::DisputeOpen),
        Just(Status::DisputeLost),
        Just(Status::DisputeWon)
    ];
    let pick = 0_usize..1000;
    let priority = prop_oneof![Just(10_u8), Just(50), Just(50)];
    let ttl = prop_oneof![Just(10), Just(3600), Just(DAY)];
    let max = prop_oneof![Just(0), Just(100)];
    prop_oneof![
        2 => (0_u8..60, 1_i64..1000, priority, any::<bool>(), life, price).prop_map(
            |(key, amount, priority, paid, life, price)| Op::Grant {
                key, amount, priority, paid, life, price
            }
        ),
        3 => (0_u8..60, 1_i64..300, any::<bool>())
            .prop_map(|(key, amount, member)| Op::Spend { key, amount, member }),
        2 => (0_u8..60, 1_i64..300, ttl, any::<bool>())
            .prop_map(|(key, amount, ttl, member)| Op::Reserve { key, amount, ttl, member }),
        1 => (pick.clone(), 0_i64..=105).prop_map(|(pick, share)| Op::Capture { pick, share }),
        1 => pick.clone().prop_map(|pick| Op::Release { pick }),
        2 => (pick.clone(), 0_u8..4, refund)
            .prop_map(|(pick, id, status)| Op::Refund { pick, id, status }),
        2 => (pick, 0_u8..2, dispute)
            .prop_map(|(pick, id, status)| Op::Dispute { pick, id, status }),
        1 => (0_u8..60, 1_i64..500, max).prop_map(|(key, amount, max)| Op::Renew {
            key, amount, max
        }),
        1 => Just(Op::Again),
    ]
}

fn other_op() -> impl Strategy<Value = Op> {
    let pick = 0_usize..1000;
    let amount = 1_i64..500;
    prop_oneof![
        (pick.clone(), 0_i64..90_000).prop_map(|(pick, ttl)| Op::Extend { pick, ttl }),
        (0_u8..20, amount.clone(), 1_i64..6, 0_i64..900)
            .prop_map(|(key, amount, months, price)| Op::Schedule { key, amount, months, price }),
        pick.clone().prop_map(|pick| Op::Withdraw { pick }),
        pick.clone().prop_map(|pick| Op::End { pick }),
        (0_u8..60, amount.clone()).prop_map(|(key, amount)| Op::Forgive { key, amount }),
        (0_u8..60, -300_i64..300).prop_map(|(key, amount)| Op::Adjust { key, amount }),
        pick.prop_map(|pick| Op::Reverse { pick }),
        (0_i64..100).prop_map(|limit| Op::Overdraft { limit }),
        (0_i64..400).prop_map(|max| Op::Limit { max }),
        (0_u8..60, 0_i64..2000).prop_map(|(key, allowance)| Op::Upgrade { key, allowance }),
        (0_u8..60, amount, 0_i64..20_000).prop_map(|(key, amount, ahead)| Op::Waiting {
            key,
            amount,
            ahead
        }),
    ]
}

pub(crate) fn model_steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((gap(), model_op()), 5..most)
}

pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let op = prop_oneof![2 => model_op(), 1 => other_op()];
    prop::collection::vec((gap(), op), 5..most)
}

/// A stream in the making: which names exist so far.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) bench: Bench,
    pub(crate) seconds: i64,
    /// Source ids and what was paid.
    pub(crate) sources: Vec<(String, i64)>,
    renewed: Option<LotId>,
    last: Option<Request>,
    /// Whether two disputes of one payment may be open at once.
    pub(crate) crowded: bool,
}

impl Stream {
    pub(crate) fn new(policy: LedgerPolicy) -> Self {
        let bench = Bench::under(policy);
        let (sources, renewed, last) = (Vec::new(), None, None);
        Self { bench, seconds: 0, sources, renewed, last, crowded: true }
    }

    fn reservation(&self, pick: usize) -> Option<(String, i64)> {
        let all = &self.bench.ledger.account(&self.bench.key)?.reservations;
        let one = all.values().nth(pick.checked_rem(all.len())?)?;
        Some((one.id.clone(), one.amount))
    }

    fn lot(&self, pick: usize) -> Option<LotId> {
        let all = &self.bench.ledger.account(&self.bench.key)?.lots;
        all.keys().nth(pick.checked_rem(all.len())?).copied()
    }

    fn source(&self, pick: usize) -> Option<&(String, i64)> {
        self.sources.get(pick.checked_rem(self.sources.len())?)
    }

    /// The request that an operation makes here; none where it finds nothing to be about.
    pub(crate) fn request(&mut self, op: Op) -> Option<Request> {
        let request = match op {
            Op::Grant { key, amount, priority, paid, life, price } => {
                let source = format!("ch{}", self.sources.len());
                let kind = if paid { LotKind::Pack } else { LotKind::Promo };
                let mut grant = Grant::new(format!("g{key}"), amount).of_kind(kind);
                grant = grant.paid_with(source.clone(), price);
                grant.priority = priority;
                grant.expires_at = life.map(|life| t(self.seconds + life));
                self.sources.push((source, price));
                Command::Grant(grant).into()
            }
            Op::Spend { key, amount, member } => {
                let command = Command::Spend { key: format!("k{key}"), amount };
                member_if(member, command)
            }
            Op::Reserve { key, amount, ttl, member } => {
                let ttl = TimeDelta::seconds(ttl);
                member_if(member, Command::Reserve { id: format!("r{key}"), amount, ttl })
            }
            Op::Capture { pick, share } => {
                let (id, amount) = self.reservation(pick)?;
                Command::Capture { id, amount: amount * share / 100 }.into()
            }
            Op::Release { pick } => Command::Release { id: self.reservation(pick)?.0 }.into(),
            Op::Refund { pick, id, status } => {
                let (source, paid) = self.source(pick)?.clone();
                let (id, amount) = (format!("re{id}"), paid * (i64::from(id) + 1) / 5);
                Command::MoneyBack { source, id, amount, status }.into()
            }
            Op::Dispute { pick, id, status } => {
                let (source, paid) = self.source(pick)?.clone();
                let name = format!("dp{id}-{source}");
                let open = |freeze: &stripe_billing_core::ledger::Freeze| {
                    freeze.open && freeze.source == source && freeze.dispute != name
                };
                let account = self.bench.ledger.account(&self.bench.key)?;
                if !self.crowded && account.freezes.values().any(open) {
                    return None;
                }
                let amount = paid * (i64::from(id) + 1) / 2;
                Command::MoneyBack { source, id: name, amount, status }.into()
            }
            Op::Renew { key, amount, max } => {
                let grant = Grant::new(format!("n{key}"), amount).of_kind(LotKind::Plan);
                let grant = grant.until(t(self.seconds + 30 * DAY));
                let expires_at = Some(t(self.seconds + 60 * DAY));
                let rollover = Rollover { max, total_max: None, expires_at };
                let (previous, reason) = (self.renewed, "renewal".to_owned());
                Command::Renew { previous, grant, rollover, reason }.into()
            }
            Op::Again => self.last.clone()?,
            other => self.beyond(other)?,
        };
        self.last = Some(request.clone());
        Some(request)
    }

    fn beyond(&self, op: Op) -> Option<Request> {
        let reason = "test".to_owned();
        Some(match op {
            Op::Extend { pick, ttl } => {
                let ttl = TimeDelta::seconds(ttl);
                Command::Extend { id: self.reservation(pick)?.0, ttl }.into()
            }
            Op::Schedule { key, amount, months, price } => {
                let grants = (0..months).map(|month| {
                    let at = t(self.seconds + month * DAY);
                    let grant = Grant::new(format!("d{key}-{month}"), amount).from(at);
                    grant.paid_with(format!("in{key}"), price).until(t(self.seconds + 40 * DAY))
                });
                Command::Schedule(grants.collect()).into()
            }
            Op::Withdraw { pick } => {
                let all = &self.bench.ledger.account(&self.bench.key)?.scheduled;
                let key = all.keys().nth(pick.checked_rem(all.len())?)?;
                Command::Withdraw(vec![key.clone()]).into()
            }
            Op::End { pick } => Command::End { lot: self.lot(pick)?, reason }.into(),
            Op::Forgive { key, amount } => {
                Command::Forgive { key: format!("f{key}"), amount, reason }.into()
            }
            Op::Adjust { key, amount } => {
                Command::Adjust { key: format!("a{key}"), amount, reason }.into()
            }
            Op::Reverse { pick } => {
                let spends: Vec<_> = self
                    .bench
                    .entries()
                    .iter()
                    .filter(|entry| entry.kind == EntryKind::Spend)
                    .collect();
                let entry = *spends.get(pick.checked_rem(spends.len())?)?;
                Command::Reverse { entry: Box::new(entry.clone()), reason }.into()
            }
            Op::Overdraft { limit } => Command::SetOverdraft { limit }.into(),
            Op::Limit { max } => set_limit(max).into(),
            Op::Upgrade { key, allowance } => {
                let grant = Grant::new(format!("u{key}"), 0).of_kind(LotKind::Upgrade);
                let part = |allowance, days| Segment { allowance, seconds: days * DAY };
                let segments = vec![part(allowance / 4, 10), part(allowance, 20)];
                Command::Upgrade { grant: grant.in_period("p"), segments }.into()
            }
            Op::Waiting { key, amount, ahead } => {
                let grant = Grant::new(format!("w{key}"), amount).from(t(self.seconds + ahead));
                Command::Grant(grant).into()
            }
            _ => return None,
        })
    }

    /// Sweeps, does the operation, and checks every invariant.
    pub(crate) fn step(&mut self, (gap, op): Step) -> Option<(Request, Result<Answer, Refusal>)> {
        self.seconds += gap;
        self.bench.at(self.seconds).sweep();
        let request = self.request(op)?;
        let answer = self.bench.run(request.clone());
        if let Ok(Answer { reply: Reply::Renewed { lot, .. }, .. }) = answer {
            self.renewed = Some(lot);
        }
        Some((request, answer))
    }
}

fn member_if(member: bool, command: Command) -> Request {
    let request = Request::from(command);
    if member { request.by("m1") } else { request }
}

/// The limit of member m1, over all of a stream.
pub(crate) fn set_limit(max: i64) -> Command {
    let window = Window::Period { starts_at: t(0) };
    Command::SetLimit { member: "m1".to_owned(), feature: None, window, max }
}
