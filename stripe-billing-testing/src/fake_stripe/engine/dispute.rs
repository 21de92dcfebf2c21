//! Disputes: opened, escalated, answered, decided, appealed.

use serde_json::Value;

use crate::fake_stripe::{
    error::ApiError,
    model::Dispute,
    state::{State, update},
    table::Resource,
};

/// How a dispute begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fake_stripe) enum Opening {
    /// The bank asks; no money moves.
    Inquiry,
    /// A chargeback: the money is taken at once.
    Real,
    /// Settled before it was one: the money is taken, and there is nothing to answer.
    Prevented,
}

const TO_ANSWER: i64 = 9 * super::DAY;

impl State {
    /// A dispute over `amount`, or over the whole charge.
    pub(in crate::fake_stripe) fn open_dispute(
        &mut self,
        charge: &str,
        amount: Option<i64>,
        how: Opening,
    ) -> Result<String, ApiError> {
        let about = self.charge(charge)?;
        let status = match how {
            Opening::Inquiry => "warning_needs_response",
            Opening::Real => "needs_response",
            Opening::Prevented => "prevented",
        };
        let mut dispute = Dispute {
            id: String::new(),
            created: self.now(),
            amount: amount.unwrap_or(about.amount),
            currency: about.currency.clone(),
            charge: charge.to_owned(),
            payment_intent: about.payment_intent.clone(),
            reason: "fraudulent".to_owned(),
            status,
            due_by: (how != Opening::Prevented).then(|| self.now() + TO_ANSWER),
            submissions: 0,
            transactions: 0,
        };
        dispute.id = self.ids.next("du_1");
        let id = dispute.id.clone();
        self.emit("charge.dispute.created", dispute.json(), None);
        self.disputes.add(dispute);
        if how != Opening::Inquiry {
            self.withdraw(&id)?;
        }
        if let Some(charge) = self.charges.get_mut(charge) {
            charge.disputed = true;
        }
        self.spend_warning(charge)?;
        Ok(id)
    }

    fn withdraw(&mut self, id: &str) -> Result<(), ApiError> {
        let (_, after) = update(&mut self.disputes, id, "dispute", |dispute| {
            dispute.transactions = 1;
        })?;
        self.emit("charge.dispute.funds_withdrawn", after, None);
        Ok(())
    }

    /// The bank's inquiry becomes a chargeback.
    pub(in crate::fake_stripe) fn escalate_dispute(&mut self, id: &str) -> Result<(), ApiError> {
        self.move_dispute(
            id,
            &[
                ("warning_needs_response", "needs_response"),
                ("warning_under_review", "needs_response"),
            ],
        )?;
        self.withdraw(id)
    }

    /// Evidence is sent, once for each stage.
    pub(in crate::fake_stripe) fn submit_evidence(&mut self, id: &str) -> Result<Value, ApiError> {
        if let Some(dispute) = self.disputes.get(id)
            && dispute.due_by.is_some_and(|at| at < self.now())
        {
            return Err(ApiError::invalid("The evidence for this dispute is past due."));
        }
        self.move_dispute(
            id,
            &[
                ("warning_needs_response", "warning_under_review"),
                ("needs_response", "under_review"),
                ("appeal_needs_response", "appeal_under_review"),
            ],
        )
    }

    /// A dispute that was lost is appealed.
    pub(in crate::fake_stripe) fn appeal_dispute(&mut self, id: &str) -> Result<Value, ApiError> {
        self.move_dispute(id, &[("lost", "appeal_needs_response")])
    }

    fn move_dispute(
        &mut self,
        id: &str,
        steps: &[(&'static str, &'static str)],
    ) -> Result<Value, ApiError> {
        let dispute =
            self.disputes.get(id).ok_or_else(|| ApiError::no_such("dispute", id, "id"))?;
        let step = steps.iter().find(|(from, _)| *from == dispute.status);
        let Some((_, to)) = step else {
            let message = format!("This is not possible for a dispute that is {}.", dispute.status);
            return Err(ApiError::invalid(message));
        };
        let due_by = self.now() + TO_ANSWER;
        let (before, after) = update(&mut self.disputes, id, "dispute", |dispute| {
            dispute.status = to;
            if to.ends_with("needs_response") {
                dispute.due_by = Some(due_by);
            }
            if to.ends_with("under_review") {
                dispute.submissions += 1;
            }
        })?;
        self.emit("charge.dispute.updated", after.clone(), Some(before));
        Ok(after)
    }

    /// The bank decides. An inquiry can only be closed: it has to escalate before it is lost.
    pub(in crate::fake_stripe) fn close_dispute(
        &mut self,
        id: &str,
        won: bool,
    ) -> Result<Value, ApiError> {
        let dispute =
            self.disputes.get(id).ok_or_else(|| ApiError::no_such("dispute", id, "id"))?;
        let inquiry = dispute.status.starts_with("warning_");
        let decided = matches!(dispute.status, "won" | "lost" | "warning_closed" | "prevented");
        if decided || (inquiry && !won) {
            let message = format!("A dispute that is {} cannot be closed so.", dispute.status);
            return Err(ApiError::invalid(message));
        }
        let (_, after) = update(&mut self.disputes, id, "dispute", |dispute| {
            dispute.status = match (inquiry, won) {
                (true, _) => "warning_closed",
                (false, true) => "won",
                (false, false) => "lost",
            };
            if won && !inquiry {
                dispute.transactions = 2;
            }
        })?;
        self.emit("charge.dispute.closed", after.clone(), None);
        if won && !inquiry {
            self.emit("charge.dispute.funds_reinstated", after.clone(), None);
        }
        Ok(after)
    }
}
