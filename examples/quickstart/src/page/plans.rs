use maud::{Markup, html};
use stripe_billing_core::Access;
use stripe_billing_core::catalog::{Pack, Period, Plan, PlanPrice};

use super::status::spaced;
use crate::money::{grouped, money};
use crate::state::App;

/// Monthly or annual, where plans have both. Outside of what is sent again, so that it stays set.
pub(super) fn toggle(app: &App) -> Markup {
    let both = app.billing.catalog().plans().iter().any(has_both);
    html! {
        div.plansbar {
            h2 { "Plans" }
            @if both {
                fieldset.toggle {
                    legend.hidden { "Billing period" }
                    input type="radio" name="period" #monthly checked;
                    label for="monthly" { "Monthly" }
                    input type="radio" name="period" #annual;
                    label for="annual" { "Annual" span.save { "2 months free" } }
                }
            }
        }
    }
}

/// A card for each plan and pack.
pub(super) fn render(app: &App, access: &Access) -> Markup {
    let catalog = app.billing.catalog();
    html! {
        div.plans {
            @for plan in catalog.plans() { (card(app, plan, access)) }
        }
        @if !catalog.packs().is_empty() {
            div.packs {
                @for pack in catalog.packs() { (pack_row(app, pack)) }
            }
        }
    }
}

fn card(app: &App, plan: &Plan, access: &Access) -> Markup {
    let held = |price: &PlanPrice| {
        let mut live = access.subscriptions.iter().filter(|share| !share.status.is_terminal());
        live.any(|share| share.prices.contains(&price.id))
    };
    let current = plan.prices.iter().any(held);
    html! {
        article.card.plan.current[current] {
            h3 { (plan.name) @if current { span.badge.good { "Yours" } } }
            @for price in &plan.prices {
                div.price.(shown(plan, price)) {
                    p.amount {
                        @match &price.display {
                            Some(display) => { strong { (money(display.amount, &display.currency).trim_end_matches(".00")) } }
                            None => { strong { (price.label.as_deref().unwrap_or(&price.id)) } }
                        }
                        @if let Some(period) = price.period { span.quiet { " / " (period) } }
                    }
                    @for (unit, amount) in &price.credits { p.quiet.small { (grouped(amount.unsigned_abs())) " " (spaced(unit)) " every period" } }
                    (buy(app, plan, price, held(price), current, access.can_purchase))
                }
            }
            ul.ticks {
                @for feature in &plan.features { li { (spaced(feature)) } }
                @for (name, limit) in &plan.limits { li { (limit) " " (spaced(name)) } }
            }
        }
    }
}

fn buy(
    app: &App,
    plan: &Plan,
    price: &PlanPrice,
    held: bool,
    current: bool,
    can_purchase: bool,
) -> Markup {
    html! {
        @if held {
            button.wide disabled { "Current plan" }
        } @else if current {
            button.wide disabled { "Yours, for another period" }
        } @else if !can_purchase || !app.sells {
            button.wide disabled { @if app.sells { "One plan at a time" } @else { "Not for sale here" } }
        } @else {
            form method="post" action="/billing/checkout" {
                input type="hidden" name="price" value=(price.id);
                button.primary.wide data-price=(price.id) { "Subscribe to " (plan.name) }
            }
        }
    }
}

fn pack_row(app: &App, pack: &Pack) -> Markup {
    html! {
        article.card.pack {
            div {
                h3 { (pack.name) }
                p.quiet.small { "One-time purchase" }
            }
            @if app.sells {
                form method="post" action="/billing/checkout" {
                    input type="hidden" name="price" value=(pack.price);
                    button data-price=(pack.price) {
                        "Buy" @if let Some(display) = &pack.display { " for " (money(display.amount, &display.currency)) }
                    }
                }
            }
        }
    }
}

/// The class that the toggle shows or hides a price by.
fn shown(plan: &Plan, price: &PlanPrice) -> &'static str {
    match price.period {
        Some(Period::MONTH) if has_both(plan) => "monthly",
        Some(Period::YEAR) if has_both(plan) => "annual",
        _ => "always",
    }
}

fn has_both(plan: &Plan) -> bool {
    let has = |period| plan.prices.iter().any(|price| price.period == Some(period));
    has(Period::MONTH) && has(Period::YEAR)
}
