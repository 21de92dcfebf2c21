use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stripe::field::{at, id, int, text, time};

/// A payment method as billing sees it (<https://docs.stripe.com/api/payment_methods/object>), or a
/// card or source from before there were payment methods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PaymentMethod {
    /// `pm_...`, `card_...` or `src_...`
    pub id: String,
    /// Whose it is; `None` when it was detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Stripe's word for what it is: `card`, `sepa_debit`, `link`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A card's brand in the word that payment methods use: `visa`, `amex`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// The last four digits of the card or account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last4: Option<String>,
    /// The month at whose end the card expires, 1 to 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp_month: Option<i64>,
    /// The year of that month, four digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp_year: Option<i64>,
    /// The same for the same card or account, whoever brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// When it was created, Unix seconds, UTC; legacy cards do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
}

impl PaymentMethod {
    /// Reads a payment method, or a legacy card or source; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        let kind = text(value, &["type"]).or_else(|| text(value, &["object"]));
        // The details stand under the kind's own name; a legacy card has them at its top.
        let details = kind.as_deref().and_then(|kind| at(value, &[kind])).unwrap_or(value);
        Some(Self {
            id: id(value, &["id"])?,
            customer: id(value, &["customer"]),
            brand: text(details, &["brand"]).map(brand_word),
            last4: text(details, &["last4"]),
            exp_month: int(details, &["exp_month"]).filter(|month| (1..=12).contains(month)),
            exp_year: int(details, &["exp_year"]).filter(|year| (1970..2100).contains(year)),
            fingerprint: text(details, &["fingerprint"]),
            created: time(value, &["created"]),
            kind: kind.filter(|kind| kind != "payment_method" && kind != "source"),
        })
    }
}

/// Legacy cards spell brands as people do (`American Express`).
fn brand_word(brand: String) -> String {
    match brand.to_ascii_lowercase().as_str() {
        "american express" => "amex".to_owned(),
        "diners club" => "diners".to_owned(),
        word if word != brand => word.to_owned(),
        _ => brand,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_shapes_of_a_card_give_one_view() {
        let method = json!({"id": "pm_1", "object": "payment_method", "type": "card",
            "customer": {"id": "cus_1"}, "created": 1_700_000_000, "billing_details": {},
            "card": {"brand": "amex", "last4": "0005", "exp_month": 3, "exp_year": 2029,
                "fingerprint": "f1"}});
        let source = json!({"id": "src_1", "object": "source", "type": "card",
            "customer": "cus_1", "created": 1_700_000_000,
            "card": {"brand": "American Express", "last4": "0005", "exp_month": 3,
                "exp_year": 2029, "fingerprint": "f1"}});
        let card = json!({"id": "card_1", "object": "card", "customer": "cus_1",
            "brand": "American Express", "last4": "0005", "exp_month": 3, "exp_year": 2029,
            "fingerprint": "f1"});
        let view = PaymentMethod::from_json(&method).unwrap();
        assert_eq!(view.kind.as_deref(), Some("card"));
        assert_eq!((view.brand.as_deref(), view.last4.as_deref()), (Some("amex"), Some("0005")));
        assert_eq!((view.exp_month, view.exp_year), (Some(3), Some(2029)));
        let source = PaymentMethod::from_json(&source).unwrap();
        assert_eq!(PaymentMethod { id: "pm_1".into(), ..source }, view);
        let card = PaymentMethod::from_json(&card).unwrap();
        assert_eq!(PaymentMethod { id: "pm_1".into(), created: view.created, ..card }, view);
    }

    #[test]
    fn an_account_has_digits_but_no_brand() {
        let view = PaymentMethod::from_json(&json!({"id": "pm_1", "type": "sepa_debit",
            "customer": null, "sepa_debit": {"last4": "3000", "fingerprint": "f2"}}))
        .unwrap();
        assert_eq!(
            (view.kind.as_deref(), view.last4.as_deref()),
            (Some("sepa_debit"), Some("3000"))
        );
        assert_eq!((view.customer, view.brand, view.exp_month), (None, None, None));
    }

    #[test]
    fn what_is_missing_or_absurd_does_not_fail() {
        let view = PaymentMethod::from_json(&json!({"id": "pm_1", "object": "payment_method",
            "type": "card", "card": {"exp_month": 13, "exp_year": 29, "brand": "Visa"}}))
        .unwrap();
        assert_eq!((view.exp_month, view.exp_year), (None, None));
        assert_eq!(view.brand.as_deref(), Some("visa"));
        let bare = json!({"id": "pm_1", "object": "payment_method"});
        let view = PaymentMethod::from_json(&bare).unwrap();
        let stored = serde_json::to_value(&view).unwrap();
        assert_eq!(stored, json!({"id": "pm_1"}));
        assert_eq!(serde_json::from_value::<PaymentMethod>(stored).unwrap(), view);
        assert_eq!(PaymentMethod::from_json(&json!({"object": "card"})), None);
    }
}
