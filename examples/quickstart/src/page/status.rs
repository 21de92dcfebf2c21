use maud::{Markup, html};
use stripe_billing_core::Access;

use crate::state::App;
use crate::words::{day, tell};

/// Where the account stands, and what can be done about it.
pub(super) fn render(app: &App, access: &Access, card: Option<&str>) -> Markup {
    let told = tell(access);
    let best = access.subscriptions.first();
    let runs = best.filter(|share| !share.status.is_terminal());
    let catalog = app.billing.catalog();
    let plan =
        best.and_then(|share| catalog.plan(share.plans.first()?)).map(|plan| plan.name.as_str());
    html! {
        div.headline data-state=(access.state.as_str()) data-access=(access.access) {
            span.badge.(told.tone) { (told.badge) }
            code.raw title="The state, as the API has it" { (access.state.as_str()) }
            p.sentence { (told.sentence) }
        }
        dl.facts {
            div { dt { "Access" } dd { @if access.access { span.yes { "Yes" } } @else { span.no { "No" } } } }
            div { dt { "Plan" } dd { (plan.unwrap_or("–")) @if let Some(interval) = runs.and_then(|share| share.interval.as_deref()) { span.quiet { " per " (interval) } } } }
            div { dt { "Paid until" } dd #period-end data-unix=[best.and_then(|share| share.paid_through)] {
                (best.and_then(|share| share.paid_through).map_or_else(|| "–".to_owned(), day))
            } }
            @if app.demo.is_some() {
                div { dt { "Card on file" } dd { @match card { Some(last4) => { "•••• " (last4) } None => { "–" } } } }
            }
        }
        @if !access.features.is_empty() || !access.limits.is_empty() {
            ul.chips aria-label="Unlocked" {
                @for feature in &access.features { li { (spaced(feature)) } }
                @for (name, limit) in &access.limits { li.limit { (limit) " " (spaced(name)) } }
            }
        }
        @if app.has_stripe && runs.is_some() {
            div.actions {
                @if runs.is_some_and(|share| share.will_cancel) {
                    form method="post" action="/billing/resume" { button.primary #resume { "Resume subscription" } }
                } @else {
                    form method="post" action="/billing/cancel" { button #cancel { "Cancel at period end" } }
                }
                form method="post" action="/billing/portal" { button #portal { "Billing portal" } }
            }
        }
    }
}

/// `priority_support` becomes `priority support`.
pub(super) fn spaced(name: &str) -> String {
    name.replace(['_', '-'], " ")
}
