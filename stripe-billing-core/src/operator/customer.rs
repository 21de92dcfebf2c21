use std::collections::BTreeMap;

use serde::Serialize;

use crate::state::{PaymentMethodRecord, Record, Subject};

/// The customer as Stripe has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CustomerDetails {
    /// `cus_...`
    pub id: String,
    /// Whether Stripe said that it is deleted.
    pub deleted: bool,
    /// Where mail goes.
    pub email: Option<String>,
    /// Languages the customer prefers, best first.
    pub locales: Vec<String>,
    /// The app's own notes on it.
    pub metadata: BTreeMap<String, String>,
}

/// What named the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LinksView {
    /// Whether the sources that name a customer's account disagree.
    pub contested: bool,
}

/// A customer, or what stands in for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SubjectView {
    /// A customer id; without a customer that of a payment, a session, ...
    pub id: String,
    /// Live mode or test mode.
    pub livemode: bool,
    /// The account that it belongs to.
    pub account: Option<String>,
    /// Whether the sources that name its account disagree.
    pub contested: bool,
    /// Grows with every change.
    pub version: i64,
    /// The ids by which it is known where it has no customer.
    pub names: Vec<String>,
}

/// A card, or another way to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PaymentMethodView {
    /// `pm_...`, `card_...` or `src_...`
    pub id: String,
    /// Stripe's word for what it is.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// A card's brand.
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// The month at whose end it expires, 1 to 12.
    pub exp_month: Option<i64>,
    /// The year of that month.
    pub exp_year: Option<i64>,
    /// Whether it was detached from its customer.
    pub detached: bool,
    /// When it was created.
    pub created: Option<i64>,
}

impl CustomerDetails {
    pub(super) fn of(subject: &Subject) -> Option<Self> {
        subject.records.values().find_map(|record| {
            let Record::Customer(record) = record else { return None };
            let view = record.latest()?;
            Some(Self {
                id: view.id.clone(),
                deleted: record.is_deleted(),
                email: view.email.clone(),
                locales: view.locales.clone(),
                metadata: view.metadata.clone(),
            })
        })
    }
}

impl LinksView {
    pub(super) fn of(subjects: &[Subject]) -> Self {
        Self { contested: subjects.iter().any(|subject| subject.links.is_contested()) }
    }
}

impl SubjectView {
    pub(super) fn of(subject: &Subject) -> Self {
        Self {
            id: subject.key.id.clone(),
            livemode: subject.key.tenant.livemode,
            account: subject.links.account().map(str::to_owned),
            contested: subject.links.is_contested(),
            version: subject.version,
            names: subject.links.names().iter().map(|name| name.id.clone()).collect(),
        }
    }
}

impl PaymentMethodView {
    /// The subject's payment methods.
    pub(super) fn all(subject: &Subject) -> Vec<Self> {
        let methods = subject.records.values().filter_map(|record| match record {
            Record::PaymentMethod(record) => Self::of(record),
            _ => None,
        });
        methods.collect()
    }

    fn of(record: &PaymentMethodRecord) -> Option<Self> {
        let view = record.latest()?;
        Some(Self {
            id: view.id.clone(),
            kind: view.kind.clone(),
            brand: view.brand.clone(),
            last4: view.last4.clone(),
            exp_month: view.exp_month,
            exp_year: view.exp_year,
            detached: record.is_detached(),
            created: view.created,
        })
    }
}
