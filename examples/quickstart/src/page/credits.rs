use chrono::{DateTime, Utc};
use maud::{Markup, html};
use stripe_billing_core::StoreError;
use stripe_billing_core::ledger::{BalanceView, Entry, EntryKind};

use super::status::spaced;
use crate::money::grouped;
use crate::state::App;
use crate::words::{day, minute};
use crate::work;

/// How many entries the page lists.
const LISTED: u32 = 6;

/// An account's credits, and what moved them last.
pub(super) struct Credits {
    unit: String,
    balance: BalanceView,
    entries: Vec<Entry>,
}

/// Reads the credits that the page shows: those of the catalog's first unit.
pub(super) async fn read(app: &App, account: &str) -> Result<Option<Credits>, StoreError> {
    let Some((unit, balance)) = app.billing.credits(account).await?.into_iter().next() else {
        return Ok(None);
    };
    let entries = app.billing.credit_history(account, &unit, None, LISTED).await?;
    Ok(Some(Credits { unit, balance, entries }))
}

pub(super) fn render(credits: Option<&Credits>) -> Markup {
    let Some(Credits { unit, balance, entries }) = credits else { return html! {} };
    html! {
        h2 { "Credits" }
        div.purse {
            p.balance {
                strong #balance data-available=(balance.available) { (signed(balance.available)) }
                span.quiet { (spaced(unit)) " to spend" }
            }
            ul.chips aria-label="Set aside" {
                @if balance.held > 0 { li #held { (grouped(balance.held.unsigned_abs())) " at work" } }
                @if balance.frozen > 0 { li { (grouped(balance.frozen.unsigned_abs())) " frozen" } }
                @if balance.debt > 0 { li.owed { (grouped(balance.debt.unsigned_abs())) " owed" } }
                @if let Some(at) = balance.expires_at { li.limit { (grouped(balance.expiring.unsigned_abs())) " until " (day(at.timestamp())) } }
            }
            div.actions {
                form method="post" action="/demo/work" {
                    button.primary #work name="job" value="succeeds" { "Write a story (" (work::COST) ")" }
                }
                form method="post" action="/demo/work" {
                    button #fail name="job" value="fails" { "Write one that fails" }
                }
            }
        }
        p.hint { "A story reserves its credits, runs, and spends them. When it fails, panics or the process dies, they come back." }
        ol.feed #entries {
            @for entry in entries {
                li data-kind=(kind(entry.kind)) {
                    span { (words(entry.kind)) @if let Some(feature) = &entry.feature { span.quiet { " · " (spaced(feature)) } } }
                    span.change { (change(entry.delta_available)) }
                    time { (minute(unix(entry.recorded_at))) }
                }
            }
        }
    }
}

fn unix(at: DateTime<Utc>) -> i64 {
    at.timestamp()
}

fn signed(amount: i64) -> String {
    let sign = if amount < 0 { "−" } else { "" };
    format!("{sign}{}", grouped(amount.unsigned_abs()))
}

fn change(amount: i64) -> String {
    match amount {
        0 => "±0".to_owned(),
        1.. => format!("+{}", grouped(amount.unsigned_abs())),
        _ => signed(amount),
    }
}

fn kind(kind: EntryKind) -> String {
    let word = serde_json::to_value(kind).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

fn words(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Grant => "Granted",
        EntryKind::Rollover => "Carried over",
        EntryKind::Restore | EntryKind::Reversal => "Given back",
        EntryKind::Spend | EntryKind::ForcedSpend => "Spent",
        EntryKind::Reserve => "Reserved",
        EntryKind::Capture => "Spent what was reserved",
        EntryKind::Release | EntryKind::ReleaseTimeout => "Came back",
        EntryKind::Expire => "Ran out",
        EntryKind::Clawback => "Taken back with the money",
        EntryKind::Freeze => "Frozen by a dispute",
        EntryKind::Unfreeze => "Set free",
        _ => "Corrected",
    }
}
