//! The credit ledger, as the app and its operators ask for it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use super::{Billing, Report, observe};
use crate::error::StoreError;
use crate::keys::AccountKey;
use crate::ledger::{
    Account, Answer, BalanceView, Command, CreditsView, Entry, LedgerKey, Refusal, Request, Scope,
    verify,
};
use crate::store::{EntryQuery, LedgerTerms, Usage, UsageQuery};

/// How many entries of an account are read at once to be verified.
const PAGE: u32 = 5_000;
/// How many accounts are swept at once.
const SWEPT: u32 = 100;
/// Accounts that are swept at the same time: a store may write them together.
const SWEEPERS: usize = 16;

/// The proof of a ledger: every balance recomputed from its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LedgerProof {
    /// Whether nothing disagrees.
    pub ok: bool,
    /// How many accounts were checked.
    pub accounts: u64,
    /// How many entries.
    pub entries: u64,
    /// What disagrees.
    pub violations: Vec<LedgerViolation>,
}

/// A number of the ledger that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LedgerViolation {
    /// The app's account.
    pub account: String,
    /// The connected account it lives in; `null` is the platform's own.
    pub stripe_account: Option<String>,
    /// Live mode or test mode.
    pub livemode: bool,
    /// The unit of credit.
    pub unit: String,
    /// The invariant that is broken.
    pub invariant: String,
    /// Where: an entry, lot, reservation, source or member.
    pub place: String,
    /// The number that should be there.
    pub expected: i64,
    /// The number that is.
    pub found: i64,
}

impl Billing {
    /// The balances of an account, by unit; every unit that the catalog sells is among them.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn credits(
        &self,
        account: impl Into<AccountKey>,
    ) -> Result<BTreeMap<String, BalanceView>, StoreError> {
        let (owner, now) = (account.into(), self.inner.clock.now());
        let mode = self.ledger_mode(&owner).await?;
        let mut balances = BTreeMap::new();
        for unit in self.inner.catalog.units() {
            let key = LedgerKey::new(owner.clone(), unit.as_str()).in_mode(mode);
            let account = self.inner.store.account(&key, Scope::Open).await?;
            let policy = self.inner.catalog.ledger_policy_of(&unit);
            let account = account.unwrap_or_else(|| Account::new(key));
            balances.insert(unit, BalanceView::read(&account, now, &policy));
        }
        Ok(balances)
    }

    /// A page of an account's history in a unit, newest first: entries before a number, or the newest.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn credit_history(
        &self,
        account: impl Into<AccountKey>,
        unit: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let owner = account.into();
        let mode = self.ledger_mode(&owner).await?;
        let key = LedgerKey::new(owner, unit).in_mode(mode);
        let query = EntryQuery::before(key, before.unwrap_or(i64::MAX), limit);
        self.inner.store.entries(&query).await
    }

    /// What was used of a unit by day, feature and member, up to the last roll-up by a worker.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn credit_usage(&self, query: &UsageQuery) -> Result<Vec<Usage>, StoreError> {
        self.inner.store.usage(query).await
    }

    /// Does any operation of the ledger, under the catalog's rules: what operators and importers use.
    ///
    /// # Errors
    /// The operation is refused, or the store cannot be reached.
    pub async fn ledger_execute(
        &self,
        key: &LedgerKey,
        request: impl Into<Request>,
    ) -> Result<Answer, CreditError> {
        let policy = self.inner.catalog.ledger_policy_of(&key.unit.0);
        let terms = LedgerTerms { now: self.inner.clock.now(), policy };
        let answer = self.inner.store.execute(key, &request.into(), &terms).await?;
        let answer = answer.map_err(|refusal| {
            observe::denied(refusal.code());
            CreditError::Refused(refusal)
        })?;
        if !answer.replayed {
            #[cfg(feature = "tokio")]
            self.inner.signals.changed(&key.owner);
        }
        Ok(answer)
    }

    /// Recomputes every balance from its entries and reports each number that disagrees. Reads the
    /// whole ledger, an account at a time; `progress` hears of each.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn verify_ledger(
        &self,
        mut progress: impl FnMut(&LedgerKey) + Send,
    ) -> Result<LedgerProof, StoreError> {
        let mut proof = LedgerProof { ok: true, ..LedgerProof::default() };
        let mut last: Option<LedgerKey> = None;
        loop {
            let keys = self.inner.store.ledger_keys(last.as_ref(), PAGE).await?;
            let Some(end) = keys.last() else {
                observe::proved(proof.ok, proof.violations.len(), self.inner.clock.now());
                return Ok(proof);
            };
            last = Some(end.clone());
            for key in &keys {
                progress(key);
                self.verify_account(key, &mut proof).await?;
            }
        }
    }

    async fn verify_account(
        &self,
        key: &LedgerKey,
        proof: &mut LedgerProof,
    ) -> Result<(), StoreError> {
        let policy = self.inner.catalog.ledger_policy_of(&key.unit.0);
        let Some(account) = self.inner.store.account(key, Scope::All).await? else {
            return Ok(());
        };
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let seq = entries.last().map_or(0, |entry| entry.seq);
            let page = self.inner.store.entries(&EntryQuery::after(key.clone(), seq, PAGE)).await?;
            let done = page.is_empty();
            // What was written since the account was read belongs to the next proof.
            entries.extend(page.into_iter().filter(|entry| entry.seq <= account.balance.seq));
            if done || entries.last().is_none_or(|entry| entry.seq >= account.balance.seq) {
                break;
            }
        }
        proof.accounts += 1;
        proof.entries += u64::try_from(entries.len()).unwrap_or(u64::MAX);
        for broken in verify(&account, &entries, &policy) {
            proof.ok = false;
            proof.violations.push(LedgerViolation {
                account: key.owner.account.clone(),
                stripe_account: key.owner.stripe_account.clone(),
                livemode: key.livemode,
                unit: key.unit.0.clone(),
                invariant: format!("{:?}", broken.invariant),
                place: broken.place,
                expected: broken.expected,
                found: broken.found,
            });
        }
        Ok(())
    }

    /// What operators see of an owner's credits as of an instant, by unit.
    pub(super) async fn credits_view(
        &self,
        owner: Option<&AccountKey>,
        livemode: Option<bool>,
        at: DateTime<Utc>,
    ) -> Result<BTreeMap<String, CreditsView>, StoreError> {
        let units = self.inner.catalog.units();
        let mut views: BTreeMap<String, CreditsView> =
            units.into_iter().map(|unit| (unit, CreditsView::default())).collect();
        let Some(owner) = owner else { return Ok(views) };
        for account in self.inner.store.accounts_of(owner, livemode).await? {
            let policy = self.inner.catalog.ledger_policy_of(&account.key.unit.0);
            let view = CreditsView::read(&account, at, &policy);
            views.entry(account.key.unit.0).or_default().add(view);
        }
        Ok(views)
    }

    /// Books what came due in accounts that nobody uses, and keeps usage figures up to date.
    pub(super) async fn keep_ledger(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let due = self.inner.store.due(self.inner.clock.now(), SWEPT).await?;
        let sweeps = due.into_iter().map(async |key| {
            let swept = self.ledger_execute(&key, Command::Sweep).await;
            (key, swept)
        });
        let mut sweeps = stream::iter(sweeps).buffer_unordered(SWEEPERS);
        while let Some((key, swept)) = sweeps.next().await {
            match swept {
                Ok(_) => report.swept += 1,
                Err(CreditError::Store(error)) => return Err(error),
                Err(error) => tracing::error!(account = %key.owner, "it was not swept: {error}"),
            }
        }
        report.rolled_up = self.inner.store.roll_up(PAGE).await?;
        Ok(report)
    }

    /// In which mode an owner's credits are. Where both modes are applied, live credits count, if there
    /// are any.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn ledger_mode(&self, owner: &AccountKey) -> Result<bool, StoreError> {
        match self.inner.livemode {
            Some(mode) => Ok(mode),
            None => {
                // The first account from there on, if it is the owner's: a look at an index.
                let from = LedgerKey::new(owner.clone(), "");
                let next = self.inner.store.ledger_keys(Some(&from), 1).await?;
                Ok(next.first().is_some_and(|key| key.livemode && key.owner == *owner))
            }
        }
    }
}

/// Why credits were not spent, or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreditError {
    /// The ledger refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The account's state does not allow it: a bill stands open beyond its grace, or a payment is
    /// disputed.
    #[error("the account may not use credits now")]
    NotAllowed,
    /// The catalog knows several units, or none, and it was not said which.
    #[error("say which unit of credit: there are {units:?}")]
    Unit {
        /// Those that there are.
        units: Vec<String>,
    },
    /// Work under this key is done, and paid for.
    #[error("work under the key {key:?} is done already")]
    Done {
        /// The key.
        key: String,
    },
    /// Work under this key is under way, or its process died a moment ago.
    #[error("work under the key {key:?} is under way")]
    UnderWay {
        /// The key.
        key: String,
    },
    /// The store failed.
    #[error("the credit ledger cannot be reached")]
    Store(#[from] StoreError),
}

impl CreditError {
    /// The HTTP status to answer with: 402 where credits are missing, 403 where they may not be used,
    /// 409 where a key was used, 422 where the request is wrong, 503 where a retry may help.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.http_status(),
            Self::NotAllowed => 403,
            Self::Done { .. } | Self::UnderWay { .. } => 409,
            Self::Unit { .. } => 422,
            Self::Store(_) => 503,
        }
    }

    /// A stable code for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::NotAllowed => "credits_not_allowed",
            Self::Done { .. } => "work_done",
            Self::UnderWay { .. } => "work_under_way",
            Self::Unit { .. } => "unit_missing",
            Self::Store(_) => "store_unavailable",
        }
    }

    /// Whether the same request may succeed a moment later, without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::UnderWay { .. } | Self::Refused(Refusal::StandingChanged) => true,
            _ => false,
        }
    }
}
