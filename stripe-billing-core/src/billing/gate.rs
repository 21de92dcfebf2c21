//! The rules against fraud, asked before a checkout is opened.

use std::sync::atomic::Ordering;

use super::{Billing, SellError, observe};
use crate::catalog::Fraud;
use crate::changes::Effects;
use crate::error::StoreError;
use crate::fraud::{self, FraudRule, History, StandardRules, Verdict};
use crate::keys::{AccountKey, SubjectKey, Tenant};
use crate::notice::credits_subject_id;
use crate::store::Records;
use crate::stripe::StripeApi;

impl Billing {
    /// Asks the rules against fraud. Without any nothing is read.
    pub(super) async fn judge(
        &self,
        account: &AccountKey,
        stripe: &dyn StripeApi,
    ) -> Result<(), SellError> {
        let standard = self.inner.catalog.policy().fraud == Fraud::Standard;
        if !standard && self.inner.fraud.is_empty() {
            return Ok(());
        }
        let mode = self.selling_mode(stripe);
        let subjects = self.inner.store.subjects_of(account, mode, Records::All).await?;
        let history = History::new(&subjects, self.inner.clock.now());
        let own = self.inner.fraud.iter().map(|rule| rule.judge(&history));
        let standard = standard.then(|| StandardRules::default().judge(&history));
        let verdict = own.chain(standard).max().unwrap_or(Verdict::Allow);
        let (word, rule) = match verdict {
            Verdict::Allow => return Ok(()),
            Verdict::Review(rule) => ("review", rule),
            Verdict::Deny(rule) => ("deny", rule),
        };
        observe::judged(word, rule);
        tracing::warn!(account = account.account, rule, verdict = word, "a checkout is suspicious");
        self.tell_verdict(account, mode == Some(true), verdict, rule).await?;
        if let Verdict::Deny(rule) = verdict { Err(SellError::Denied(rule)) } else { Ok(()) }
    }

    /// Opens a ticket about a verdict, with its line in the audit log.
    async fn tell_verdict(
        &self,
        account: &AccountKey,
        livemode: bool,
        verdict: Verdict,
        rule: &str,
    ) -> Result<(), StoreError> {
        let tenant = Tenant { stripe_account: account.stripe_account.clone(), livemode };
        let now = self.inner.clock.now();
        let key = fraud::key(&account.account, rule);
        let known = self.inner.store.known_failure(&tenant, &key, now).await?;
        let Some(effects) = fraud::told(&account.account, verdict, &known, now) else {
            return Ok(());
        };
        let subject = SubjectKey { tenant, id: credits_subject_id(account) };
        let effects = Effects { shadow: self.inner.shadow, ..effects };
        self.inner.has_tickets.store(true, Ordering::Relaxed);
        self.inner.store.record_effects(&subject, &effects, now).await
    }
}
