//! The facts that billing tells the app: to the log, and the latest of them to the page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stripe_billing_core::{DomainEvent, LogNotifier, Notification, Notifier, NotifyError};

/// How many are kept for the page.
const KEPT: usize = 200;

/// A notifier that remembers. A real app would send mail, or call its own handlers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    latest: Arc<Mutex<VecDeque<Notification>>>,
}

impl Facts {
    /// What an account was told, the newest first, in words.
    pub(crate) fn of(&self, account: &str, limit: usize) -> Vec<String> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let own = latest.iter().rev().filter(|fact| fact.account == account);
        own.take(limit).map(|fact| words(&fact.event)).collect()
    }
}

#[async_trait]
impl Notifier for Facts {
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        LogNotifier.notify(notification).await?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        // Told at least once: a second time is nothing new.
        if latest.iter().all(|fact| fact.key != notification.key) {
            latest.push_back(notification.clone());
            if latest.len() > KEPT {
                latest.pop_front();
            }
        }
        Ok(())
    }
}

fn words(event: &DomainEvent) -> String {
    match event {
        DomainEvent::SubscriptionStarted { .. } => "Subscription started".to_owned(),
        DomainEvent::SubscriptionEnded { .. } => "Subscription ended".to_owned(),
        DomainEvent::SubscriptionExpired { .. } => "First payment never came".to_owned(),
        DomainEvent::InvoicePaid { total, currency, .. } => match (total, currency) {
            (Some(total), Some(currency)) => {
                format!("Invoice paid: {}", crate::money::money(*total, currency))
            }
            _ => "Invoice paid".to_owned(),
        },
        DomainEvent::InvoiceVoided { .. } => "Invoice voided".to_owned(),
        DomainEvent::PaymentFailed { attempt, .. } => format!("Payment failed, attempt {attempt}"),
        DomainEvent::CheckoutFulfilled { .. } => "Checkout fulfilled".to_owned(),
        _ => "Something new happened".to_owned(),
    }
}
