//! What billing tells: facts to the app and notices to its customers, to the log, and the latest of
//! them to the page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::{
    DomainEvent, EventHandler, Fact, LogNotifier, Notification, Notified, Notifier, NotifyError,
};
use stripe_billing_hooks::Hooks;

use crate::money::money;

/// How many are kept for the page.
const KEPT: usize = 200;

/// A handler and a notifier that remember. A real app would act on facts, and mail notices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    latest: Arc<Mutex<VecDeque<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    key: String,
    account: String,
    line: Line,
}

/// What was told, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) words: String,
    /// Whether it is for the customer to read, and not for the app's code.
    pub(crate) is_notice: bool,
}

impl Told {
    /// What an account was told, the newest first.
    pub(crate) fn of(&self, account: &str, limit: usize) -> Vec<Line> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let own = latest.iter().rev().filter(|entry| entry.account == account);
        own.take(limit).map(|entry| entry.line.clone()).collect()
    }

    fn remember(&self, entry: Entry) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        // Told at least once: a second time is nothing new.
        if latest.iter().all(|known| known.key != entry.key) {
            latest.push_back(entry);
            if latest.len() > KEPT {
                latest.pop_front();
            }
        }
    }
}

#[async_trait]
impl EventHandler for Told {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        LogNotifier.handle(fact).await?;
        let line = Line { words: fact_in_words(&fact.event), is_notice: false };
        self.remember(Entry { key: fact.key.clone(), account: fact.account.clone(), line });
        Ok(())
    }
}

/// Remembers facts, and posts them where the configuration says so.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) told: Told,
    pub(crate) hooks: Option<Hooks>,
}

#[async_trait]
impl EventHandler for Facts {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        self.told.handle(fact).await?;
        match &self.hooks {
            Some(hooks) => hooks.handle(fact).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Notifier for Told {
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
        LogNotifier.notify(notification).await?;
        let kind = notification.notice.kind;
        // What is for operators is none of the visitor's business.
        if let Some(account) = notification.account.clone().filter(|_| !kind.is_internal()) {
            let line = Line { words: notice_in_words(kind).to_owned(), is_notice: true };
            self.remember(Entry { key: notification.key.clone(), account, line });
        }
        Ok(Notified::Told)
    }
}

fn fact_in_words(event: &DomainEvent) -> String {
    let sum = |amount: &Option<i64>, currency: &Option<String>| match (amount, currency) {
        (Some(amount), Some(currency)) => format!(": {}", money(*amount, currency)),
        _ => String::new(),
    };
    match event {
        DomainEvent::SubscriptionStarted { .. } => "Subscription started".to_owned(),
        DomainEvent::SubscriptionEnded { .. } => "Subscription ended".to_owned(),
        DomainEvent::SubscriptionExpired { .. } => "First payment never came".to_owned(),
        DomainEvent::InvoicePaid { total, currency, .. } => {
            format!("Invoice paid{}", sum(total, currency))
        }
        DomainEvent::InvoiceVoided { .. } => "Invoice voided".to_owned(),
        DomainEvent::InvoiceUncollectible { .. } => "Invoice given up".to_owned(),
        DomainEvent::PaymentFailed { attempt, .. } => format!("Payment failed, attempt {attempt}"),
        DomainEvent::PricesChanged { .. } => "Plan changed".to_owned(),
        DomainEvent::RefundSucceeded { amount, currency, .. } => {
            format!("Refunded{}", sum(amount, currency))
        }
        DomainEvent::RefundFailed { .. } => "Refund failed".to_owned(),
        DomainEvent::DisputeOpened { .. } => "Payment disputed".to_owned(),
        DomainEvent::DisputeWon { .. } => "Dispute won".to_owned(),
        DomainEvent::DisputeLost { .. } => "Dispute lost".to_owned(),
        DomainEvent::FraudWarned { .. } => "Warning of fraud".to_owned(),
        DomainEvent::FraudSuspected { denied: false, .. } => "Account to be looked at".to_owned(),
        DomainEvent::FraudSuspected { .. } => "Account may not buy".to_owned(),
        DomainEvent::CustomerDeleted { .. } => "Customer deleted".to_owned(),
        DomainEvent::CheckoutExpired { .. } => "Checkout expired".to_owned(),
        DomainEvent::CheckoutFulfilled { .. } => "Checkout fulfilled".to_owned(),
        other => other.kind().replace('_', " "),
    }
}

/// What the mail would be about.
fn notice_in_words(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Receipt => "Your receipt",
        NoticeKind::PaymentFailed => "Your payment failed",
        NoticeKind::PaymentReminder => "Your payment is still open",
        NoticeKind::PaymentFinalNotice => "Your access is about to end",
        NoticeKind::PaymentRecovered => "Your payment went through",
        NoticeKind::ActionRequired => "Please confirm your payment",
        NoticeKind::Refund => "Your refund",
        NoticeKind::DisputeOpened => "Your bank disputes a payment",
        NoticeKind::DisputeWon | NoticeKind::DisputeLost => "Your dispute is decided",
        NoticeKind::SubscriptionCanceled => "Your subscription has ended",
        NoticeKind::TrialEnding => "Your trial is about to end",
        NoticeKind::CardExpiring => "Your card is about to expire",
        NoticeKind::PlanChanged => "Your plan has changed",
        NoticeKind::CreditsGranted => "You received credits",
        NoticeKind::CreditsExpiring => "Paid credits are about to expire",
        NoticeKind::CreditsLow => "Your balance is running low",
        NoticeKind::RenewalUpcoming => "Your renewal is near",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_time_is_nothing_new_and_the_oldest_go() {
        let told = Told::default();
        let remember = |key: usize| {
            let line = Line { words: format!("line {key}"), is_notice: key.is_multiple_of(2) };
            told.remember(Entry { key: key.to_string(), account: "ada".to_owned(), line });
        };
        (0..=KEPT).for_each(remember);
        remember(KEPT);
        let lines = told.of("ada", usize::MAX);
        assert_eq!(lines.len(), KEPT);
        assert_eq!(lines[0].words, format!("line {KEPT}"));
        assert_eq!(lines[KEPT - 1].words, "line 1");
        assert_eq!(told.of("ada", 2).len(), 2);
        assert_eq!(told.of("ben", 2), []);
    }
}
