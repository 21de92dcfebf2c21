//! Sets an account to what its entries make of it.

use std::collections::BTreeSet;

use sea_orm::DatabaseTransaction;
use stripe_billing_core::ledger::{self, Entry, LedgerKey, Rebuild, Recounted, Refusal, Scope};
use stripe_billing_core::{ErrorKind, StoreError};

use super::rows::Rows;
use super::state::Work;
use super::{load, usage, write};
use crate::db::{self, Db};

/// Entries read at once.
const PAGE: u32 = 5_000;

type Done = Result<Vec<Recounted>, Refusal>;

#[derive(Debug, thiserror::Error)]
#[error("the account was read as it was before it was locked")]
struct Outdated;

pub(crate) async fn rebuild(db: &Db, key: &LedgerKey, by: &Rebuild) -> Result<Done, StoreError> {
    let by = Rebuild { now: db::from_micros(db::micros(by.now))?, ..by.clone() };
    let tx = db.begin().await?;
    let done = repair(db, &tx, key, &by).await;
    match &done {
        Ok(Ok(differences)) if !differences.is_empty() => db.commit(tx).await?,
        // Also of an account that is not there, and was made to be locked.
        _ => db::rollback(tx).await?,
    }
    done
}

/// Whoever writes to the account meanwhile waits, so that its entries and its rows are of one instant.
async fn repair(
    db: &Db,
    tx: &DatabaseTransaction,
    key: &LedgerKey,
    by: &Rebuild,
) -> Result<Done, StoreError> {
    let id = load::lock(db, tx, key).await?;
    let state = load::account(db, tx, key, Scope::All, &BTreeSet::new()).await?;
    let Some(state) = state.filter(|state| state.version > 0) else {
        return Ok(Err(Refusal::UnknownAccount));
    };
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let last = entries.last().map_or(0, |entry| entry.seq);
        let page = usage::entries(db, tx, id, last, PAGE).await?;
        if page.is_empty() {
            break;
        }
        entries.extend(page);
    }
    let account = &state.account;
    let differences = ledger::recount(account, &entries);
    match ledger::rebuild(account, &entries, by) {
        Err(refusal) => return Ok(Err(refusal)),
        Ok(None) => {}
        Ok(Some(outcome)) => {
            let mut work = Work::on(state);
            // Whatever the row says of the last entry, none of the lots is new.
            work.from_seq = i64::MAX;
            work.take(outcome, by.now);
            if !write::write(db, tx, Rows::of(&work)?).await? {
                return Err(StoreError::new(ErrorKind::Conflict, Outdated));
            }
        }
    }
    Ok(Ok(differences))
}
