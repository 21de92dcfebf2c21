//! What happens to a payment method after it was attached.

use crate::fake_stripe::{
    error::ApiError,
    model::Metadata,
    state::{State, update},
};

/// Who corrects a payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fake_stripe) enum Change {
    /// Somebody asked for it.
    Asked,
    /// The card's network sent a new card.
    Network,
}

impl State {
    pub(in crate::fake_stripe) fn change_method(
        &mut self,
        id: &str,
        (who, expires): (Change, Option<(u32, u32)>),
        metadata: Option<Metadata>,
    ) -> Result<(), ApiError> {
        let (before, after) = update(&mut self.methods, id, "PaymentMethod", |method| {
            method.expires = expires.unwrap_or(method.expires);
            if let Some(metadata) = metadata {
                method.metadata = metadata;
            }
        })?;
        let name = match who {
            Change::Asked => "payment_method.updated",
            Change::Network => "payment_method.automatically_updated",
        };
        if before != after {
            self.emit(name, after, Some(before));
        }
        Ok(())
    }

    /// Takes a payment method from its customer: nothing is charged to it any more.
    pub(in crate::fake_stripe) fn detach(&mut self, id: &str) -> Result<(), ApiError> {
        let (before, after) =
            update(&mut self.methods, id, "PaymentMethod", |method| method.customer = None)?;
        let Some(customer) = before["customer"].as_str().map(str::to_owned) else {
            return Err(ApiError::invalid(
                "The payment method you provided is not attached to a customer so detachment is \
                 impossible.",
            ));
        };
        self.emit("payment_method.detached", after, Some(before));
        let gone = |default: &mut Option<String>| {
            if default.as_deref() == Some(id) {
                *default = None;
            }
        };
        self.update_customer(&customer, |customer| gone(&mut customer.default_payment_method))?;
        let theirs: Vec<String> = self
            .subscriptions
            .iter()
            .filter(|sub| sub.default_payment_method.as_deref() == Some(id))
            .filter(|sub| !sub.status.is_ended())
            .map(|sub| sub.id.clone())
            .collect();
        for sub in theirs {
            self.update_subscription(&sub, |sub| gone(&mut sub.default_payment_method))?;
        }
        Ok(())
    }
}
