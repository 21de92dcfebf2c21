//! What a notice about credits says beside its kind: to whom, of which unit, and how many.

use super::Billing;
use crate::error::StoreError;
use crate::keys::AccountKey;
use crate::ledger::{Account, BalanceView, LedgerKey, Level, Scope};
use crate::notice::{CreditDetails, Notice, NoticeDetails, NoticeKind, Recipient, unit_of};
use crate::state::Subject;

impl Billing {
    /// Adds what is known of the credits of an account with these customers; `None` if the notice is
    /// true no more.
    pub(super) async fn with_credits(
        &self,
        notice: &Notice,
        owner: &AccountKey,
        mode: bool,
        customers: &[Subject],
        mut details: NoticeDetails,
    ) -> Result<Option<NoticeDetails>, StoreError> {
        if details.recipient.email.is_none() {
            // It is about the account, of which only its customers have an address.
            let mut known = customers.iter().map(Recipient::of).filter(|it| it.email.is_some());
            details.recipient = known.next().unwrap_or(details.recipient);
        }
        if notice.kind == NoticeKind::CreditsGranted {
            details.credits = self.granted(owner, mode, &notice.detail).await?;
            return Ok(Some(details));
        }
        let Some((unit, what)) = unit_of(notice, &owner.account) else { return Ok(Some(details)) };
        let key = LedgerKey::new(owner.clone(), unit).in_mode(mode);
        let known = self.inner.store.account(&key, Scope::Open).await?;
        let Some(known) = known else { return Ok(None) };
        let now = self.inner.clock.now();
        let mut amount = None;
        if notice.kind == NoticeKind::CreditsExpiring {
            let lot = known.lots.values().find(|lot| lot.id.to_string() == what);
            let Some(lot) = lot.filter(|lot| lot.remaining > 0 && !lot.is_over(now)) else {
                return Ok(None);
            };
            amount = Some(lot.remaining);
            details.at = lot.end().map(|end| end.timestamp());
        } else if known.balance.level == Level::Fine {
            return Ok(None);
        }
        details.credits = Some(self.counted(&known, amount));
        Ok(Some(details))
    }

    /// The credits of a grant; of several units the first.
    async fn granted(
        &self,
        owner: &AccountKey,
        mode: bool,
        grant: &str,
    ) -> Result<Option<CreditDetails>, StoreError> {
        // What was just granted is seldom used up, and then it is found by reading little.
        for scope in [Scope::Open, Scope::All] {
            for unit in self.inner.catalog.units() {
                let key = LedgerKey::new(owner.clone(), unit.as_str()).in_mode(mode);
                let Some(account) = self.inner.store.account(&key, scope).await? else { continue };
                if let Some(lot) = account.lots.values().find(|lot| lot.grant_key == grant) {
                    return Ok(Some(self.counted(&account, Some(lot.granted))));
                }
            }
        }
        Ok(None)
    }

    fn counted(&self, account: &Account, amount: Option<i64>) -> CreditDetails {
        let unit = account.key.unit.0.clone();
        let policy = self.inner.catalog.ledger_policy_of(&unit);
        let balance = BalanceView::read(account, self.inner.clock.now(), &policy);
        CreditDetails { unit, amount, available: Some(balance.available) }
    }
}
