//! An account as it was read, and the work of several operations on it before it is written.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use stripe_billing_core::changes::{AuditEntry, OutboxEntry};
use stripe_billing_core::ledger::{
    Account, Answer, Command, Entry, KeyedReply, LedgerKey, LotId, Outcome, Refusal, Request,
    Standing, decide, replay,
};
use stripe_billing_core::store::LedgerTerms;

use super::row;

/// An account in a version.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The row's number.
    pub(crate) id: i64,
    /// Grows with every write; 0 is an account that nothing was ever done with.
    pub(crate) version: i64,
    pub(crate) account: Account,
}

/// Lots and holds that are kept with an account in memory at most.
const MAX_KEPT: usize = 4_096;

impl State {
    /// The account as the next operations need it: without what nothing can change by itself.
    /// `None` where that is too much to be kept.
    pub(crate) fn kept(mut self) -> Option<Self> {
        let account = &mut self.account;
        account.lots.retain(|_, lot| row::is_open(lot));
        account.reservations.retain(|_, one| row::is_held(one));
        account.freezes.retain(|_, freeze| freeze.open);
        let funding: BTreeSet<&str> = account
            .scheduled
            .values()
            .filter_map(|lot| lot.grant.funding.as_ref())
            .map(|funding| funding.source.as_str())
            .collect();
        account.sources.retain(|id, _| funding.contains(id.as_str()));
        let size = account.lots.len() + account.reservations.len() + account.scheduled.len();
        (size <= MAX_KEPT).then_some(self)
    }
}

/// Whether an operation is decided on an account as it was kept. Others may find that there is
/// nothing to do, or ask for a state of the owner, which only an account that is held can say.
pub(crate) fn is_frequent(request: &Request) -> bool {
    let is_frequent = matches!(
        request.command,
        Command::Spend { .. }
            | Command::Reserve { .. }
            | Command::Capture { .. }
            | Command::Release { .. }
            | Command::Extend { .. }
    );
    is_frequent && request.standing.is_none()
}

/// Operations that are decided one after the other on one account, and written together.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) state: State,
    /// Lots after this entry are new.
    pub(crate) from_seq: i64,
    /// Replies to keys that were used before.
    pub(crate) known: BTreeMap<String, KeyedReply>,
    /// How the owner's subjects are, of the modes that requests ask for.
    pub(crate) versions: BTreeMap<Option<bool>, i64>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) keyed: Vec<KeyedReply>,
    pub(crate) lots: BTreeSet<LotId>,
    pub(crate) reservations: BTreeSet<String>,
    pub(crate) freezes: BTreeSet<String>,
    pub(crate) sources: BTreeSet<String>,
    pub(crate) scheduled: BTreeSet<String>,
    pub(crate) limits: BTreeSet<stripe_billing_core::ledger::LimitKey>,
    pub(crate) notices: Vec<(OutboxEntry, DateTime<Utc>)>,
    pub(crate) audit: Vec<(AuditEntry, DateTime<Utc>)>,
    pub(crate) is_changed: bool,
}

/// What came of an operation.
#[derive(Clone, Debug)]
pub(crate) enum Decided {
    /// It changed the account.
    Done(Answer),
    /// There was nothing to do, by the account as it is here.
    Nothing(Answer),
    Refused(Refusal),
}

impl Decided {
    pub(crate) fn into_answer(self) -> Result<Answer, Refusal> {
        match self {
            Self::Done(answer) | Self::Nothing(answer) => Ok(answer),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

impl Work {
    pub(crate) fn on(state: State) -> Self {
        Self {
            from_seq: state.account.balance.seq,
            state,
            known: BTreeMap::new(),
            versions: BTreeMap::new(),
            entries: Vec::new(),
            keyed: Vec::new(),
            lots: BTreeSet::new(),
            reservations: BTreeSet::new(),
            freezes: BTreeSet::new(),
            sources: BTreeSet::new(),
            scheduled: BTreeSet::new(),
            limits: BTreeSet::new(),
            notices: Vec::new(),
            audit: Vec::new(),
            is_changed: false,
        }
    }

    pub(crate) fn key(&self) -> &LedgerKey {
        &self.state.account.key
    }

    /// Decides on the account as it is after the operations so far.
    pub(crate) fn decide(&mut self, request: &Request, terms: &LedgerTerms) -> Decided {
        let key = request.command.key();
        if let Some(stored) = key.as_ref().and_then(|key| self.known.get(key)) {
            return match replay(stored, request) {
                Ok(reply) => Decided::Nothing(Answer { reply, replayed: true }),
                Err(refusal) => Decided::Refused(refusal),
            };
        }
        let stands = |asked: Standing| self.versions.get(&asked.livemode) == Some(&asked.version);
        if request.standing.is_some_and(|asked| !stands(asked)) {
            return Decided::Refused(Refusal::StandingChanged);
        }
        match decide(&self.state.account, request, terms.now, &terms.policy) {
            Err(refusal) => Decided::Refused(refusal),
            Ok(outcome) => {
                let answer = Answer { reply: outcome.reply.clone(), replayed: false };
                match self.take(outcome, terms.now) {
                    true => Decided::Done(answer),
                    false => Decided::Nothing(answer),
                }
            }
        }
    }

    /// Adds what an operation changes; whether that is anything.
    pub(super) fn take(&mut self, outcome: Outcome, now: DateTime<Utc>) -> bool {
        let changes_balance = outcome.balance != self.state.account.balance;
        outcome.apply(&mut self.state.account);
        // Whole, so that a new kind of row does not compile until it is written here.
        let Outcome {
            expected_seq: _,
            balance: _,
            entries,
            lots,
            reservations,
            freezes,
            sources,
            scheduled,
            unscheduled,
            limits,
            notices,
            audit,
            keyed,
            reply: _,
        } = outcome;
        let changes = changes_balance
            || keyed.is_some()
            || audit.is_some()
            || !(entries.is_empty()
                && lots.is_empty()
                && reservations.is_empty()
                && freezes.is_empty()
                && sources.is_empty()
                && scheduled.is_empty()
                && unscheduled.is_empty()
                && limits.is_empty());
        self.is_changed |= changes;
        self.entries.extend(entries);
        self.lots.extend(lots.into_iter().map(|lot| lot.id));
        self.reservations.extend(reservations.into_iter().map(|one| one.id));
        self.freezes.extend(freezes.into_iter().map(|freeze| freeze.dispute));
        self.sources.extend(sources.into_iter().map(|source| source.id));
        self.scheduled.extend(scheduled.into_iter().map(|lot| lot.grant.key));
        self.scheduled.extend(unscheduled);
        self.limits.extend(limits.into_iter().map(|limit| limit.key));
        if let Some(keyed) = keyed {
            self.known.insert(keyed.key.clone(), keyed.clone());
            self.keyed.push(keyed);
        }
        self.audit.extend(audit.map(|entry| (entry, now)));
        self.notices.extend(notices.into_iter().map(|notice| (OutboxEntry::from(notice), now)));
        changes
    }

    /// The account once the work is written.
    pub(crate) fn written(self) -> State {
        let Self { mut state, is_changed, .. } = self;
        state.version += i64::from(is_changed);
        state
    }
}
