//! Stripe's error object.

use serde_json::{Value, json};

/// What the fake's API answers instead of a result: Stripe's error object with its HTTP status
/// (<https://docs.stripe.com/api/errors>).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({}): {}", .0.kind, .0.status, .0.message)]
pub struct ApiError(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    status: u16,
    kind: &'static str,
    code: Option<String>,
    param: Option<String>,
    message: String,
    decline_code: Option<&'static str>,
    charge: Option<String>,
    payment_intent: Option<String>,
}

impl ApiError {
    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// `error.type`: `invalid_request_error`, `card_error`, `idempotency_error` or `api_error`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.0.kind
    }

    /// `error.code`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// `error.param`, with its brackets.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// `error.message`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// `error.decline_code` of a card error.
    #[must_use]
    pub fn decline_code(&self) -> Option<&'static str> {
        self.0.decline_code
    }

    pub(super) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            status,
            kind,
            code: None,
            param: None,
            message: message.into(),
            decline_code: None,
            charge: None,
            payment_intent: None,
        }))
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(super) fn bad_param(param: &str, message: impl Into<String>) -> Self {
        Self::invalid(message).with_param(param)
    }

    pub(super) fn missing_param(param: &str) -> Self {
        let message = format!("Missing required param: {param}.");
        Self::bad_param(param, message).with_code("parameter_missing")
    }

    pub(super) fn no_such(what: &str, id: &str, param: &str) -> Self {
        Self::new(404, "invalid_request_error", format!("No such {what}: '{id}'"))
            .with_code("resource_missing")
            .with_param(param)
    }

    pub(super) fn card(decline: Decline) -> Self {
        let mut error =
            Self::new(402, "card_error", decline.message()).with_code(decline.error_code());
        error.0.decline_code = Some(decline.code());
        error
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.0.status = status;
        self
    }

    pub(super) fn with_code(mut self, code: &str) -> Self {
        self.0.code = Some(code.to_owned());
        self
    }

    pub(super) fn with_param(mut self, param: &str) -> Self {
        self.0.param = Some(param.to_owned());
        self
    }

    /// Names what was tried.
    pub(super) fn with_payment(mut self, charge: Option<String>, payment_intent: String) -> Self {
        self.0.charge = charge;
        self.0.payment_intent = Some(payment_intent);
        self
    }

    /// A request that Stripe refuses before it does anything is not kept under its key.
    pub(super) fn is_kept_for_replay(&self) -> bool {
        matches!(self.0.kind, "card_error" | "api_error")
    }

    pub(super) fn to_json(&self, request_id: &str, payment_intent: Option<Value>) -> Value {
        let details = &*self.0;
        let mut error = json!({ "message": details.message, "type": details.kind });
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                error[name] = json!(value);
            }
        };
        put("code", details.code.as_deref());
        put("param", details.param.as_deref());
        put("decline_code", details.decline_code);
        put("charge", details.charge.as_deref());
        if let Some(intent) = payment_intent {
            error["payment_intent"] = intent;
        }
        if let Some(code) = &details.code {
            let page = code.replace('_', "-");
            error["doc_url"] = json!(format!("https://stripe.com/docs/error-codes/{page}"));
        }
        error["request_log_url"] =
            json!(format!("https://dashboard.stripe.invalid/logs/{request_id}"));
        json!({ "error": error })
    }

    /// The payment that failed, whose object goes into the answer.
    pub(super) fn payment_intent(&self) -> Option<&str> {
        self.0.payment_intent.as_deref()
    }
}

/// Why a bank said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decline {
    Generic,
    InsufficientFunds,
    /// The customer has to confirm.
    AuthenticationRequired,
}

impl Decline {
    /// `code` of the error; the bank's own reason is [`code`](Self::code).
    pub(super) const fn error_code(self) -> &'static str {
        match self {
            Self::AuthenticationRequired => "authentication_required",
            _ => "card_declined",
        }
    }

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Generic => "generic_decline",
            Self::InsufficientFunds => "insufficient_funds",
            Self::AuthenticationRequired => "authentication_required",
        }
    }

    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Generic => "Your card was declined.",
            Self::InsufficientFunds => "Your card has insufficient funds.",
            Self::AuthenticationRequired => {
                "Your card was declined. This transaction requires authentication."
            }
        }
    }
}
