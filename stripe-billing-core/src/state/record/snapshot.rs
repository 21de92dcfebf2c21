//! How snapshots of each kind of object compare inside one second.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::state::versions::Snapshot;
use crate::stripe::objects::{
    Charge, CheckoutPayment, CheckoutSession, CheckoutStatus, Customer, Dispute,
    EntitlementSummary, FraudWarning, Invoice, InvoiceStatus, PaymentIntent, PaymentIntentStatus,
    PaymentMethod, Refund, RefundStatus, Subscription, SubscriptionStatus,
};

impl Snapshot for Customer {
    fn is_terminal(&self) -> bool {
        self.deleted
    }

    fn progress(&self) -> i64 {
        0
    }
}

impl Snapshot for Subscription {
    fn is_terminal(&self) -> bool {
        self.status.is_terminal()
    }

    fn progress(&self) -> i64 {
        match self.status {
            SubscriptionStatus::Incomplete => 1,
            SubscriptionStatus::Trialing => 2,
            SubscriptionStatus::Active => 3,
            SubscriptionStatus::PastDue => 4,
            SubscriptionStatus::Unpaid => 5,
            SubscriptionStatus::Paused => 6,
            SubscriptionStatus::IncompleteExpired | SubscriptionStatus::Canceled => 7,
            SubscriptionStatus::Other(_) => 0,
        }
    }

    fn essence(&self) -> Cow<'_, Self> {
        Cow::Owned(Self { pause_reason: None, cancellation_reason: None, ..self.clone() })
    }
}

impl Snapshot for Invoice {
    fn is_terminal(&self) -> bool {
        self.status.is_terminal()
    }

    // Attempts only grow, so among open snapshots the one with more of them is the later.
    fn progress(&self) -> i64 {
        let attempts = self.attempt_count.clamp(0, 999);
        let open = matches!(self.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible);
        i64::from(self.status.progress()) * 1_000 + if open { attempts } else { 0 }
    }

    fn essence(&self) -> Cow<'_, Self> {
        Cow::Owned(Self {
            payment_intent: None,
            charge: None,
            payments: Vec::new(),
            discount_total: None,
            subscription_metadata: BTreeMap::new(),
            ..self.clone()
        })
    }
}

impl Snapshot for CheckoutSession {
    fn is_terminal(&self) -> bool {
        self.is_fulfilled() || self.status == Some(CheckoutStatus::Expired)
    }

    fn progress(&self) -> i64 {
        match (&self.status, &self.payment_status) {
            (Some(CheckoutStatus::Complete), Some(CheckoutPayment::Unpaid)) => 1,
            (Some(CheckoutStatus::Complete), _) => 2,
            _ => 0,
        }
    }
}

impl Snapshot for PaymentIntent {
    fn is_terminal(&self) -> bool {
        matches!(self.status, PaymentIntentStatus::Succeeded | PaymentIntentStatus::Canceled)
    }

    fn progress(&self) -> i64 {
        match self.status {
            PaymentIntentStatus::RequiresConfirmation => 1,
            PaymentIntentStatus::RequiresAction => 2,
            PaymentIntentStatus::RequiresPaymentMethod => 3,
            PaymentIntentStatus::Processing => 4,
            PaymentIntentStatus::RequiresCapture => 5,
            PaymentIntentStatus::Canceled => 6,
            PaymentIntentStatus::Succeeded => 7,
            PaymentIntentStatus::Other(_) => 0,
        }
    }

    fn essence(&self) -> Cow<'_, Self> {
        Cow::Owned(Self { invoice: None, ..self.clone() })
    }
}

impl Snapshot for Charge {
    fn is_terminal(&self) -> bool {
        false
    }

    // Money goes back more often than a refund fails.
    fn progress(&self) -> i64 {
        self.amount_refunded.unwrap_or(0).clamp(0, i64::MAX / 4) * 2 + i64::from(self.disputed)
    }

    fn essence(&self) -> Cow<'_, Self> {
        Cow::Owned(Self { invoice: None, refunds: Vec::new(), more_refunds: false, ..self.clone() })
    }
}

impl Snapshot for Refund {
    // A refund that succeeded can fail up to a month later; one that failed stays so.
    fn is_terminal(&self) -> bool {
        matches!(self.status, RefundStatus::Failed | RefundStatus::Canceled)
    }

    fn progress(&self) -> i64 {
        match self.status {
            RefundStatus::Pending => 1,
            RefundStatus::RequiresAction => 2,
            RefundStatus::Succeeded => 3,
            RefundStatus::Canceled => 4,
            RefundStatus::Failed => 5,
            RefundStatus::Other(_) => 0,
        }
    }

    fn essence(&self) -> Cow<'_, Self> {
        Cow::Owned(Self { customer: None, ..self.clone() })
    }
}

impl Snapshot for Dispute {
    // A dispute that is lost can be appealed, so that only time orders its states.
    fn is_terminal(&self) -> bool {
        false
    }

    fn progress(&self) -> i64 {
        i64::from(self.status.progress())
    }
}

impl Snapshot for FraudWarning {
    fn is_terminal(&self) -> bool {
        false
    }

    fn progress(&self) -> i64 {
        i64::from(!self.actionable)
    }
}

impl Snapshot for PaymentMethod {
    fn is_terminal(&self) -> bool {
        false
    }

    fn progress(&self) -> i64 {
        0
    }
}

impl Snapshot for EntitlementSummary {
    fn is_terminal(&self) -> bool {
        false
    }

    fn progress(&self) -> i64 {
        0
    }
}
