use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open_enum;
use crate::stripe::field::{count, flag, id, int, text, time};

open_enum! {
    /// How far a dispute is. An inquiry (`Warning...`) moves no money, but may become a dispute.
    DisputeStatus {
        /// An inquiry that waits for an answer.
        WarningNeedsResponse = "warning_needs_response",
        /// An inquiry that was answered.
        WarningUnderReview = "warning_under_review",
        /// An inquiry that came to nothing.
        WarningClosed = "warning_closed",
        /// It waits for evidence; the money is withdrawn.
        NeedsResponse = "needs_response",
        /// The bank looks at the evidence.
        UnderReview = "under_review",
        /// The charge was refunded instead; not said since 2023.
        ChargeRefunded = "charge_refunded",
        /// The money comes back.
        Won = "won",
        /// The money is gone.
        Lost = "lost",
        /// Settled by a programme of the card networks before it became a dispute.
        Prevented = "prevented",
        /// Lost, and an appeal is possible.
        AppealNeedsResponse = "appeal_needs_response",
        /// Lost, and the bank looks at the appeal.
        AppealUnderReview = "appeal_under_review",
    }
}

impl DisputeStatus {
    /// Whether it is an inquiry, which moves no money.
    pub fn is_inquiry(&self) -> bool {
        matches!(self, Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed)
    }

    /// Whether it is still undecided.
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            Self::NeedsResponse
                | Self::UnderReview
                | Self::WarningNeedsResponse
                | Self::WarningUnderReview
                | Self::AppealNeedsResponse
                | Self::AppealUnderReview
        )
    }

    /// Whether it was decided for the customer. An appeal may follow.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost)
    }

    /// Whether it was decided for the account.
    pub fn is_won(&self) -> bool {
        matches!(self, Self::Won)
    }

    /// How far along it is, to settle snapshots of one second.
    pub(crate) fn progress(&self) -> u8 {
        match self {
            Self::Other(_) => 0,
            Self::WarningNeedsResponse => 1,
            Self::WarningUnderReview => 2,
            Self::NeedsResponse => 3,
            Self::UnderReview => 4,
            Self::WarningClosed => 5,
            Self::Prevented => 6,
            Self::ChargeRefunded => 7,
            Self::Lost => 8,
            Self::AppealNeedsResponse => 9,
            Self::AppealUnderReview => 10,
            Self::Won => 11,
        }
    }
}

/// A dispute as billing sees it (<https://docs.stripe.com/api/disputes/object>). The amount is in
/// minor units of `currency`, times are Unix seconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dispute {
    /// `dp_...` or `du_...`
    pub id: String,
    /// The charge disputed; it may have several disputes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// The payment disputed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<String>,
    /// How far it is.
    pub status: DisputeStatus,
    /// What is disputed; it may differ from what was charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Three-letter code, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What the customer says (`fraudulent`, `product_not_received`, ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when evidence is taken; there may be no such time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_by: Option<i64>,
    /// Whether evidence is stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_evidence: bool,
    /// Whether the last evidence came too late.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub past_due: bool,
    /// How often evidence was handed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission_count: Option<i64>,
    /// Whether a refund can still settle it, as with most inquiries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_charge_refundable: bool,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
}

impl Dispute {
    /// Reads a dispute of any API version; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: id(value, &["id"])?,
            charge: id(value, &["charge"]),
            payment_intent: id(value, &["payment_intent"]),
            status: text(value, &["status"]).unwrap_or_default().into(),
            amount: int(value, &["amount"]),
            currency: text(value, &["currency"]),
            reason: text(value, &["reason"]),
            due_by: time(value, &["evidence_details", "due_by"]),
            has_evidence: flag(value, &["evidence_details", "has_evidence"]),
            past_due: flag(value, &["evidence_details", "past_due"]),
            submission_count: count(value, &["evidence_details", "submission_count"]),
            is_charge_refundable: flag(value, &["is_charge_refundable"]),
            created: time(value, &["created"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_dispute_plain_and_expanded() {
        let plain = json!({"id": "dp_1", "object": "dispute", "amount": 1500, "charge": "ch_1",
            "payment_intent": "pi_1", "currency": "usd", "status": "needs_response",
            "reason": "fraudulent", "is_charge_refundable": false, "created": 1_700_000_000,
            "evidence_details": {"due_by": 1_700_600_000, "has_evidence": true, "past_due": false,
                "submission_count": 2}});
        let mut expanded = plain.clone();
        expanded["charge"] = json!({"id": "ch_1", "amount": 1500});
        expanded["payment_intent"] = json!({"id": "pi_1"});
        expanded["evidence_details"]["submission_method"] = json!("manual");
        let view = Dispute::from_json(&plain).unwrap();
        assert_eq!(Some(&view), Dispute::from_json(&expanded).as_ref());
        assert_eq!((view.due_by, view.submission_count), (Some(1_700_600_000), Some(2)));
        assert!(view.has_evidence && !view.past_due && !view.is_charge_refundable);
    }

    #[test]
    fn an_inquiry_without_a_deadline_has_none() {
        for due_by in [json!(0), json!(null), json!(-1)] {
            let view = Dispute::from_json(&json!({"id": "dp_1", "evidence_details":
                {"due_by": due_by, "submission_count": -1}}))
            .unwrap();
            assert_eq!((view.due_by, view.submission_count), (None, None));
        }
    }

    #[test]
    fn each_status_says_what_it_means_for_the_money() {
        // (word, inquiry, open)
        let in_order = [
            ("a_word_of_2031", false, false),
            ("warning_needs_response", true, true),
            ("warning_under_review", true, true),
            ("needs_response", false, true),
            ("under_review", false, true),
            ("warning_closed", true, false),
            ("prevented", false, false),
            ("charge_refunded", false, false),
            ("lost", false, false),
            ("appeal_needs_response", false, true),
            ("appeal_under_review", false, true),
            ("won", false, false),
        ];
        for (place, (word, inquiry, open)) in in_order.into_iter().enumerate() {
            let status = DisputeStatus::from(word);
            assert_eq!(status.as_str(), word);
            assert_eq!((status.is_inquiry(), status.is_open()), (inquiry, open), "{word}");
            assert_eq!((status.is_lost(), status.is_won()), (word == "lost", word == "won"));
            assert_eq!(usize::from(status.progress()), place, "{word}");
        }
    }

    #[test]
    fn what_is_missing_does_not_fail() {
        let view = Dispute::from_json(&json!({"id": "dp_1", "status": "lost"})).unwrap();
        let stored = serde_json::to_value(&view).unwrap();
        assert_eq!(stored, json!({"id": "dp_1", "status": "lost"}));
        assert_eq!(serde_json::from_value::<Dispute>(stored).unwrap(), view);
        assert_eq!(Dispute::from_json(&json!({"object": "dispute"})), None);
    }
}
