//! The credit ledger. `stripe_billing_core` decides, here it is kept.
//!
//! Operations on one account take place one after the other: within a process because they queue
//! for it ([`desk`]), between processes because a write names the version that it was decided on
//! ([`mod@write`]), and where that is not enough because the account's row is locked first ([`held`]).

mod desk;
mod held;
mod load;
mod read;
mod rebuild;
mod row;
mod rows;
mod scribe;
mod state;
mod table;
mod usage;
mod write;

#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod crash_tests;
#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod plan_tests;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use stripe_billing_core::ledger::{
    Account, Answer, Entry, LedgerKey, Rebuild, Recounted, Refusal, Request, Scope,
};
use stripe_billing_core::store::{CreditLedger, EntryQuery, LedgerTerms, Usage, UsageQuery};
use stripe_billing_core::{AccountKey, StoreError};

pub(crate) use desk::Desks;
pub(crate) use held::post;
pub(crate) use load::{create_statement, lock_statement, statement as load_statement};
#[cfg(feature = "postgres")]
pub(crate) use write::postgres::{SHAPES, statement as write_statement};
pub(crate) use write::{HEAD, UNSCHEDULE};

use crate::store::SeaOrmStore;

#[async_trait]
impl CreditLedger for SeaOrmStore {
    async fn execute(
        &self,
        key: &LedgerKey,
        request: &Request,
        terms: &LedgerTerms,
    ) -> Result<Result<Answer, Refusal>, StoreError> {
        self.desks.execute(key, request, terms).await
    }

    async fn account(&self, key: &LedgerKey, scope: Scope) -> Result<Option<Account>, StoreError> {
        read::account(&self.db, key, scope).await
    }

    async fn accounts_of(
        &self,
        owner: &AccountKey,
        livemode: Option<bool>,
    ) -> Result<Vec<Account>, StoreError> {
        read::accounts_of(&self.db, owner, livemode).await
    }

    async fn entries(&self, query: &EntryQuery) -> Result<Vec<Entry>, StoreError> {
        read::entries(&self.db, query).await
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<LedgerKey>, StoreError> {
        read::due(&self.db, now, limit).await
    }

    async fn ledger_keys(
        &self,
        after: Option<&LedgerKey>,
        limit: u32,
    ) -> Result<Vec<LedgerKey>, StoreError> {
        read::keys(&self.db, after, limit).await
    }

    async fn roll_up(&self, limit: u32) -> Result<u64, StoreError> {
        usage::roll_up(&self.db, limit).await
    }

    async fn rebuild(
        &self,
        key: &LedgerKey,
        by: &Rebuild,
    ) -> Result<Result<Vec<Recounted>, Refusal>, StoreError> {
        let done = rebuild::rebuild(&self.db, key, by).await;
        self.desks.forget(std::iter::once(key));
        done
    }

    async fn rebuild_usage(&self, key: &LedgerKey) -> Result<(), StoreError> {
        usage::rebuild(&self.db, key).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<Usage>, StoreError> {
        usage::usage(&self.db, query).await
    }
}
