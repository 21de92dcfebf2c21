//! Operations on accounts that are held: locked, then read, then decided, then written.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use sea_orm::DatabaseTransaction;
use stripe_billing_core::ledger::{LedgerKey, Request, Scope};
use stripe_billing_core::store::{LedgerPosting, LedgerTerms};
use stripe_billing_core::{ErrorKind, StoreError};

use super::rows::Rows;
use super::state::{Decided, Work};
use super::{load, write};
use crate::classify::corrupt;
use crate::db::{self, Db};

#[derive(Debug, thiserror::Error)]
#[error("the account was read as it was before it was locked")]
struct Outdated;

/// Locks an account and reads what the requests need of it.
async fn hold(
    db: &Db,
    tx: &DatabaseTransaction,
    key: &LedgerKey,
    requests: &[&Request],
) -> Result<Work, StoreError> {
    let id = load::lock(db, tx, key).await?;
    let whole = requests.iter().any(|request| request.scope() == Scope::All);
    let scope = if whole { Scope::All } else { Scope::Open };
    let named: BTreeSet<&str> = requests.iter().filter_map(|one| one.reservation()).collect();
    let state = load::account(db, tx, key, scope, &named).await?;
    let mut work =
        Work::on(state.ok_or_else(|| corrupt("the account that is locked is not there"))?);
    let keys: BTreeSet<String> =
        requests.iter().filter_map(|request| request.command.key()).collect();
    work.known = load::replies(db, tx, id, &keys).await?;
    for standing in requests.iter().filter_map(|request| request.standing) {
        if let Entry::Vacant(place) = work.versions.entry(standing.livemode) {
            place.insert(load::version_of(db, tx, &key.owner, standing.livemode).await?);
        }
    }
    Ok(work)
}

/// Does some operations on one account. They are written once the transaction is committed.
pub(crate) async fn operate(
    db: &Db,
    tx: &DatabaseTransaction,
    key: &LedgerKey,
    operations: &[(Request, LedgerTerms)],
) -> Result<(Vec<Decided>, Work), StoreError> {
    let requests: Vec<&Request> = operations.iter().map(|(request, _)| request).collect();
    let mut work = hold(db, tx, key, &requests).await?;
    let decided = operations.iter().map(|(request, terms)| work.decide(request, terms)).collect();
    finish(db, tx, &work).await?;
    Ok((decided, work))
}

async fn finish(db: &Db, tx: &DatabaseTransaction, work: &Work) -> Result<(), StoreError> {
    if work.is_changed && !write::write(db, tx, Rows::of(work)?).await? {
        // The transaction reads from a snapshot that is older than the lock: on a connection of the
        // app's own that repeats its reads.
        return Err(StoreError::new(ErrorKind::Conflict, Outdated));
    }
    Ok(())
}

/// Does what follows from an event, in its transaction. What is refused is passed over.
pub(crate) async fn post(
    db: &Db,
    tx: &DatabaseTransaction,
    postings: &[LedgerPosting],
    terms: &LedgerTerms,
) -> Result<(), StoreError> {
    let terms = LedgerTerms { now: db::from_micros(db::micros(terms.now))?, ..*terms };
    // In the order of their keys, so that commits do not wait for each other in a circle.
    let mut by_account: BTreeMap<&LedgerKey, Vec<&Request>> = BTreeMap::new();
    for LedgerPosting { key, request } in postings {
        by_account.entry(key).or_default().push(request);
    }
    let mut held = BTreeMap::new();
    for (key, requests) in by_account {
        held.insert(key, hold(db, tx, key, &requests).await?);
    }
    for LedgerPosting { key, request } in postings {
        let Some(work) = held.get_mut(key) else { continue };
        if let Decided::Refused(refusal) = work.decide(request, &terms) {
            tracing::warn!(account = %key.owner, "a posting is skipped: {refusal}");
        }
    }
    for work in held.values() {
        finish(db, tx, work).await?;
    }
    Ok(())
}
