//! The ledger against what it was made from: what was paid and what went back, as we know it and as
//! Stripe knows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::Billing;
use crate::decide::{Terms, owed};
use crate::error::StoreError;
use crate::ledger::{Account, Command, LedgerKey, LotKind, MoneyBackStatus, Scope, Source};
use crate::state::Subject;
use crate::store::Records;
use crate::stripe::objects::{Charge, CheckoutSession, Invoice, InvoiceStatus, PaymentIntent};
use crate::stripe::{Resource, StripeApi, StripeError, StripeErrorKind};

/// Accounts read at once.
const PAGE: u32 = 500;

/// What a reconciliation found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reconciliation {
    /// Whether nothing differs.
    pub ok: bool,
    /// How many accounts were looked at.
    pub accounts: u64,
    /// How many payments behind credits.
    pub sources: u64,
    /// How many of them Stripe was asked about; 0 without a client.
    pub asked: u64,
    /// What differs.
    pub differences: Vec<LedgerDifference>,
}

/// A payment, or a grant, that the ledger has otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LedgerDifference {
    /// The app's account.
    pub account: String,
    /// Live mode or test mode.
    pub livemode: bool,
    /// The unit of credit.
    pub unit: String,
    /// The invoice or session, or the grant that is missing.
    pub about: String,
    /// What differs: `not_granted`, `not_paid` (a lot without a paid invoice or session), `paid`,
    /// `refunded` (minor units), `unknown_at_stripe`.
    pub what: String,
    /// What it should be.
    pub expected: i64,
    /// What it is.
    pub found: i64,
}

/// Why a reconciliation did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReconcileError {
    /// The store failed.
    #[error("the store cannot be reached")]
    Store(#[from] StoreError),
    /// Stripe failed.
    #[error("Stripe cannot be asked")]
    Stripe(#[from] StripeError),
}

impl Billing {
    /// Compares the ledger with what is known of payments, and, where a client is configured, with
    /// what Stripe says of each payment behind credits. Reads everything, an account at a time, and
    /// changes nothing; `progress` hears of each account.
    ///
    /// # Errors
    /// When the store or Stripe cannot be reached.
    pub async fn reconcile_ledger(
        &self,
        mut progress: impl FnMut(&LedgerKey) + Send,
    ) -> Result<Reconciliation, ReconcileError> {
        let mut found = Reconciliation::default();
        let mut last: Option<LedgerKey> = None;
        loop {
            let keys = self.inner.store.ledger_keys(last.as_ref(), PAGE).await?;
            let Some(end) = keys.last() else {
                found.ok = found.differences.is_empty();
                return Ok(found);
            };
            last = Some(end.clone());
            for key in &keys {
                progress(key);
                let Some(account) = self.inner.store.account(key, Scope::All).await? else {
                    continue;
                };
                found.accounts += 1;
                let subjects =
                    self.inner.store.subjects_of(&key.owner, Some(key.livemode), Records::All);
                self.with_records(&account, &subjects.await?, &mut found);
                self.with_stripe(&account, &mut found).await?;
            }
        }
    }

    /// Paid invoices and sessions without lots, and lots without them.
    fn with_records(&self, account: &Account, subjects: &[Subject], found: &mut Reconciliation) {
        let mut owed_keys = BTreeSet::new();
        for subject in subjects {
            let terms = Terms {
                catalog: &self.inner.catalog,
                now: self.inner.clock.now(),
                event: "",
                shadow: false,
            };
            let own = owed(subject, &terms).into_iter().filter(|it| it.key == account.key);
            owed_keys.extend(own.filter_map(|posting| match posting.request.command {
                Command::Grant(grant) | Command::Allow { grant, .. } => {
                    Some((grant.key, grant.amount))
                }
                _ => None,
            }));
        }
        let has = |key: &String| account.lots.values().any(|lot| lot.grant_key == *key);
        for (key, amount) in owed_keys.iter().filter(|(key, _)| !has(key)) {
            found.add(&account.key, key, "not_granted", *amount, 0);
        }
        let paid: BTreeSet<&str> = subjects.iter().flat_map(paid_things).collect();
        let funded = account.lots.values().filter(|lot| lot.kind != LotKind::Restore);
        for lot in funded {
            let Some(source) = lot.source.as_deref().filter(|source| !paid.contains(source)) else {
                continue;
            };
            found.add(&account.key, source, "not_paid", 0, lot.granted);
        }
    }

    /// What Stripe says of the payments behind an account's credits.
    async fn with_stripe(
        &self,
        account: &Account,
        found: &mut Reconciliation,
    ) -> Result<(), ReconcileError> {
        found.sources += u64::try_from(account.sources.len()).unwrap_or(0);
        let Some(stripe) = &self.inner.stripe else { return Ok(()) };
        let stripe: Arc<dyn StripeApi> = match &account.key.owner.stripe_account {
            Some(connected) => stripe.for_account(connected),
            None => Arc::clone(stripe),
        };
        for source in account.sources.values().filter(|source| source.entitled > 0) {
            let Some((paid, intent)) = paid_at_stripe(stripe.as_ref(), &source.id).await? else {
                found.add(
                    &account.key,
                    &source.id,
                    "unknown_at_stripe",
                    source.paid.unwrap_or(0),
                    0,
                );
                continue;
            };
            found.asked += 1;
            if paid != source.paid.unwrap_or(0) {
                found.add(&account.key, &source.id, "paid", paid, source.paid.unwrap_or(0));
            }
            let refunded = refunded_at_stripe(stripe.as_ref(), intent).await?;
            if refunded != refunded_here(source) {
                found.add(&account.key, &source.id, "refunded", refunded, refunded_here(source));
            }
        }
        Ok(())
    }
}

impl Reconciliation {
    fn add(&mut self, key: &LedgerKey, about: &str, what: &str, expected: i64, found: i64) {
        self.differences.push(LedgerDifference {
            account: key.owner.account.clone(),
            livemode: key.livemode,
            unit: key.unit.0.clone(),
            about: about.to_owned(),
            what: what.to_owned(),
            expected,
            found,
        });
    }
}

/// The invoices and sessions of a subject that are paid.
fn paid_things(subject: &Subject) -> impl Iterator<Item = &str> {
    let invoices = subject.invoices().filter_map(|record| record.latest());
    let invoices = invoices.filter(|view| view.status == InvoiceStatus::Paid);
    let sessions = subject.sessions().filter(|view| view.is_fulfilled());
    invoices.map(|view| view.id.as_str()).chain(sessions.map(|view| view.id.as_str()))
}

/// Refunds that were not undone, minor units.
fn refunded_here(source: &Source) -> i64 {
    let refunds = source.rows.values().filter(|row| {
        matches!(row.status, MoneyBackStatus::RefundPending | MoneyBackStatus::RefundSucceeded)
    });
    refunds.map(|row| row.amount).fold(0, i64::saturating_add)
}

/// What was paid, minor units, and the payment that paid it; `None` if Stripe knows no such thing.
async fn paid_at_stripe(
    stripe: &dyn StripeApi,
    id: &str,
) -> Result<Option<(i64, Option<String>)>, StripeError> {
    let resource =
        if id.starts_with("cs_") { Resource::CheckoutSession } else { Resource::Invoice };
    let object = match stripe.retrieve_object(resource, id).await {
        Ok(object) => object,
        Err(error) if *error.kind() == StripeErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(match resource {
        Resource::CheckoutSession => CheckoutSession::from_json(&object)
            .map(|view| (view.amount_total.unwrap_or(0), view.payment_intent)),
        _ => Invoice::from_json(&object)
            .map(|view| (view.amount_paid.unwrap_or(0), view.payment_intent)),
    })
}

async fn refunded_at_stripe(
    stripe: &dyn StripeApi,
    intent: Option<String>,
) -> Result<i64, StripeError> {
    let Some(intent) = intent else { return Ok(0) };
    let object = stripe.retrieve_object(Resource::PaymentIntent, &intent).await?;
    let charge = PaymentIntent::from_json(&object).and_then(|intent| intent.latest_charge);
    let Some(charge) = charge else { return Ok(0) };
    let object = stripe.retrieve_object(Resource::Charge, &charge).await?;
    Ok(Charge::from_json(&object).and_then(|charge| charge.amount_refunded).unwrap_or(0))
}
