/// The kinds of object that [`StripeApi::retrieve_object`](super::StripeApi::retrieve_object)
/// reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// `/v1/customers`
    Customer,
    /// `/v1/subscriptions`
    Subscription,
    /// `/v1/invoices`
    Invoice,
    /// `/v1/checkout/sessions`
    CheckoutSession,
    /// `/v1/payment_intents`
    PaymentIntent,
    /// `/v1/charges`
    Charge,
    /// `/v1/refunds`
    Refund,
    /// `/v1/disputes`
    Dispute,
    /// `/v1/payment_methods`
    PaymentMethod,
    /// A payment of an invoice.
    InvoicePayment,
}

impl Resource {
    /// Where its objects are in the API, without a slash at the end.
    pub fn path(self) -> &'static str {
        match self {
            Self::Customer => "/v1/customers",
            Self::Subscription => "/v1/subscriptions",
            Self::Invoice => "/v1/invoices",
            Self::CheckoutSession => "/v1/checkout/sessions",
            Self::PaymentIntent => "/v1/payment_intents",
            Self::Charge => "/v1/charges",
            Self::Refund => "/v1/refunds",
            Self::Dispute => "/v1/disputes",
            Self::PaymentMethod => "/v1/payment_methods",
            Self::InvoicePayment => "/v1/invoice_payments",
        }
    }
}

/// Lists what belongs to one object, for what is beyond the first page that came with it.
///
/// ```
/// use stripe_billing_core::stripe::ListOf;
///
/// let request = ListOf::new("sub_1").with_starting_after("si_10").with_limit(100);
/// assert_eq!(request.owner, "sub_1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListOf {
    /// The id of the object that the list belongs to.
    pub owner: String,
    /// Page size, 1 to 100 (Stripe's default is 10).
    pub limit: Option<u8>,
    /// Continue after this entry.
    pub starting_after: Option<String>,
}

impl ListOf {
    /// All that belongs to the object with this id.
    pub fn new(owner: impl Into<String>) -> Self {
        Self { owner: owner.into(), limit: None, starting_after: None }
    }

    /// Sets the page size, 1 to 100.
    #[must_use]
    pub fn with_limit(mut self, limit: u8) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Continues after the last entry of the page before.
    #[must_use]
    pub fn with_starting_after(mut self, id: impl Into<String>) -> Self {
        self.starting_after = Some(id.into());
        self
    }
}
