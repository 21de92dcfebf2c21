//! The one entrance to the rules.

use chrono::{DateTime, Utc};

use super::account::{Account, Balance};
use super::command::{Command, Request};
use super::lot::LotKind;
use super::outcome::{KeyedReply, Outcome, Reply};
use super::policy::LedgerPolicy;
use super::posting::Posting;
use super::refusal::Refusal;
use crate::changes::AuditEntry;
use crate::notice::{credits_expiring, credits_low, credits_subject};
use crate::state::{ObjectKind, ObjectRef};

/// What an operation changes in an account and answers, or why it is refused. Pure: `now` is the
/// clock of the database, and what came due by it is booked first.
///
/// Whether the operation was done before is the caller's to look up, by [`Command::key`]; see
/// [`replay()`].
///
/// # Errors
///
/// The operation is refused, and nothing may be written.
pub fn decide(
    account: &Account,
    request: &Request,
    now: DateTime<Utc>,
    policy: &LedgerPolicy,
) -> Result<Outcome, Refusal> {
    let mut posting = Posting::new(account, request, now, policy);
    posting.sweep();
    let before = posting.level();
    let reply = run(&mut posting, &request.command)?;
    let crossed = posting.cross(before);
    let Posting { account: after, entries, running_out, .. } = posting;
    let mut outcome = Outcome::between(account, after, entries, reply);
    let low = crossed.and_then(|level| credits_low(&account.key, level, outcome.balance.epoch));
    let expiring =
        running_out.iter().map(|(lot, days)| credits_expiring(&account.key, *lot, *days));
    outcome.notices = low.into_iter().chain(expiring).collect();
    outcome.audit = audit(account, &outcome, request);
    let nothing_yet = matches!(outcome.reply, Reply::Granted { lot: None });
    // An upgrade that adds nothing by what is known now may add something by what is known later.
    outcome.keyed = request.command.key().filter(|_| !nothing_yet).map(|key| {
        let own = outcome.entries.iter().find(|entry| entry.key.is_some());
        KeyedReply {
            key,
            request_hash: request.hash(),
            first_seq: own.map_or(outcome.balance.seq, |entry| entry.seq),
            reply: outcome.reply.clone(),
        }
    });
    Ok(outcome)
}

/// What an operator did, for the audit log: corrections, and whatever an operator asked for.
fn audit(before: &Account, outcome: &Outcome, request: &Request) -> Option<AuditEntry> {
    let (action, reason) = match &request.command {
        Command::Grant(grant) if grant.kind == LotKind::Manual => {
            ("credits.granted", grant.reason.as_deref())
        }
        Command::Adjust { reason, .. } => ("credits.adjusted", Some(reason.as_str())),
        Command::Forgive { reason, .. } => ("credits.forgiven", Some(reason.as_str())),
        Command::Reverse { reason, .. } => ("credits.reversed", Some(reason.as_str())),
        Command::End { reason, .. } => ("credits.ended", Some(reason.as_str())),
        Command::SetOverdraft { .. } => ("credits.overdraft", None),
        Command::SetLimit { .. } => ("credits.member_limit", None),
        _ => return None,
    };
    let actor = request.actor.as_deref().unwrap_or("app");
    Some(audit_line(before, outcome, actor, action, reason))
}

/// A line of the audit log about an account.
pub(super) fn audit_line(
    before: &Account,
    outcome: &Outcome,
    actor: &str,
    action: &str,
    reason: Option<&str>,
) -> AuditEntry {
    let balance =
        |balance: &Balance| format!("{} available, {} owed", balance.available, balance.debt);
    let subject = credits_subject(&before.key);
    AuditEntry {
        actor: actor.to_owned(),
        action: action.to_owned(),
        object: ObjectRef::new(
            ObjectKind::Credits,
            format!("{}:{}", subject.id, before.key.unit.0),
        ),
        before: Some(balance(&before.balance)),
        after: Some(balance(&outcome.balance)),
        reason: reason.map(str::to_owned),
    }
}

/// The answer to a request whose key was used before: the first reply, or a mismatch.
///
/// # Errors
///
/// [`Refusal::IdempotencyMismatch`] if the key was used for another request.
pub fn replay(stored: &KeyedReply, request: &Request) -> Result<Reply, Refusal> {
    match stored.request_hash == request.hash() {
        true => Ok(stored.reply.clone()),
        false => Err(Refusal::IdempotencyMismatch { first_seq: stored.first_seq }),
    }
}

fn run(posting: &mut Posting<'_>, command: &Command) -> Result<Reply, Refusal> {
    match command {
        Command::Grant(grant) => posting.grant(grant).map(|lot| Reply::Granted { lot: Some(lot) }),
        Command::Upgrade { grant, segments } => posting.upgrade(grant, segments),
        Command::Schedule(grants) => posting.schedule(grants),
        Command::Withdraw(keys) => Ok(posting.withdraw(keys)),
        Command::Renew { previous, grant, rollover, reason } => {
            posting.renew(*previous, grant, *rollover, reason)
        }
        Command::Allow { grant, rollover } => posting.allow(grant, *rollover),
        Command::EndSeries { series, at } => Ok(posting.end_series(series, *at)),
        Command::End { lot, reason } => Ok(Reply::Amount { amount: posting.end_lot(*lot, reason) }),
        Command::Spend { amount, .. } => posting.spend(*amount),
        Command::Reserve { id, amount, ttl } => posting.reserve(id, *amount, *ttl),
        Command::Capture { id, amount } => posting.capture(id, *amount),
        Command::Release { id } => posting.release(id),
        Command::Extend { id, ttl } => posting.extend(id, *ttl),
        Command::Sweep => Ok(Reply::Done),
        Command::MoneyBack { source, id, amount, status } => {
            posting.money_back(source, id, *amount, *status)
        }
        Command::Returns { source, rows } => posting.returns(source, rows),
        Command::Forgive { amount, reason, .. } => posting.forgive(*amount, reason),
        Command::Adjust { key, amount, reason } => posting.adjust(key, *amount, reason),
        Command::Reverse { entry, reason } => posting.reverse(entry, reason),
        Command::SetOverdraft { limit } => posting.set_overdraft(*limit),
        Command::SetLimit { member, feature, window, max } => {
            posting.set_limit(member, feature.as_deref(), *window, *max)
        }
    }
}
