use maud::{Markup, html};
use stripe_billing_core::Access;
use stripe_billing_core::state::State;

use crate::words::{day, minute};

/// The demo's clock, and the card that renewals are charged to.
pub(super) fn time_machine(access: &Access, card: Option<&str>, now: i64) -> Markup {
    let live = access.subscriptions.iter().find(|share| !share.status.is_terminal());
    let failing = card == Some("0341");
    let overdue = matches!(access.state, State::PastDue | State::Unpaid);
    html! {
        h2 { "Time machine" }
        p.clock { time #clock { (day(now)) } span.quiet { (minute(now).rsplit(' ').next().unwrap_or_default()) " UTC" } }
        form.steps method="post" action="/demo/advance" {
            button name="step" value="day" { "+ 1 day" }
            button name="step" value="three_days" { "+ 3 days" }
            button name="step" value="renewal" disabled[live.is_none()] { "To next renewal" }
        }
        p.hint { "Renewals, retries and the end of grace happen on the way, webhooks included." }
        form.cards method="post" action="/demo/card" {
            h3 { "Card for renewals" }
            button.choice name="card" value="good" disabled[live.is_none()]
                aria-pressed=(pressed(live.is_some() && card.is_some() && !failing)) {
                strong { "•••• 4242" }
                @if overdue { span { "pay the open invoice now" } } @else { span { "always pays" } }
            }
            button.choice name="card" value="failing" disabled[live.is_none()]
                aria-pressed=(pressed(live.is_some() && failing)) {
                strong { "•••• 0341" }
                span { "fails on renewal" }
            }
        }
    }
}

fn pressed(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}
