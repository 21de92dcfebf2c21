use serde_json::{Value, json};

use super::{Notes, notes_of, owned, setters};
use crate::event::Shape;
use crate::event::histories::START;

/// A refund, as in <https://docs.stripe.com/api/refunds/object>. It names no mode: only its event
/// does.
#[derive(Clone, Debug)]
pub struct RefundObject {
    id: String,
    charge: String,
    amount: i64,
    currency: String,
    payment_intent: Option<String>,
    customer: Option<String>,
    status: String,
    reason: Option<String>,
    failure_reason: Option<String>,
    pending_reason: Option<String>,
    reference: Option<String>,
    created: i64,
    metadata: Notes,
}

impl RefundObject {
    /// A refund of minor units in USD that succeeded.
    pub fn new(id: &str, charge: &str, amount: i64) -> Self {
        Self {
            id: id.to_owned(),
            charge: charge.to_owned(),
            amount,
            currency: "usd".to_owned(),
            payment_intent: None,
            customer: None,
            status: "succeeded".to_owned(),
            reason: None,
            failure_reason: None,
            pending_reason: None,
            reference: None,
            created: START,
            metadata: Notes::new(),
        }
    }

    setters! {
        /// Three letters in lower case.
        currency: &str => |currency| currency.to_owned();
        /// The payment it gives back.
        payment_intent: Option<&str> => |id| owned(id);
        /// Who paid. Shapes before endive do not say so.
        customer: Option<&str> => |id| owned(id);
        /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
        status: &str => |status| status.to_owned();
        /// `duplicate`, `fraudulent`, `requested_by_customer` or `expired_uncaptured_charge`.
        reason: Option<&str> => |reason| owned(reason);
        /// Why it failed, such as `expired_or_canceled_card`.
        failure_reason: Option<&str> => |reason| owned(reason);
        /// Why it waits, such as `processing`.
        pending_reason: Option<&str> => |reason| owned(reason);
        /// The bank's reference, which comes days later.
        reference: Option<&str> => |reference| owned(reference);
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// The app's own notes.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let card = match &self.reference {
            Some(reference) => json!({"reference": reference, "reference_status": "available",
                "reference_type": "acquirer_reference_number", "type": "refund"}),
            None => json!({"reference_status": "pending",
                "reference_type": "acquirer_reference_number", "type": "refund"}),
        };
        let mut refund = json!({
            "id": self.id, "object": "refund", "amount": self.amount,
            "balance_transaction": format!("txn_{}", self.id), "charge": self.charge,
            "created": self.created, "currency": self.currency,
            "destination_details": {"card": card, "type": "card"}, "metadata": self.metadata,
            "payment_intent": self.payment_intent, "reason": self.reason,
            "receipt_number": null, "source_transfer_reversal": null, "status": self.status,
            "transfer_reversal": null,
        });
        if self.status == "failed" {
            let reason = self.failure_reason.as_deref().unwrap_or("unknown");
            refund["failure_reason"] = json!(reason);
            refund["failure_balance_transaction"] = json!(format!("txn_{}_failed", self.id));
        }
        if let Some(reason) = &self.pending_reason {
            refund["pending_reason"] = json!(reason);
        }
        if shape >= Shape::Endive {
            refund["customer"] = json!(self.customer);
            refund["customer_account"] = Value::Null;
            refund["payment_method"] = json!("pm_1");
        }
        refund
    }
}
