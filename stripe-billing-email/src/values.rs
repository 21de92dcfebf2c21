//! The facts of a notice as words of the language. What is not known has no value.

use chrono_tz::Tz;
use stripe_billing_core::Notification;
use stripe_billing_core::notice::{CardDetails, Money, NoticeKind, PlanDetails};

use crate::clean;
use crate::money::{money, number};
use crate::words::{Values, Words};

/// Products that are named, of more.
const MAX_NAMES: usize = 4;

/// Everything that the mail's texts may name.
pub(crate) fn values(notification: &Notification, words: &Words, zone: Tz, sender: &str) -> Values {
    let details = &notification.details;
    let language = words.language;
    let mut values = Values::new();
    let mut put = |slot, value: Option<String>| {
        if let Some(value) = value {
            values.insert(slot, value);
        }
    };
    let day = |seconds: Option<i64>| seconds.and_then(|seconds| words.day(seconds, zone));
    let instant = |seconds: Option<i64>| seconds.and_then(|seconds| words.instant(seconds, zone));
    let text = |text: &Option<String>| text.as_deref().and_then(clean::line);
    let sum = |amount: &Option<Money>| amount.as_ref().map(|amount| money(amount, language));

    put("sender", Some(sender.to_owned()));
    put("zone", Some(zone.name().replace('_', " ")));
    if !notification.notice.kind.is_internal() {
        put("name", text(&details.recipient.name));
    }
    put("product", list(&details.products, words));
    put("amount", sum(&details.amount));
    put("total", sum(&details.total));
    put("invoice", text(&details.invoice_number));
    if let Some(known) = &details.card {
        put("card", card(known, words));
        put("last4", text(&known.last4));
        put("expiry", known.expires.and_then(|(year, month)| words.expiry(year, month)));
    }
    put("paid", day(details.paid_at));
    put("period_end", day(details.period_end));
    put("due", day(details.due));
    put("next_attempt", day(details.next_attempt));
    put("grace_end", instant(details.grace_end));
    put("date", day(details.at));
    put("deadline", instant(details.deadline));
    put("reason", text(&details.reason));
    put("payment", text(&details.payment));
    put("customer", clean::line(&notification.subject.id));
    put("account", text(&notification.account));
    if let Some(before) = &details.before {
        put("old_plan", list(&before.names, words));
        put("old_price", price(before, words));
    }
    if let Some(after) = &details.after {
        put("new_plan", list(&after.names, words));
        put("new_price", price(after, words));
    }
    if let Some(credits) = &details.credits {
        let unit = clean::line(&credits.unit).unwrap_or_default();
        put("credits", credits.amount.and_then(|amount| counted(amount, &unit, words)));
        put("available", credits.available.and_then(|amount| counted(amount, &unit, words)));
    }
    of_kind(notification, words, &mut values);
    values
}

/// What the notice itself names.
fn of_kind(notification: &Notification, words: &Words, values: &mut Values) {
    let mut put = |slot, value: Option<String>| {
        if let Some(value) = value {
            values.insert(slot, value);
        }
    };
    let details = &notification.details;
    match notification.notice.kind {
        NoticeKind::DisputeOpened
        | NoticeKind::DisputeWon
        | NoticeKind::DisputeLost
        | NoticeKind::DisputeDeadline => {
            put("dispute", notification.notice.dispute().and_then(clean::line));
        }
        NoticeKind::EventDead => put("event", clean::line(&notification.notice.detail)),
        NoticeKind::TicketOpened => {
            let ticket = details.ticket.as_ref();
            let said = ticket.map(|it| format!("ticket.{}", it.kind.as_str()));
            let said = said.and_then(|key| words.say(&key, &Values::new()));
            put("ticket", said.or_else(|| words.say("ticket.unknown", &Values::new())));
            let about = ticket.map_or(notification.notice.detail.as_str(), |it| it.about.as_str());
            put("ticket_about", clean::line(about));
        }
        _ => {}
    }
}

/// `Pro`, `Pro and Storage`, `Pro, Storage, …`.
fn list(names: &[String], words: &Words) -> Option<String> {
    let mut names: Vec<String> = names.iter().filter_map(|name| clean::line(name)).collect();
    match names.as_slice() {
        [first, rest] => {
            let parts = Values::from([("first", first.clone()), ("rest", rest.clone())]);
            words.say("list.and", &parts)
        }
        _ => {
            if names.len() > MAX_NAMES {
                names.truncate(MAX_NAMES);
                names.push("…".to_owned());
            }
            (!names.is_empty()).then(|| names.join(", "))
        }
    }
}

/// A number of things, in the right form.
fn counted(count: i64, unit: &str, words: &Words) -> Option<String> {
    let parts =
        Values::from([("n", number(count, words.language)), ("unit", unit.replace('_', " "))]);
    let key = if unit == "credits" { "unit.credits" } else { "unit.named" };
    words.count(key, count, &parts)
}

/// `$19.00 per month`.
fn price(plan: &PlanDetails, words: &Words) -> Option<String> {
    let price = money(plan.price.as_ref()?, words.language);
    let period = plan.period.as_ref().and_then(|(unit, count)| {
        let parts = Values::from([("n", number(*count, words.language))]);
        words.count(&format!("period.{unit}"), *count, &parts)
    });
    let Some(period) = period else { return Some(price) };
    words.say("price.per", &Values::from([("price", price), ("period", period)]))
}

/// `Visa ending in 4242`.
fn card(card: &CardDetails, words: &Words) -> Option<String> {
    let mut parts = Values::new();
    if let Some(brand) = card.brand.as_deref().and_then(clean::line) {
        parts.insert("brand", brand_name(&brand));
    }
    if let Some(last4) = card.last4.as_deref().and_then(clean::line) {
        parts.insert("last4", last4);
    }
    words.say("card.known", &parts)
}

fn brand_name(brand: &str) -> String {
    match brand {
        "amex" => "American Express".to_owned(),
        "cartes_bancaires" => "Cartes Bancaires".to_owned(),
        "diners" => "Diners Club".to_owned(),
        "eftpos_au" => "eftpos".to_owned(),
        "jcb" => "JCB".to_owned(),
        "mastercard" => "Mastercard".to_owned(),
        "unionpay" => "UnionPay".to_owned(),
        other => {
            let mut chars = other.chars();
            let first = chars.next().map(|first| first.to_uppercase().collect::<String>());
            first.unwrap_or_default() + chars.as_str()
        }
    }
}
