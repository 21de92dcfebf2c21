use axum::http::Method;
use serde_json::Value;

use super::{Call, Routed, listing, subscriptions::changes_from};
use crate::fake_stripe::{
    engine::{Collect, Returning},
    error::ApiError,
    state::State,
    table::{Resource, Table},
};

pub(super) fn one<T: Resource>(table: &Table<T>, what: &str, id: &str) -> Result<Value, ApiError> {
    table.get(id).map(T::json).ok_or_else(|| ApiError::no_such(what, id, "id"))
}

pub(super) fn invoices(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    let params = &call.params;
    Some(match (&call.method, rest) {
        (&Method::GET, []) => list_invoices(state, call),
        (&Method::POST, ["create_preview"]) => preview(state, call),
        (&Method::GET, [id]) => one(&state.invoices, "invoice", id),
        (&Method::GET, [id, "lines"]) => state.invoice(id).and_then(|invoice| {
            let lines = invoice.lines.iter().map(|line| line.json(id)).collect();
            listing::page(&format!("/v1/invoices/{id}/lines"), lines, params)
        }),
        (&Method::POST, [id, "pay"]) => pay(state, call, id),
        (&Method::POST, [id, "finalize"]) => {
            act(state, id, (&["draft"], "finalized"), State::finalize)
        }
        (&Method::POST, [id, "void"]) => {
            act(state, id, (&["open", "uncollectible"], "voided"), State::void_invoice)
        }
        (&Method::POST, [id, "mark_uncollectible"]) => {
            act(state, id, (&["open"], "marked uncollectible"), |state, id| {
                state.mark_uncollectible(id, "user_forgiven")
            })
        }
        _ => return None,
    })
}

fn list_invoices(state: &State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&[
        "customer",
        "subscription",
        "status",
        "created",
        "limit",
        "starting_after",
        "ending_before",
        "collection_method",
    ])?;
    let created = listing::created_filter(params)?;
    let (customer, subscription) = (params.text("customer"), params.text("subscription"));
    let status = params.text("status");
    let rows = listing::rows(&state.invoices, |row| {
        created(row.created)
            && customer.is_none_or(|id| row.customer == id)
            && subscription.is_none_or(|id| row.subscription.as_deref() == Some(id))
            && status.is_none_or(|status| row.status == status)
    });
    listing::page("/v1/invoices", rows, params)
}

fn preview(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&["customer", "subscription", "subscription_details", "preview_mode"])?;
    let id = params.required("subscription")?.to_owned();
    let details = params.nested("subscription_details");
    details.only(&["items", "proration_behavior", "proration_date", "cancel_at_period_end"])?;
    let (changes, proration) = changes_from(state, &details)?;
    state.preview_change(&id, &changes, proration).map(|invoice| invoice.json())
}

fn pay(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    call.params.only(&["paid_out_of_band", "off_session", "payment_method", "forgive"])?;
    if call.params.boolean("paid_out_of_band")? == Some(true) {
        state.pay_out_of_band(id)?;
    } else {
        state.pay_invoice(id)?;
    }
    one(&state.invoices, "invoice", id)
}

fn act(
    state: &mut State,
    id: &str,
    (from, word): (&[&str], &str),
    act: fn(&mut State, &str) -> Result<(), ApiError>,
) -> Result<Value, ApiError> {
    let status = state.invoice(id)?.status;
    if !from.contains(&status) {
        let from = from.join(" and ");
        let message = format!("This invoice is {status}; only {from} invoices can be {word}.");
        return Err(ApiError::invalid(message).with_code("invoice_not_editable"));
    }
    act(state, id)?;
    one(&state.invoices, "invoice", id)
}

impl State {
    /// Collects an open invoice now.
    pub(in crate::fake_stripe) fn pay_invoice(&mut self, id: &str) -> Result<(), ApiError> {
        if self.invoice(id)?.status == "draft" {
            self.finalize(id)?;
        }
        match self.invoice(id)?.status {
            "open" | "uncollectible" => self.collect(id, Collect::ByHand)?,
            "paid" => {
                Err(ApiError::invalid("Invoice is already paid").with_code("invoice_already_paid"))
            }
            status => Err(ApiError::invalid(format!("A {status} invoice cannot be paid."))),
        }
    }
}

pub(super) fn invoice_payments(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    let params = &call.params;
    Some(match (&call.method, rest) {
        (&Method::GET, []) => {
            let payment = params.nested("payment");
            if payment.has("payment_intent") && payment.text("type") != Some("payment_intent") {
                return Some(Err(ApiError::missing_param("payment[type]")));
            }
            let (invoice, intent) = (params.text("invoice"), payment.text("payment_intent"));
            let rows = listing::rows(&state.invoice_payments, |row| {
                invoice.is_none_or(|id| row.invoice == id)
                    && intent.is_none_or(|id| row.payment_intent == id)
            });
            listing::page("/v1/invoice_payments", rows, params)
        }
        (&Method::GET, [id]) => one(&state.invoice_payments, "invoice_payment", id),
        _ => return None,
    })
}

pub(super) fn refunds(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    let params = &call.params;
    Some(match (&call.method, rest) {
        (&Method::POST, []) => create_refund(state, call),
        (&Method::GET, []) => {
            let (charge, intent) = (params.text("charge"), params.text("payment_intent"));
            let rows = listing::rows(&state.refunds, |row| {
                charge.is_none_or(|id| row.charge == id)
                    && intent.is_none_or(|id| row.payment_intent == id)
            });
            listing::page("/v1/refunds", rows, params)
        }
        (&Method::GET, [id]) => one(&state.refunds, "refund", id),
        _ => return None,
    })
}

fn create_refund(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&["charge", "payment_intent", "amount", "reason", "metadata"])?;
    let target =
        params.text("charge").or_else(|| params.text("payment_intent")).ok_or_else(|| {
            ApiError::invalid(
                "One of the following params should be provided for this \
            request: payment_intent or charge.",
            )
            .with_code("parameter_missing")
        })?;
    let charge = state.charge_for(target)?;
    let metadata = params.metadata()?;
    let of = Returning {
        amount: params.integer("amount")?,
        reason: params.owned("reason"),
        metadata,
        ..Returning::default()
    };
    let id = state.refund(&charge, of)?;
    one(&state.refunds, "refund", &id)
}

impl State {
    /// The charge meant by the id of a charge or of a payment intent.
    pub(in crate::fake_stripe) fn charge_for(&self, id: &str) -> Result<String, ApiError> {
        if id.starts_with("ch_") {
            return self.charge(id).map(|charge| charge.id.clone());
        }
        let intent = self
            .intents
            .get(id)
            .ok_or_else(|| ApiError::no_such("payment_intent", id, "payment_intent"))?;
        let paid = intent.latest_charge.clone().filter(|_| intent.status == "succeeded");
        paid.ok_or_else(|| {
            ApiError::invalid("This PaymentIntent does not have a successful charge to refund.")
                .with_param("payment_intent")
        })
    }
}

pub(super) fn charges(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    let params = &call.params;
    Some(match (&call.method, rest) {
        (&Method::GET, []) => {
            let (customer, intent) = (params.text("customer"), params.text("payment_intent"));
            let rows = listing::rows(&state.charges, |row| {
                customer.is_none_or(|id| row.customer.as_deref() == Some(id))
                    && intent.is_none_or(|id| row.payment_intent == id)
            });
            listing::page("/v1/charges", rows, params)
        }
        (&Method::GET, [id]) => one(&state.charges, "charge", id),
        _ => return None,
    })
}

pub(super) fn intents(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    let params = &call.params;
    Some(match (&call.method, rest) {
        (&Method::GET, []) => {
            let customer = params.text("customer");
            let rows = listing::rows(&state.intents, |row| {
                customer.is_none_or(|id| row.customer.as_deref() == Some(id))
            });
            listing::page("/v1/payment_intents", rows, params)
        }
        (&Method::GET, [id]) => one(&state.intents, "payment_intent", id),
        _ => return None,
    })
}

pub(super) fn setups(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    match (&call.method, rest) {
        (&Method::GET, [id]) => Some(one(&state.setups, "setup_intent", id)),
        _ => None,
    }
}
