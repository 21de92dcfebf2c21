//! What Stripe does by itself: every function here is synchronous and works on [`State`] alone.

mod checkout;
mod collect;
mod cycle;
mod debit;
mod dispute;
mod entitlements;
mod invoice;
mod methods;
mod outcome;
mod pause;
mod payment;
mod plan;
mod refund;
mod subscription;

pub use checkout::Completed;
pub(super) use collect::Collect;
pub use debit::Debit;
pub(super) use dispute::Opening;
pub(super) use methods::Change;
pub(super) use plan::{ItemChange, Proration};
pub(super) use refund::Returning;
pub(super) use subscription::{FirstPayment, NewSub};

use super::{
    error::ApiError,
    state::{Due, State},
};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

impl State {
    pub(super) fn perform(&mut self, due: Due) -> Result<(), ApiError> {
        match due {
            Due::TrialWillEnd(id) => self.trial_will_end(&id),
            Due::CancelAt(id) => self.cancel_if_due(&id).map(drop),
            Due::PeriodEnd(id) => self.period_end(&id),
            Due::IncompleteExpires(id) => self.expire_incomplete(&id),
            Due::FinalizeInvoice(id) => self.finalize_due(&id),
            Due::RetryInvoice(id) => self.retry_due(&id),
            Due::SessionExpires(id) => self.expire_session_if_due(&id),
            Due::Upcoming(id) => self.announce_renewal(&id),
            Due::ResumeCollection(id) => self.resume_collection_if_due(&id),
            Due::ResumptionExpires(id) => self.expire_resumption(&id),
            Due::Settle { session, arrives } => self.settle_debit(&session, arrives),
            Due::RefundArrives(id) => self.refund_arrives(&id),
            Due::RefundFails(id) => self.fail_refund(&id),
        }
    }
}
