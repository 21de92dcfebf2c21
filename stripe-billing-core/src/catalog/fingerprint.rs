use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{DisplayAmount, Link, Pack, Plan, PlanPrice, Policy};

/// Hashes the whole meaning of a catalog: order of declaration and formatting do not count.
///
/// Each type is taken apart by name, so that a new field cannot be forgotten here.
pub(super) fn of(plans: &[Plan], packs: &[Pack], policy: &Policy, link: &Link) -> String {
    let mut meaning = Meaning(Sha256::new());
    meaning.text("catalog 1");
    meaning.sorted(plans, |plan| &plan.id, Meaning::plan);
    meaning.sorted(packs, |pack| &pack.id, Meaning::pack);
    meaning.policy(policy);
    let Link { account, pack } = link;
    meaning.text(account);
    meaning.text(pack);
    let hash = meaning.0.finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Feeds values with their lengths, so that no two meanings run into the same bytes.
struct Meaning(Sha256);

impl Meaning {
    fn number(&mut self, number: i64) {
        self.0.update(number.to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn optional<T>(&mut self, value: Option<T>, feed: impl FnOnce(&mut Self, T)) {
        self.number(i64::from(value.is_some()));
        if let Some(value) = value {
            feed(self, value);
        }
    }

    fn amounts(&mut self, amounts: &BTreeMap<String, i64>) {
        self.count(amounts.len());
        for (name, amount) in amounts {
            self.text(name);
            self.number(*amount);
        }
    }

    fn sorted<T>(&mut self, items: &[T], key: fn(&T) -> &String, feed: fn(&mut Self, &T)) {
        let mut items: Vec<&T> = items.iter().collect();
        items.sort_by_key(|item| key(item));
        self.count(items.len());
        for item in items {
            feed(self, item);
        }
    }

    fn features(&mut self, features: &[String]) {
        self.sorted(features, |feature| feature, |meaning, feature| meaning.text(feature));
    }

    fn display(&mut self, display: Option<&DisplayAmount>) {
        self.optional(display, |meaning, DisplayAmount { amount, currency }| {
            meaning.number(*amount);
            meaning.text(currency);
        });
    }

    fn plan(&mut self, plan: &Plan) {
        let Plan {
            id,
            name,
            features,
            limits,
            trial_days,
            trial_credits,
            rollover,
            prices,
            repeated: _,
        } = plan;
        self.amounts(rollover);
        self.text(id);
        self.text(name);
        self.features(features);
        self.amounts(limits);
        self.optional(*trial_days, |meaning, days| meaning.number(days.into()));
        self.amounts(trial_credits);
        self.sorted(prices, |price| &price.id, Self::price);
    }

    fn price(&mut self, price: &PlanPrice) {
        let PlanPrice {
            id,
            label,
            period,
            display,
            credits,
            credits_monthly,
            extra_features,
            extra_limits,
            repeated: _,
        } = price;
        self.text(id);
        self.optional(label.as_deref(), Self::text);
        self.optional(*period, |meaning, period| meaning.text(&period.to_string()));
        self.display(display.as_ref());
        self.amounts(credits);
        self.number(i64::from(*credits_monthly));
        self.features(extra_features);
        self.amounts(extra_limits);
    }

    fn pack(&mut self, pack: &Pack) {
        let Pack { id, name, price, display, credits, repeated: _ } = pack;
        self.text(id);
        self.text(name);
        self.text(price);
        self.display(display.as_ref());
        self.amounts(credits);
    }

    fn policy(&mut self, policy: &Policy) {
        let Policy {
            past_due_grace,
            on_dispute,
            on_full_refund,
            credit_residual,
            connected_accounts,
            renewal_grace,
            upgrade_credits,
            credits_low,
            credits_from,
            dunning,
            dunning_days,
            dunning_hours,
            notifications_per_day,
            fraud,
        } = policy;
        self.text(fraud.as_str());
        self.text(dunning.as_str());
        self.text(dunning_hours.as_str());
        self.number((*notifications_per_day).into());
        self.count(dunning_days.len());
        for day in dunning_days {
            self.number((*day).into());
        }
        self.number(renewal_grace.num_seconds());
        self.text(upgrade_credits.as_str());
        self.amounts(credits_low);
        for (feature, from) in credits_from {
            self.text(feature);
            self.text(from.as_str());
        }
        self.number(past_due_grace.num_seconds());
        self.number(past_due_grace.subsec_nanos().into());
        self.text(on_dispute.as_str());
        self.text(on_full_refund.as_str());
        self.text(credit_residual.as_str());
        self.text(connected_accounts.as_str());
    }
}
