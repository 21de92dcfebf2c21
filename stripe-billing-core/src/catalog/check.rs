use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::TimeDelta;

use super::builder::Draft;
use super::duration;
use super::mistake::{Finding, child, item, shown};
use super::plan::Repeated;
use super::{DisplayAmount, Link, MAX_AMOUNT, Pack, Plan, PlanPrice, Policy};

/// Longest id, feature, limit or unit name, in characters: it has to fit database keys.
const LONGEST_NAME: usize = 100;
/// Longest id of an object at Stripe.
const LONGEST_STRIPE_ID: usize = 255;
/// Longest metadata key Stripe keeps.
const LONGEST_METADATA_KEY: usize = 40;
/// Longest trial Stripe allows, in days.
const LONGEST_TRIAL: u32 = 730;

/// Names everything that is wrong with a draft, whether it came from TOML or from code.
pub(super) fn check(draft: &Draft) -> Vec<Finding> {
    let mut check = Check::default();
    for plan in &draft.plans {
        check.plan(plan);
    }
    for pack in &draft.packs {
        check.pack(pack);
    }
    check.policy(&draft.policy);
    check.link(&draft.link);
    check.findings
}

#[derive(Default)]
struct Check<'d> {
    findings: Vec<Finding>,
    plans: HashSet<&'d str>,
    packs: HashSet<&'d str>,
    /// Where each price id stands.
    prices: HashMap<&'d str, String>,
}

impl<'d> Check<'d> {
    fn report(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding::new(path, message));
    }

    fn plan(&mut self, plan: &'d Plan) {
        let path = child("plan", &plan.id);
        self.name(&path, "plan id", &plan.id);
        if !self.plans.insert(&plan.id) {
            self.report(&path, "this plan is declared twice: give one of them another id");
        }
        self.display_name(&path, &plan.id, &plan.name);
        self.features(&child(&path, "features"), &plan.features, &[], "");
        self.amounts(&child(&path, "limits"), "limit", &plan.limits, 0);
        self.amounts(&child(&path, "trial_credits"), "unit", &plan.trial_credits, 0);
        self.amounts(&child(&path, "rollover"), "unit", &plan.rollover, 0);
        self.repeated(&path, &plan.repeated);
        if plan.trial_days.is_some_and(|days| days > LONGEST_TRIAL) {
            self.report(child(&path, "trial_days"), trial_range());
        }
        let prices = child(&path, "price");
        if plan.prices.is_empty() {
            self.report(&prices, "the plan has no price: add at least one, with its id");
        }
        for (at, price) in plan.prices.iter().enumerate() {
            self.plan_price(&item(&prices, at), plan, price);
        }
    }

    fn plan_price(&mut self, path: &str, plan: &'d Plan, price: &'d PlanPrice) {
        self.price_id(child(path, "id"), &price.id);
        if let Some(label) = &price.label {
            self.display_text(&child(path, "label"), "label", label);
        }
        if price.period.is_some_and(|period| !period.is_billable()) {
            self.report(
                child(path, "period"),
                "Stripe bills at least every three years: name between one day and three years",
            );
        }
        self.amount(path, price.display.as_ref());
        self.amounts(&child(path, "credits"), "unit", &price.credits, 0);
        let features = child(path, "features");
        let of_plan = child(&child("plan", &plan.id), "features");
        self.features(&features, &price.extra_features, &plan.features, &of_plan);
        self.amounts(&child(path, "limits"), "limit", &price.extra_limits, 0);
        self.repeated(path, &price.repeated);
    }

    fn pack(&mut self, pack: &'d Pack) {
        let path = child("pack", &pack.id);
        self.name(&path, "pack id", &pack.id);
        if !self.packs.insert(&pack.id) {
            self.report(&path, "this pack is declared twice: give one of them another id");
        }
        self.display_name(&path, &pack.id, &pack.name);
        self.price_id(child(&path, "price"), &pack.price);
        self.amount(&path, pack.display.as_ref());
        let credits = child(&path, "credits");
        if pack.credits.is_empty() {
            self.report(
                &credits,
                "the pack grants nothing: name a unit and an amount, such as { credits = 1000 }",
            );
        }
        self.amounts(&credits, "unit", &pack.credits, 1);
        self.repeated(&path, &pack.repeated);
    }

    fn policy(&mut self, policy: &Policy) {
        let longest = TimeDelta::days(duration::LONGEST_DAYS);
        if policy.past_due_grace < TimeDelta::zero() || policy.past_due_grace > longest {
            self.report(
                "policy.past_due_grace",
                format!("the grace must be between 0 and {} days", duration::LONGEST_DAYS),
            );
        }
        if policy.renewal_grace < TimeDelta::zero() || policy.renewal_grace > longest {
            self.report(
                "policy.renewal_grace",
                format!("the grace must be between 0 and {} days", duration::LONGEST_DAYS),
            );
        }
        self.amounts("policy.credits_low", "unit", &policy.credits_low, 0);
        let days = &policy.dunning_days;
        let ascending = days.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || days.len() > 10 || days.iter().any(|day| !(1..=90).contains(day)) {
            let message = "at most ten days from 1 to 90, in ascending order";
            self.report("policy.dunning_days", message);
        }
        if !(1..=1_000).contains(&policy.notifications_per_day) {
            let message = "a customer is told between 1 and 1000 notifications within 24 hours";
            self.report("policy.notifications_per_day", message);
        }
    }

    fn link(&mut self, link: &Link) {
        self.metadata_key("link.account", &link.account);
        self.metadata_key("link.pack", &link.pack);
        if link.account == link.pack {
            let message = format!(
                "account and pack both read the metadata key {}: name two different keys",
                shown(&link.pack)
            );
            self.report("link.pack", message);
        }
    }

    fn metadata_key(&mut self, path: &str, key: &str) {
        if let Some(problem) = text_problem("metadata key", key, LONGEST_METADATA_KEY) {
            self.report(path, problem);
        } else if key.contains(['[', ']']) {
            self.report(path, "Stripe allows no square brackets in a metadata key: remove them");
        }
    }

    fn name(&mut self, path: &str, what: &str, name: &str) {
        if let Some(problem) = text_problem(what, name, LONGEST_NAME) {
            self.report(path, problem);
        }
    }

    /// An empty id gives an empty name, which needs no mention of its own.
    fn display_name(&mut self, path: &str, id: &str, name: &str) {
        if !id.trim().is_empty() {
            self.display_text(&child(path, "name"), "name", name);
        }
    }

    fn display_text(&mut self, path: &str, what: &str, text: &str) {
        if text.trim().is_empty() {
            self.report(path, format!("the {what} is empty: write one, or leave it out"));
        }
    }

    fn price_id(&mut self, path: String, id: &'d str) {
        if let Some(problem) = price_id_problem(id) {
            self.report(path, problem);
        } else if let Some(earlier) = self.prices.get(id) {
            let message = format!("the price {} is used twice: a price sells one thing", shown(id));
            let finding = Finding::new(path, message).clashing_with(earlier);
            self.findings.push(finding);
        } else {
            self.prices.insert(id, path);
        }
    }

    fn amount(&mut self, path: &str, display: Option<&DisplayAmount>) {
        let Some(DisplayAmount { amount, currency }) = display else {
            return;
        };
        if !(0..=MAX_AMOUNT).contains(amount) {
            self.report(child(path, "amount"), range_problem("amount", *amount, 0));
        }
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_lowercase()) {
            let message = format!(
                "{} is no currency: write its three letters, such as \"usd\"",
                shown(currency)
            );
            self.report(child(path, "currency"), message);
        }
    }

    fn amounts(&mut self, path: &str, what: &str, amounts: &BTreeMap<String, i64>, least: i64) {
        for (name, amount) in amounts {
            let path = child(path, name);
            if let Some(problem) = text_problem(what, name, LONGEST_NAME) {
                self.report(path, problem);
            } else if !(least..=MAX_AMOUNT).contains(amount) {
                self.report(path, range_problem(&shown(name), *amount, least));
            }
        }
    }

    fn features(&mut self, path: &str, own: &[String], of_plan: &[String], plan_path: &str) {
        for (at, feature) in own.iter().enumerate() {
            let path_here = item(path, at);
            if let Some(problem) = text_problem("feature", feature, LONGEST_NAME) {
                self.report(path_here, problem);
                continue;
            }
            let same = |other: &String| other == feature;
            let before = own.iter().take(at).position(same);
            let earlier = before.map(|at| item(path, at));
            let inherited = of_plan.iter().position(same);
            let earlier = earlier.or_else(|| inherited.map(|at| item(plan_path, at)));
            if let Some(earlier) = earlier {
                let message = format!("the feature {} is named twice: remove one", shown(feature));
                let finding = Finding::new(path_here, message).clashing_with(earlier);
                self.findings.push(finding);
            }
        }
    }

    fn repeated(&mut self, path: &str, repeated: &[Repeated]) {
        for Repeated { map, name } in repeated {
            self.report(
                child(&child(path, map), name),
                format!("{} is set twice: remove one", shown(name)),
            );
        }
    }
}

pub(super) fn trial_range() -> String {
    format!("a trial lasts between 0 and {LONGEST_TRIAL} days")
}

fn range_problem(what: &str, amount: i64, least: i64) -> String {
    if amount < 0 {
        format!("{what} is negative ({amount}): write {least} or more")
    } else if amount < least {
        format!("{what} is {amount}: write {least} or more")
    } else {
        format!("{what} is too large ({amount}): write at most {MAX_AMOUNT}")
    }
}

fn text_problem(what: &str, text: &str, longest: usize) -> Option<String> {
    if text.trim().is_empty() {
        Some(format!("the {what} is empty: give it a name"))
    } else if text.trim().len() != text.len() {
        Some(format!("the {what} {} has space around it: remove it", shown(text)))
    } else if text.chars().any(char::is_control) {
        Some(format!("the {what} {} contains a control character: remove it", shown(text)))
    } else if text.chars().count() > longest {
        Some(format!("the {what} {} is too long: write at most {longest} characters", shown(text)))
    } else {
        None
    }
}

/// Prices have `price_` ids, older ones any text; the ids of other objects are a mix-up.
fn price_id_problem(id: &str) -> Option<String> {
    const OTHERS: [(&str, &str); 7] = [
        ("prod_", "a product"),
        ("sub_", "a subscription"),
        ("cus_", "a customer"),
        ("sk_", "an API key"),
        ("rk_", "an API key"),
        ("pk_", "an API key"),
        ("whsec_", "a webhook secret"),
    ];
    if id.trim().is_empty() {
        return Some("no price id: write the id of the Stripe price, such as \"price_123\"".into());
    }
    let problem = text_problem("price id", id, LONGEST_STRIPE_ID);
    problem.or_else(|| {
        let (_, what) = OTHERS.iter().find(|(prefix, _)| id.starts_with(prefix))?;
        Some(format!("this is {what}, not a price: write the id that starts with \"price_\""))
    })
}
