use toml::de::DeTable;

use super::reader::{Entry, Reader};
use crate::catalog::builder::Draft;
use crate::catalog::check::trial_range;
use crate::catalog::mistake::child;
use crate::catalog::{DisplayAmount, Link, Pack, Plan, PlanPrice, Policy};

const ROOT: &[&str] = &["link", "policy", "plan", "pack"];
const LINK: &[&str] = &["account", "pack"];
const POLICY: &[&str] = &[
    "past_due_grace",
    "on_dispute",
    "on_full_refund",
    "credit_residual",
    "connected_accounts",
    "renewal_grace",
    "upgrade_credits",
    "credits_low",
    "credits_from",
    "dunning",
    "dunning_days",
    "dunning_hours",
    "notifications_per_day",
    "fraud",
];
const PLAN: &[&str] =
    &["name", "features", "limits", "trial_days", "trial_credits", "rollover", "price"];
const PRICE: &[&str] = &[
    "id",
    "label",
    "period",
    "amount",
    "currency",
    "credits",
    "credits_monthly",
    "features",
    "limits",
];
const PACK: &[&str] = &["name", "price", "amount", "currency", "credits"];

/// Takes the whole document.
pub(super) fn draft(reader: &mut Reader<'_>, root: &DeTable<'_>) -> Draft {
    let mut draft = Draft::default();
    for entry in reader.entries("", root) {
        match entry.key {
            "link" => link(reader, &entry, &mut draft.link),
            "policy" => policy(reader, &entry, &mut draft.policy),
            "plan" => {
                for (id, path, table) in named(reader, &entry) {
                    draft.plans.push(plan(reader, id, &path, table));
                }
            }
            "pack" => {
                for (id, path, table) in named(reader, &entry) {
                    draft.packs.push(pack(reader, id, &path, table));
                }
            }
            _ => reader.unknown(&entry, ROOT, None),
        }
    }
    draft
}

/// The tables `[entry.<id>]`, each with its id and path.
fn named<'v, 'i>(
    reader: &mut Reader<'_>,
    entry: &Entry<'v, 'i>,
) -> Vec<(&'v str, String, &'v DeTable<'i>)> {
    let expected = format!("tables headed [{}.<id>]", entry.path);
    let Some(tables) = reader.table(entry, &expected) else {
        return Vec::new();
    };
    let mut named = Vec::new();
    for entry in reader.entries(&entry.path, tables) {
        let expected = format!("a table headed [{}]", entry.path);
        if let Some(table) = reader.table(&entry, &expected) {
            named.push((entry.key, entry.path, table));
        }
    }
    named
}

fn link(reader: &mut Reader<'_>, entry: &Entry<'_, '_>, link: &mut Link) {
    let Some(table) = reader.table(entry, "a table headed [link]") else {
        return;
    };
    for entry in reader.entries(&entry.path, table) {
        let key = match entry.key {
            "account" => &mut link.account,
            "pack" => &mut link.pack,
            _ => {
                reader.unknown(&entry, LINK, None);
                continue;
            }
        };
        if let Some(text) = reader.string(&entry) {
            *key = text;
        }
    }
}

fn policy(reader: &mut Reader<'_>, entry: &Entry<'_, '_>, policy: &mut Policy) {
    let Some(table) = reader.table(entry, "a table headed [policy]") else {
        return;
    };
    for entry in reader.entries(&entry.path, table) {
        match entry.key {
            "past_due_grace" => {
                policy.past_due_grace = reader.duration(&entry, policy.past_due_grace);
            }
            "on_dispute" => policy.on_dispute = reader.word(&entry, policy.on_dispute),
            "on_full_refund" => policy.on_full_refund = reader.word(&entry, policy.on_full_refund),
            "credit_residual" => {
                policy.credit_residual = reader.word(&entry, policy.credit_residual);
            }
            "connected_accounts" => {
                policy.connected_accounts = reader.word(&entry, policy.connected_accounts);
            }
            "renewal_grace" => {
                policy.renewal_grace = reader.duration(&entry, policy.renewal_grace);
            }
            "upgrade_credits" => {
                policy.upgrade_credits = reader.word(&entry, policy.upgrade_credits);
            }
            "credits_low" => policy.credits_low = reader.amounts(&entry),
            "credits_from" => policy.credits_from = reader.words(&entry),
            "dunning" => policy.dunning = reader.word(&entry, policy.dunning),
            "dunning_hours" => policy.dunning_hours = reader.word(&entry, policy.dunning_hours),
            "fraud" => policy.fraud = reader.word(&entry, policy.fraud),
            "dunning_days" => policy.dunning_days = reader.days(&entry),
            "notifications_per_day" => {
                // What cannot be a number of them counts as none, which the checks name.
                let number =
                    reader.integer(&entry).map(|number| u16::try_from(number).unwrap_or(0));
                policy.notifications_per_day = number.unwrap_or(policy.notifications_per_day);
            }
            _ => reader.unknown(&entry, POLICY, None),
        }
    }
}

fn plan(reader: &mut Reader<'_>, id: &str, path: &str, table: &DeTable<'_>) -> Plan {
    let mut plan = Plan::new(id);
    for entry in reader.entries(path, table) {
        match entry.key {
            "name" => plan.name = reader.string(&entry).unwrap_or_default(),
            "features" => plan.features = reader.strings(&entry),
            "limits" => plan.limits = reader.amounts(&entry),
            "trial_days" => plan.trial_days = trial_days(reader, &entry),
            "trial_credits" => plan.trial_credits = reader.amounts(&entry),
            "rollover" => plan.rollover = reader.amounts(&entry),
            "price" => {
                for (path, table) in reader.tables(&entry) {
                    let price = table.map(|table| plan_price(reader, &path, table));
                    plan.prices.push(price.unwrap_or_else(|| PlanPrice::new("")));
                }
            }
            _ => {
                let prices = format!("[[{}]]", child(path, "price"));
                reader.unknown(&entry, PLAN, Some((PRICE, &prices)));
            }
        }
    }
    plan
}

/// Only what cannot be a number of days is named here; the checks know the longest trial.
fn trial_days(reader: &mut Reader<'_>, entry: &Entry<'_, '_>) -> Option<u32> {
    let days = u32::try_from(reader.integer(entry)?).ok();
    if days.is_none() {
        reader.mistake(&entry.path, trial_range());
    }
    days
}

fn plan_price(reader: &mut Reader<'_>, path: &str, table: &DeTable<'_>) -> PlanPrice {
    let mut price = PlanPrice::new("");
    let mut amount = Amount::default();
    for entry in reader.entries(path, table) {
        match entry.key {
            "id" => price.id = reader.string(&entry).unwrap_or_default(),
            "label" => price.label = reader.string(&entry),
            "period" => price.period = reader.period(&entry),
            "amount" | "currency" => amount.take(reader, &entry),
            "credits" => price.credits = reader.amounts(&entry),
            "credits_monthly" => price.credits_monthly = reader.flag(&entry),
            "features" => price.extra_features = reader.strings(&entry),
            "limits" => price.extra_limits = reader.amounts(&entry),
            _ => reader.unknown(&entry, PRICE, Some((PLAN, "the plan, above its prices"))),
        }
    }
    price.display = amount.pair(reader, path);
    price
}

fn pack(reader: &mut Reader<'_>, id: &str, path: &str, table: &DeTable<'_>) -> Pack {
    let mut pack = Pack::new(id, "");
    let mut amount = Amount::default();
    for entry in reader.entries(path, table) {
        match entry.key {
            "name" => pack.name = reader.string(&entry).unwrap_or_default(),
            "price" => pack.price = reader.string(&entry).unwrap_or_default(),
            "amount" | "currency" => amount.take(reader, &entry),
            "credits" => pack.credits = reader.amounts(&entry),
            _ => reader.unknown(&entry, PACK, None),
        }
    }
    pack.display = amount.pair(reader, path);
    pack
}

/// `amount` and `currency`, which mean something only together.
#[derive(Default)]
struct Amount {
    /// Written, and what could be read of it.
    amount: Option<Option<i64>>,
    currency: Option<Option<String>>,
}

impl Amount {
    fn take(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_, '_>) {
        if entry.key == "amount" {
            self.amount = Some(reader.integer(entry));
        } else {
            self.currency = Some(reader.string(entry));
        }
    }

    fn pair(self, reader: &mut Reader<'_>, path: &str) -> Option<DisplayAmount> {
        let message = "amount and currency belong together: write both, or neither";
        match (self.amount, self.currency) {
            (Some(amount), Some(currency)) => {
                let currency = currency.unwrap_or_default();
                Some(DisplayAmount::new(amount.unwrap_or_default(), &currency))
            }
            (Some(_), None) => {
                reader.mistake(child(path, "amount"), message);
                None
            }
            (None, Some(_)) => {
                reader.mistake(child(path, "currency"), message);
                None
            }
            (None, None) => None,
        }
    }
}
