use serde_json::Value;

use super::{StripeError, json};

/// Lists the payments that tie invoices to payment intents, newest first.
///
/// Since basil neither a payment intent nor an invoice names the other. Stripe does not find
/// invoice payments by a charge: ask by the charge's payment intent.
///
/// ```
/// use stripe_billing_core::stripe::ListInvoicePayments;
///
/// let request = ListInvoicePayments::for_payment_intent("pi_1");
/// assert_eq!(request.payment_intent.as_deref(), Some("pi_1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListInvoicePayments {
    /// Only those of this invoice.
    pub invoice: Option<String>,
    /// Only those made by this payment intent.
    pub payment_intent: Option<String>,
    /// Page size, 1 to 100 (Stripe's default is 10).
    pub limit: Option<u8>,
    /// Continue after this invoice payment.
    pub starting_after: Option<String>,
}

impl ListInvoicePayments {
    /// The payments of an invoice.
    pub fn for_invoice(id: impl Into<String>) -> Self {
        Self { invoice: Some(id.into()), payment_intent: None, limit: None, starting_after: None }
    }

    /// What a payment intent pays.
    pub fn for_payment_intent(id: impl Into<String>) -> Self {
        Self { invoice: None, payment_intent: Some(id.into()), limit: None, starting_after: None }
    }

    /// Sets the page size, 1 to 100.
    #[must_use]
    pub fn with_limit(mut self, limit: u8) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Continues after the last invoice payment of the page before.
    #[must_use]
    pub fn with_starting_after(mut self, id: impl Into<String>) -> Self {
        self.starting_after = Some(id.into());
        self
    }
}

/// A payment of an invoice, as Stripe answers it
/// (<https://docs.stripe.com/api/invoice-payment/object>).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InvoicePayment {
    /// `inpay_…`
    pub id: String,
    /// The invoice paid.
    pub invoice: Option<String>,
    /// The payment intent that pays it.
    pub payment_intent: Option<String>,
    /// The charge that pays it, where there is no payment intent.
    pub charge: Option<String>,
    /// `open`, `paid` or `canceled`; new words appear without notice.
    pub status: Option<String>,
    /// The answer as it came.
    pub raw: Value,
}

impl TryFrom<Value> for InvoicePayment {
    type Error = StripeError;

    /// Reads an invoice payment; only the id is required.
    fn try_from(raw: Value) -> Result<Self, StripeError> {
        let payment = |field| json::id(raw.get("payment")?, field);
        Ok(Self {
            id: json::required(&raw, "invoice payment", "id")?,
            invoice: json::id(&raw, "invoice"),
            payment_intent: payment("payment_intent"),
            charge: payment("charge"),
            status: json::text(&raw, "status"),
            raw,
        })
    }
}
