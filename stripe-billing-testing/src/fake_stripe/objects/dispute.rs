use serde_json::{Value, json};

use crate::fake_stripe::{
    model::{Dispute, FraudWarning},
    table::Resource,
};

impl Resource for Dispute {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let fee = if self.status == "prevented" { 0 } else { 1_500 };
        let transactions: Vec<Value> = (0..self.transactions)
            .map(|n| {
                let amount = if n == 0 { -self.amount } else { self.amount };
                json!({
                    "id": format!("{}{n}", self.id.replacen("du_", "txn_", 1)),
                    "object": "balance_transaction",
                    "amount": amount,
                    "created": self.created,
                    "currency": self.currency,
                    "fee": if n == 0 { fee } else { 0 },
                    "net": if n == 0 { amount - fee } else { amount },
                    "reporting_category": if n == 0 { "dispute" } else { "dispute_reversal" },
                    "source": self.id,
                    "type": "adjustment",
                })
            })
            .collect();
        let inquiry = self.status.starts_with("warning_");
        let case = match self.status {
            _ if inquiry => "inquiry",
            "prevented" => "resolution",
            _ => "chargeback",
        };
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": transactions,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": {},
            "evidence_details": {
                "due_by": self.due_by,
                "enhanced_eligibility": {},
                "has_evidence": self.submissions > 0,
                "past_due": false,
                "submission_count": self.submissions,
                "submission_method": (self.submissions > 0).then_some("manual"),
            },
            "is_charge_refundable": inquiry,
            "livemode": false,
            "metadata": {},
            "payment_intent": self.payment_intent,
            "payment_method_details": {
                "card": { "brand": "visa", "case_type": case, "network_reason_code": "10.4" },
                "type": "card",
            },
            "reason": self.reason,
            "status": self.status,
        })
    }
}

impl Resource for FraudWarning {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "radar.early_fraud_warning",
            "actionable": self.actionable,
            "charge": self.charge,
            "created": self.created,
            "fraud_type": "made_with_stolen_card",
            "livemode": false,
            "payment_intent": self.payment_intent,
        })
    }
}
