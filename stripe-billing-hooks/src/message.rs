//! What is posted: a pure function of the fact.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stripe_billing_core::Fact;

/// A fact in the form in which every endpoint gets it, in every attempt.
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: String,
}

impl Message {
    /// # Errors
    /// If the fact cannot be written as JSON, which no retry changes.
    pub(crate) fn of(fact: &Fact) -> Result<Self, serde_json::Error> {
        let id = id(fact);
        let mut data = serde_json::to_value(&fact.event)?;
        if let Value::Object(fields) = &mut data {
            fields.remove("type");
        }
        let tenant = &fact.subject.tenant;
        let body = json!({
            "id": id,
            "type": fact.event.kind(),
            "key": fact.key,
            "account": fact.account,
            "subject": fact.subject.id,
            "livemode": tenant.livemode,
            "stripe_account": tenant.stripe_account,
            "data": data,
        });
        Ok(Self { id, body: body.to_string() })
    }
}

/// Unique over all tenants, since a key is unique in its own only; without the dots that the scheme
/// separates with.
fn id(fact: &Fact) -> String {
    let tenant = &fact.subject.tenant;
    let mut hash = Sha256::new();
    for part in [tenant.stripe_account.as_deref().unwrap_or_default(), &fact.key] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update([u8::from(tenant.livemode)]);
    let digest = hash.finalize();
    digest.iter().take(16).fold("msg_".to_owned(), |mut id, byte| {
        // Writing to a string does not fail.
        let _ = write!(id, "{byte:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    use stripe_billing_core::{DomainEvent, SubjectKey, Tenant};

    use super::*;

    fn fact(stripe_account: Option<&str>, livemode: bool, subscription: &str) -> Fact {
        let tenant = Tenant { stripe_account: stripe_account.map(str::to_owned), livemode };
        let event = DomainEvent::SubscriptionStarted { subscription: subscription.to_owned() };
        Fact::new(SubjectKey { tenant, id: "cus_1".to_owned() }, "acme", event)
    }

    #[test]
    fn the_id_is_the_facts_and_of_its_tenant() {
        let id = |fact: &Fact| Message::of(fact).unwrap().id;
        let first = id(&fact(None, true, "sub_1"));
        assert_eq!(first, id(&fact(None, true, "sub_1")));
        assert_eq!((first.len(), &first[..4]), (36, "msg_"));
        for other in
            [fact(None, false, "sub_1"), fact(Some("acct_1"), true, "sub_1"), fact(None, true, "s")]
        {
            assert_ne!(first, id(&other));
        }
    }

    #[test]
    fn the_body_names_the_fact_and_whose_it_is() {
        let body = Message::of(&fact(Some("acct_1"), false, "sub_1")).unwrap().body;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["type"], "subscription_started");
        assert_eq!(body["key"], "subscription_started:sub_1");
        assert_eq!(body["data"], json!({"subscription": "sub_1"}));
        assert_eq!((&body["account"], &body["subject"]), (&json!("acme"), &json!("cus_1")));
        assert_eq!((&body["livemode"], &body["stripe_account"]), (&json!(false), &json!("acct_1")));
    }
}
