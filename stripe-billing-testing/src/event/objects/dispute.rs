use serde_json::{Value, json};

use super::{owned, setters};
use crate::event::Shape;
use crate::event::histories::START;

/// A dispute, as in <https://docs.stripe.com/api/disputes/object>.
#[derive(Clone, Debug)]
pub struct DisputeObject {
    id: String,
    charge: String,
    amount: i64,
    currency: String,
    payment_intent: Option<String>,
    status: String,
    reason: String,
    due_by: Option<i64>,
    submissions: i64,
    withdrawn: bool,
    reinstated: bool,
    created: i64,
    livemode: bool,
}

impl DisputeObject {
    /// A live dispute over minor units in USD that waits for an answer; no money has moved.
    pub fn new(id: &str, charge: &str, amount: i64) -> Self {
        Self {
            id: id.to_owned(),
            charge: charge.to_owned(),
            amount,
            currency: "usd".to_owned(),
            payment_intent: None,
            status: "needs_response".to_owned(),
            reason: "fraudulent".to_owned(),
            due_by: Some(START + 9 * 86_400),
            submissions: 0,
            withdrawn: false,
            reinstated: false,
            created: START,
            livemode: true,
        }
    }

    setters! {
        /// Three letters in lower case.
        currency: &str => |currency| currency.to_owned();
        /// The payment disputed.
        payment_intent: Option<&str> => |id| owned(id);
        /// `warning_needs_response`, `warning_under_review` and `warning_closed` for an inquiry,
        /// which moves no money; `needs_response`, `under_review`, `won`, `lost`; `prevented` from
        /// 2025-08-27 on; `appeal_needs_response` and `appeal_under_review` from 2026-10-28 on.
        status: &str => |status| status.to_owned();
        /// `fraudulent`, `product_not_received`, ...
        reason: &str => |reason| reason.to_owned();
        /// Until when evidence is taken, Unix seconds.
        due_by: Option<i64> => |seconds| seconds;
        /// How often evidence was sent.
        submissions: i64 => |count| count;
        /// Whether the money was taken from the balance.
        withdrawn: bool => |withdrawn| withdrawn;
        /// Whether it was given back after that.
        reinstated: bool => |reinstated| reinstated;
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// Live mode or test mode.
        livemode: bool => |live| live;
    }

    /// The object: versions differ in the statuses there are, not in its shape.
    pub fn render(&self, _: Shape) -> Value {
        let moves = [(self.withdrawn, -self.amount, 1_500), (self.reinstated, self.amount, 0)];
        let transactions: Vec<Value> = moves
            .iter()
            .filter(|(moved, ..)| *moved)
            .enumerate()
            .map(|(number, (_, amount, fee))| {
                json!({"id": format!("txn_{}_{number}", self.id), "object": "balance_transaction",
                    "amount": amount, "currency": self.currency, "fee": fee, "net": amount - fee,
                    "source": self.id, "type": "adjustment"})
            })
            .collect();
        let inquiry = self.status.starts_with("warning_");
        let case = match self.status.as_str() {
            _ if inquiry => "inquiry",
            "prevented" => "resolution",
            _ => "chargeback",
        };
        json!({
            "id": self.id, "object": "dispute", "amount": self.amount,
            "balance_transactions": transactions, "charge": self.charge,
            "created": self.created, "currency": self.currency,
            "enhanced_eligibility_types": [], "evidence": {},
            "evidence_details": {"due_by": self.due_by, "has_evidence": self.submissions > 0,
                "past_due": false, "submission_count": self.submissions},
            "is_charge_refundable": inquiry, "livemode": self.livemode, "metadata": {},
            "payment_intent": self.payment_intent,
            "payment_method_details": {"type": "card",
                "card": {"brand": "visa", "case_type": case, "network_reason_code": "10.4"}},
            "reason": self.reason, "status": self.status,
        })
    }
}

/// An early fraud warning, as in <https://docs.stripe.com/api/radar/early_fraud_warnings/object>.
#[derive(Clone, Debug)]
pub struct FraudWarningObject {
    id: String,
    charge: String,
    payment_intent: Option<String>,
    actionable: bool,
    fraud_type: String,
    created: i64,
    livemode: bool,
}

impl FraudWarningObject {
    /// A live warning about a charge that can still be refunded.
    pub fn new(id: &str, charge: &str) -> Self {
        Self {
            id: id.to_owned(),
            charge: charge.to_owned(),
            payment_intent: None,
            actionable: true,
            fraud_type: "made_with_stolen_card".to_owned(),
            created: START,
            livemode: true,
        }
    }

    setters! {
        /// The payment it warns of.
        payment_intent: Option<&str> => |id| owned(id);
        /// False once it was refunded or disputed.
        actionable: bool => |actionable| actionable;
        /// `made_with_stolen_card`, `misc`, ...
        fraud_type: &str => |kind| kind.to_owned();
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// Live mode or test mode.
        livemode: bool => |live| live;
    }

    /// The object: all shapes have the same.
    pub fn render(&self, _: Shape) -> Value {
        let mut warning = json!({
            "id": self.id, "object": "radar.early_fraud_warning", "actionable": self.actionable,
            "charge": self.charge, "created": self.created, "fraud_type": self.fraud_type,
            "livemode": self.livemode,
        });
        if let Some(intent) = &self.payment_intent {
            warning["payment_intent"] = json!(intent);
        }
        warning
    }
}
