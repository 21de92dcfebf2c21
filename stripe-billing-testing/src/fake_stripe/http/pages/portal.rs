//! The customer portal.

use std::fmt::Write as _;

use axum::{
    Form,
    extract::{Path, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Fake, card_choice, every,
    html::{day, document, escape, href, message},
};
use crate::fake_stripe::{
    card::Card,
    error::ApiError,
    model::{Status, Subscription},
    objects::money,
    state::State,
};

pub(in crate::fake_stripe::http) async fn portal(
    Shared(inner): Fake,
    Path(id): Path<String>,
) -> Response {
    inner.with(|state| portal_page(state, &id, None))
}

fn portal_page(state: &State, id: &str, alert: Option<&str>) -> Response {
    let Some(portal) = state.portals.get(id) else {
        return message(StatusCode::NOT_FOUND, "Not found", "There is no such portal session.");
    };
    let customer = state.customers.get(&portal.customer);
    let email = customer.and_then(|customer| customer.email.clone()).unwrap_or_default();
    let mut body = String::from("<main class=\"page\">");
    if let Some(url) = &portal.return_url {
        let _ = write!(body, "<p><a href=\"{}\">← Back</a></p>", href(url));
    }
    let _ = write!(
        body,
        "<h1>Your billing <span class=\"badge\">TEST MODE</span></h1><p>{}</p>",
        escape(&email)
    );
    if let Some(text) = alert {
        let _ = write!(body, "<p class=\"alert\" role=\"alert\">{}</p>", escape(text));
    }
    let theirs: Vec<_> =
        state.subscriptions.newest_first().filter(|sub| sub.customer == portal.customer).collect();
    body.push_str("<h2>Subscriptions</h2>");
    if theirs.is_empty() {
        body.push_str("<div class=\"card\"><p>No subscription yet.</p></div>");
    }
    for sub in theirs {
        body.push_str(&subscription_card(sub));
    }
    let last4 = customer
        .and_then(|customer| customer.default_payment_method.as_deref())
        .or_else(|| default_of_subscription(state, &portal.customer))
        .and_then(|method| state.methods.get(method))
        .map_or_else(|| "No card on file".to_owned(), |m| format!("Visa •••• {}", m.card.last4()));
    let _ = write!(
        body,
        "<h2>Card</h2><div class=\"card\"><h3>{last4}</h3><form method=\"post\">\
         <input type=\"hidden\" name=\"action\" value=\"card\"><br>{}\
         <button>Use this card</button></form></div>",
        card_choice()
    );
    body.push_str(&invoice_table(state, &portal.customer));
    document("Your billing", &(body + "</main>")).into_response()
}

fn default_of_subscription<'a>(state: &'a State, customer: &str) -> Option<&'a str> {
    let mut theirs = state.subscriptions.newest_first().filter(|sub| sub.customer == customer);
    theirs.find_map(|sub| sub.default_payment_method.as_deref())
}

fn subscription_card(sub: &Subscription) -> String {
    let names: Vec<String> =
        sub.items.iter().map(|item| escape(&item.price.product_name)).collect();
    let total: i64 = sub.items.iter().map(|item| item.price.amount(item.quantity)).sum();
    let cycle = sub.items.first().map(|item| every(&item.price)).unwrap_or_default();
    let leaving = sub.cancel_at;
    let (tone, word, when) = match (sub.status, leaving) {
        (Status::Canceled | Status::IncompleteExpired, _) => {
            ("plain", "Ended", sub.ended_at.map(|at| format!("Since {}", day(at))))
        }
        (_, Some(at)) => ("plain", "Ends soon", Some(format!("On {}", day(at)))),
        (Status::PastDue | Status::Unpaid | Status::Incomplete, _) => {
            ("bad", "Payment failed", Some("Change the card and pay the open invoice".to_owned()))
        }
        (Status::Trialing, _) => ("good", "Trial", Some(format!("Until {}", day(sub.period.1)))),
        (Status::Paused, _) => {
            ("plain", "Paused", sub.paused.map(|(_, at)| format!("Since {}", day(at))))
        }
        (Status::Active, _) => ("good", "Active", Some(format!("Renews on {}", day(sub.period.1)))),
    };
    let mut actions = String::new();
    if !sub.status.is_ended() {
        let mut add = |action: &str, label: &str, class: &str| {
            let _ = write!(
                actions,
                "<form method=\"post\"><input type=\"hidden\" name=\"action\" value=\"{action}\">\
                 <input type=\"hidden\" name=\"target\" value=\"{}\">\
                 <button class=\"quiet {class}\">{label}</button></form>",
                escape(&sub.id)
            );
        };
        if leaving.is_some() {
            add("resume", "Keep the subscription", "");
        } else {
            add("cancel_at_period_end", "Cancel at the end of the period", "");
        }
        add("cancel_now", "Cancel now", "danger");
    }
    format!(
        "<div class=\"card\"><div class=\"top\"><div><h3>{}</h3><p>{} {cycle}</p><p>{}</p></div>\
         <span class=\"badge {tone}\">{word}</span></div><div class=\"actions\">{actions}</div></div>",
        names.join(", "),
        money(total, sub.currency()),
        when.unwrap_or_default()
    )
}

fn invoice_table(state: &State, customer: &str) -> String {
    let mut rows = String::new();
    for invoice in state.invoices.newest_first().filter(|i| i.customer == customer).take(12) {
        let pay = if invoice.status == "open" {
            let intent = invoice.payment_intent.as_ref().and_then(|id| state.intents.get(id));
            let (action, label) = match intent {
                Some(intent) if intent.status == "requires_action" => ("confirm", "Confirm"),
                _ => ("pay", "Pay now"),
            };
            format!(
                "<form method=\"post\"><input type=\"hidden\" name=\"action\" value=\"{action}\">\
                 <input type=\"hidden\" name=\"target\" value=\"{}\">\
                 <button class=\"quiet\">{label}</button></form>",
                escape(&invoice.id)
            )
        } else {
            String::new()
        };
        let tone = if invoice.status == "paid" { "good" } else { "plain" };
        let _ = write!(
            rows,
            "<tr><td>{}</td><td><a href=\"/invoice/{}\">{}</a></td>\
             <td><span class=\"badge {tone}\">{}</span></td><td class=\"num\">{}</td><td>{pay}</td></tr>",
            day(invoice.created),
            escape(&invoice.id),
            escape(invoice.number.as_deref().unwrap_or("draft")),
            invoice.status,
            money(invoice.total(), &invoice.currency)
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    format!("<h2>Invoices</h2><div class=\"card\"><table>{rows}</table></div>")
}

#[derive(Debug, Deserialize)]
pub(in crate::fake_stripe::http) struct Action {
    action: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    card: String,
}

pub(in crate::fake_stripe::http) async fn submit_portal(
    Shared(inner): Fake,
    Path(id): Path<String>,
    Form(form): Form<Action>,
) -> Response {
    inner.with(|state| {
        let Some(customer) = state.portals.get(&id).map(|portal| portal.customer.clone()) else {
            return message(StatusCode::NOT_FOUND, "Not found", "There is no such portal session.");
        };
        let target = form.target.as_str();
        // A portal session opens its own customer's things and nobody else's.
        let owner = state
            .subscriptions
            .get(target)
            .map(|sub| sub.customer.clone())
            .or_else(|| state.invoices.get(target).map(|invoice| invoice.customer.clone()));
        if form.action != "card" && owner.as_ref() != Some(&customer) {
            return message(StatusCode::NOT_FOUND, "Not found", "This is not yours.");
        }
        let done = match form.action.as_str() {
            "cancel_at_period_end" => state.cancel_in_portal(target),
            "resume" => state.resume(target).map(drop),
            "cancel_now" => {
                state.end_subscription(target, Some("cancellation_requested")).map(drop)
            }
            "pay" => state.pay_invoice(target),
            "confirm" => state.confirm_payment(target, true),
            "card" => {
                let card = Card::from_number(&form.card).unwrap_or_default();
                state.set_card(&customer, card).map(drop)
            }
            _ => Ok(()),
        };
        match done {
            Ok(()) => Redirect::to(&format!("/portal/{id}")).into_response(),
            Err(error) => {
                let status =
                    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
                (status, portal_page(state, &id, Some(error.message()))).into_response()
            }
        }
    })
}

impl State {
    /// The portal's way to cancel: with flexible billing it sets `cancel_at` alone.
    fn cancel_in_portal(&mut self, id: &str) -> Result<(), ApiError> {
        if self.rules.portal_sets_cancel_at_only && !self.rules.api_version.before("2025-09-30") {
            let end = self.subscription(id)?.period.1;
            self.cancel_at(id, end).map(drop)
        } else {
            self.cancel_at_period_end(id).map(drop)
        }
    }
}
