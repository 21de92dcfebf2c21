//! The one entrance to the rules.

use chrono::{DateTime, Utc};

use super::account::Account;
use super::command::{Command, Request};
use super::outcome::{KeyedReply, Outcome, Reply};
use super::policy::LedgerPolicy;
use super::posting::Posting;
use super::refusal::Refusal;

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
    let reply = run(&mut posting, &request.command)?;
    let Posting { account: after, entries, .. } = posting;
    let mut outcome = Outcome::between(account, after, entries, reply);
    outcome.keyed = request.command.key().map(|key| {
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
        Command::Forgive { amount, reason, .. } => posting.forgive(*amount, reason),
        Command::Adjust { key, amount, reason } => posting.adjust(key, *amount, reason),
        Command::Reverse { entry, reason } => posting.reverse(entry, reason),
        Command::SetOverdraft { limit } => posting.set_overdraft(*limit),
        Command::SetLimit { member, feature, window, max } => {
            posting.set_limit(member, feature.as_deref(), *window, *max)
        }
    }
}
