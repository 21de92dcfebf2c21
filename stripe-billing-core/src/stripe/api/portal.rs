use serde_json::Value;

use super::{StripeError, json};

/// Opens Stripe's customer portal for a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreatePortalSession {
    /// Whose portal.
    pub customer: String,
    /// Where the link back to the app leads.
    pub return_url: Option<String>,
    /// A portal configuration other than the account's default one.
    pub configuration: Option<String>,
    /// The portal's language, such as `de`; Stripe takes the browser's without it.
    pub locale: Option<String>,
    /// Further parameters, under their names on the wire.
    pub params: Vec<(String, String)>,
}

impl CreatePortalSession {
    /// The portal of this customer.
    pub fn new(customer: impl Into<String>) -> Self {
        Self {
            customer: customer.into(),
            return_url: None,
            configuration: None,
            locale: None,
            params: Vec::new(),
        }
    }

    /// Sets where the link back to the app leads.
    #[must_use]
    pub fn with_return_url(mut self, url: impl Into<String>) -> Self {
        self.return_url = Some(url.into());
        self
    }

    /// Uses another portal configuration (`bpc_…`) than the account's default one.
    #[must_use]
    pub fn with_configuration(mut self, id: impl Into<String>) -> Self {
        self.configuration = Some(id.into());
        self
    }

    /// Sets the portal's language.
    #[must_use]
    pub fn with_locale(mut self, locale: impl Into<String>) -> Self {
        self.locale = Some(locale.into());
        self
    }

    /// Adds a parameter that has no setter here, such as `("flow_data[type]",
    /// "payment_method_update")`.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }
}

/// A portal session, as Stripe answers it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PortalSession {
    /// `bps_…`
    pub id: String,
    /// Where to send the customer's browser now; it works for a few minutes only.
    pub url: String,
    /// Whose portal it is.
    pub customer: Option<String>,
    /// Whether it lives in live mode.
    pub livemode: bool,
    /// The answer as it came.
    pub raw: Value,
}

impl TryFrom<Value> for PortalSession {
    type Error = StripeError;

    /// Reads a portal session; the id and the URL are required.
    fn try_from(raw: Value) -> Result<Self, StripeError> {
        Ok(Self {
            id: json::required(&raw, "portal session", "id")?,
            url: json::required(&raw, "portal session", "url")?,
            customer: json::id(&raw, "customer"),
            livemode: json::flag(&raw, "livemode"),
            raw,
        })
    }
}
