use std::collections::BTreeMap;

use serde::Serialize;

use super::Period;

/// A plan: what a subscription to one of its prices gives.
///
/// The fields are for reading; the methods of the same names declare a plan in code. Nothing is
/// checked before [`CatalogBuilder::build`](super::CatalogBuilder::build).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The app's own id of the plan, unique in the catalog.
    pub id: String,
    /// The name to show; by default the id in words (`team_plus` is shown as `Team Plus`).
    pub name: String,
    /// The features every price of the plan gives, as declared.
    pub features: Vec<String>,
    /// Upper bounds by name. A name that is not here is not limited by the plan.
    pub limits: BTreeMap<String, i64>,
    /// Free days at the start of a subscription, if the plan offers a trial.
    pub trial_days: Option<u32>,
    /// Credits granted once for a trial, as unit and amount. Empty: a trial grants none.
    pub trial_credits: BTreeMap<String, i64>,
    /// Credits that a renewal carries over at most, as unit and amount, once: what is carried over and
    /// left a period later ends. Without it nothing is carried over.
    pub rollover: BTreeMap<String, i64>,
    /// The Stripe prices that sell the plan, as declared (monthly and annual, for example).
    pub prices: Vec<PlanPrice>,
    #[serde(skip)]
    pub(super) repeated: Vec<Repeated>,
}

/// A name given twice in code, where the map that keeps it cannot hold both.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Repeated {
    pub(super) map: &'static str,
    pub(super) name: String,
}

impl Plan {
    /// A plan without features, limits and prices.
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            name: display_name(&id),
            id,
            features: Vec::new(),
            limits: BTreeMap::new(),
            trial_days: None,
            trial_credits: BTreeMap::new(),
            rollover: BTreeMap::new(),
            prices: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// Sets the name to show.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds a feature.
    #[must_use]
    pub fn feature(mut self, feature: impl Into<String>) -> Self {
        self.features.push(feature.into());
        self
    }

    /// Adds a limit; zero means none at all.
    #[must_use]
    pub fn limit(mut self, name: impl Into<String>, limit: i64) -> Self {
        let (map, repeated) = (&mut self.limits, &mut self.repeated);
        insert(map, repeated, "limits", name.into(), limit);
        self
    }

    /// Sets the length of the trial in days (Stripe allows up to 730).
    #[must_use]
    pub fn trial_days(mut self, days: u32) -> Self {
        self.trial_days = Some(days);
        self
    }

    /// Adds credits that a trial grants.
    #[must_use]
    pub fn trial_credits(mut self, unit: impl Into<String>, amount: i64) -> Self {
        let (map, repeated) = (&mut self.trial_credits, &mut self.repeated);
        insert(map, repeated, "trial_credits", unit.into(), amount);
        self
    }

    /// Lets a renewal carry over so many unused credits at most.
    #[must_use]
    pub fn rollover(mut self, unit: impl Into<String>, amount: i64) -> Self {
        let (map, repeated) = (&mut self.rollover, &mut self.repeated);
        insert(map, repeated, "rollover", unit.into(), amount);
        self
    }

    /// Adds a Stripe price that sells the plan.
    #[must_use]
    pub fn price(mut self, price: PlanPrice) -> Self {
        self.prices.push(price);
        self
    }
}

/// One Stripe price of a plan, and what it gives beyond the plan.
///
/// Serialised, the extra features and limits are called `features` and `limits`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanPrice {
    /// The id of the price at Stripe.
    pub id: String,
    /// A short text that tells the plan's prices apart ("Annual, two months free").
    pub label: Option<String>,
    /// The billing period to show. Informational: the period that counts is the subscription's.
    pub period: Option<Period>,
    /// The amount to show. Informational: Stripe's price decides what is charged.
    #[serde(flatten)]
    pub display: Option<DisplayAmount>,
    /// The credit allowance as unit and amount, per paid period and per quantity.
    pub credits: BTreeMap<String, i64>,
    /// Whether the allowance is a month's, granted every month of a paid period.
    pub credits_monthly: bool,
    /// Features that only this price gives.
    #[serde(rename = "features")]
    pub extra_features: Vec<String>,
    /// Limits of this price; each replaces the plan's limit of the same name.
    #[serde(rename = "limits")]
    pub extra_limits: BTreeMap<String, i64>,
    #[serde(skip)]
    pub(super) repeated: Vec<Repeated>,
}

impl PlanPrice {
    /// A price that gives what the plan gives, and no credits.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            label: None,
            period: None,
            display: None,
            credits: BTreeMap::new(),
            credits_monthly: false,
            extra_features: Vec::new(),
            extra_limits: BTreeMap::new(),
            repeated: Vec::new(),
        }
    }

    /// Grants the allowance every month of a paid period, on the day of the month on which it began.
    #[must_use]
    pub fn credits_monthly(mut self) -> Self {
        self.credits_monthly = true;
        self
    }

    /// Adds an allowance of credits, per paid period and per quantity.
    #[must_use]
    pub fn credits(mut self, unit: impl Into<String>, amount: i64) -> Self {
        let (map, repeated) = (&mut self.credits, &mut self.repeated);
        insert(map, repeated, "credits", unit.into(), amount);
        self
    }

    /// Sets the billing period to show.
    #[must_use]
    pub fn period(mut self, period: Period) -> Self {
        self.period = Some(period);
        self
    }

    /// Sets the text that tells the plan's prices apart.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the amount to show, in minor units of the currency (Stripe's `unit_amount`).
    #[must_use]
    pub fn amount(mut self, amount: i64, currency: &str) -> Self {
        self.display = Some(DisplayAmount::new(amount, currency));
        self
    }

    /// Adds a feature that only this price gives.
    #[must_use]
    pub fn feature(mut self, feature: impl Into<String>) -> Self {
        self.extra_features.push(feature.into());
        self
    }

    /// Adds a limit of this price; it replaces the plan's limit of the same name.
    #[must_use]
    pub fn limit(mut self, name: impl Into<String>, limit: i64) -> Self {
        let (map, repeated) = (&mut self.extra_limits, &mut self.repeated);
        insert(map, repeated, "limits", name.into(), limit);
        self
    }

    /// Everything a subscriber to this price may use: the plan's features, then the price's own.
    pub fn features<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a str> {
        let all = plan.features.iter().chain(&self.extra_features);
        all.map(String::as_str)
    }

    /// The limits of a subscriber to this price: the plan's, unless the price replaces them, then
    /// the price's own.
    ///
    /// ```
    /// use stripe_billing_core::catalog::{Plan, PlanPrice};
    ///
    /// let plan = Plan::new("pro").limit("projects", 20).limit("seats", 5);
    /// let annual = PlanPrice::new("price_annual").limit("projects", 50);
    /// assert!(annual.limits(&plan).eq([("seats", 5), ("projects", 50)]));
    /// ```
    pub fn limits<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a str, i64)> {
        let kept = plan.limits.iter();
        kept.filter(|(name, _)| !self.extra_limits.contains_key(*name))
            .chain(&self.extra_limits)
            .map(|(name, limit)| (name.as_str(), *limit))
    }
}

/// A pack: credits sold once, granted once per paid checkout session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pack {
    /// The app's own id of the pack, unique in the catalog.
    pub id: String,
    /// The name to show; by default the id in words.
    pub name: String,
    /// The id of the price at Stripe.
    pub price: String,
    /// The amount to show. Informational: Stripe's price decides what is charged.
    #[serde(flatten)]
    pub display: Option<DisplayAmount>,
    /// What the pack grants, as unit and amount, per quantity.
    pub credits: BTreeMap<String, i64>,
    #[serde(skip)]
    pub(super) repeated: Vec<Repeated>,
}

impl Pack {
    /// A pack sold by a Stripe price; it needs [`credits`](Self::credits) to be of any use.
    pub fn new(id: impl Into<String>, price: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            name: display_name(&id),
            id,
            price: price.into(),
            display: None,
            credits: BTreeMap::new(),
            repeated: Vec::new(),
        }
    }

    /// Sets the name to show.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the amount to show, in minor units of the currency (Stripe's `unit_amount`).
    #[must_use]
    pub fn amount(mut self, amount: i64, currency: &str) -> Self {
        self.display = Some(DisplayAmount::new(amount, currency));
        self
    }

    /// Adds credits that the pack grants.
    #[must_use]
    pub fn credits(mut self, unit: impl Into<String>, amount: i64) -> Self {
        let (map, repeated) = (&mut self.credits, &mut self.repeated);
        insert(map, repeated, "credits", unit.into(), amount);
        self
    }
}

/// An amount of money to show beside a plan or a pack; it never decides what is charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DisplayAmount {
    /// Minor units of the currency, as in Stripe's `unit_amount` (1900 is 19.00 in `usd`, and 1900
    /// yen in `jpy`).
    pub amount: i64,
    /// ISO 4217 code in lower case, as Stripe writes it.
    pub currency: String,
}

impl DisplayAmount {
    /// An amount in minor units; the currency is kept in lower case.
    pub fn new(amount: i64, currency: &str) -> Self {
        Self { amount, currency: currency.to_ascii_lowercase() }
    }
}

fn insert(
    map: &mut BTreeMap<String, i64>,
    repeated: &mut Vec<Repeated>,
    field: &'static str,
    name: String,
    value: i64,
) {
    if map.insert(name.clone(), value).is_some() {
        repeated.push(Repeated { map: field, name });
    }
}

/// `team_plus` becomes `Team Plus`; an id without letters or digits stays as it is.
fn display_name(id: &str) -> String {
    let words: Vec<String> = id
        .split(['_', '-', ' '])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(letters).collect()
        })
        .collect();
    if words.is_empty() { id.to_owned() } else { words.join(" ") }
}
