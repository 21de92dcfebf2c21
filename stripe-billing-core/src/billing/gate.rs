//! The rules against fraud, asked before a checkout is opened and when an event is decided that they
//! may count.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::{Billing, SellError, observe};
use crate::catalog::Fraud;
use crate::changes::{Changes, Effects};
use crate::error::StoreError;
use crate::fraud::{self, History, Occasion, Verdict};
use crate::keys::{AccountKey, SubjectKey, Tenant};
use crate::notice::credits_subject_id;
use crate::state::{Family, Subject};
use crate::store::Records;
use crate::stripe::StripeApi;

impl Billing {
    /// Asks the rules against fraud whether a checkout may be opened. Without any nothing is read.
    pub(super) async fn judge(
        &self,
        account: &AccountKey,
        stripe: &dyn StripeApi,
    ) -> Result<(), SellError> {
        if !self.has_fraud_rules() {
            return Ok(());
        }
        let mode = self.selling_mode(stripe);
        let subjects = self.inner.store.subjects_of(account, mode, Records::All).await?;
        let now = self.inner.clock.now();
        let verdicts = self.verdicts(&History::new(&subjects, now));
        let Some(strictest) = verdicts.last().copied() else { return Ok(()) };
        let livemode = mode == Some(true);
        let tenant = Tenant { stripe_account: account.stripe_account.clone(), livemode };
        let occasion = Occasion::Checkout;
        let effects = self.told(&tenant, &account.account, &verdicts, occasion).await?;
        if !effects.is_empty() {
            let subject = SubjectKey { tenant, id: credits_subject_id(account) };
            let effects = Effects { shadow: self.inner.shadow, ..effects };
            self.inner.store.record_effects(&subject, &effects, now).await?;
        }
        if let Verdict::Deny(rule) = strictest { Err(SellError::Denied(rule)) } else { Ok(()) }
    }

    /// Adds to a decision what the rules against fraud say of the account with the decision applied.
    /// Nothing is read without rules, or where the event cannot have changed what they count. Of two
    /// subjects of one account that are decided on at one moment neither sees the other; the next
    /// event, and the next checkout, see both.
    pub(super) async fn judge_event(
        &self,
        event_type: &str,
        event: &str,
        family: &Family,
        changes: &mut Changes,
    ) -> Result<(), StoreError> {
        if !self.is_judged(event_type, family, changes) {
            return Ok(());
        }
        let Some(account) = changes.account.clone() else { return Ok(()) };
        let tenant = changes.subject.tenant.clone();
        let subjects = self.with_own(&account, &changes.subject).await?;
        let subjects = fraud::applied(subjects, changes);
        let history = History::new(&subjects, changes.now);
        // The state must not be lost over a rule.
        let judged = catch_unwind(AssertUnwindSafe(|| self.verdicts(&history)));
        let Ok(verdicts) = judged else {
            tracing::error!(account, "a rule against fraud panicked; the event goes on without it");
            return Ok(());
        };
        let effects = self.told(&tenant, &account, &verdicts, Occasion::Event(event)).await?;
        changes.effects.outbox.extend(effects.outbox);
        changes.effects.tickets.extend(effects.tickets);
        changes.effects.audit.extend(effects.audit);
        Ok(())
    }

    /// Whether the rules against fraud have a say in a decision.
    pub(super) fn is_judged(&self, event_type: &str, family: &Family, changes: &Changes) -> bool {
        self.has_fraud_rules() && fraud::concerns(event_type, family, changes)
    }

    fn has_fraud_rules(&self) -> bool {
        self.inner.catalog.policy().fraud == Fraud::Standard || !self.inner.fraud.is_empty()
    }

    fn verdicts(&self, history: &History<'_>) -> Vec<Verdict> {
        let standard = self.inner.catalog.policy().fraud == Fraud::Standard;
        fraud::verdicts(&self.inner.fraud, standard, history)
    }

    /// All that is known of an account's subjects, one of them perhaps not linked before.
    async fn with_own(&self, account: &str, own: &SubjectKey) -> Result<Vec<Subject>, StoreError> {
        let Tenant { stripe_account, livemode } = own.tenant.clone();
        let key = AccountKey { stripe_account, account: account.to_owned() };
        let store = &self.inner.store;
        let mut subjects = store.subjects_of(&key, Some(livemode), Records::All).await?;
        if !subjects.iter().any(|subject| subject.key == *own) {
            subjects.extend(store.subject(own).await?);
        }
        Ok(subjects)
    }

    /// What follows from verdicts: tickets, lines of the audit log, and what the app is told.
    async fn told(
        &self,
        tenant: &Tenant,
        account: &str,
        verdicts: &[Verdict],
        occasion: Occasion<'_>,
    ) -> Result<Effects, StoreError> {
        let now = self.inner.clock.now();
        let mut effects = Effects::default();
        for verdict in verdicts {
            let Some(rule) = verdict.rule() else { continue };
            let word = if matches!(verdict, Verdict::Deny(_)) { "deny" } else { "review" };
            observe::judged(word, rule);
            let ticket = self.inner.store.ticket(tenant, &fraud::key(account, rule)).await?;
            if let Some(told) = fraud::told(account, *verdict, occasion, ticket.as_ref(), now) {
                tracing::warn!(account, rule, verdict = word, "an account is suspicious");
                effects.outbox.extend(told.outbox);
                effects.tickets.extend(told.tickets);
                effects.audit.extend(told.audit);
            }
        }
        if !effects.is_empty() {
            self.inner.has_tickets.store(true, Ordering::Relaxed);
        }
        Ok(effects)
    }
}
