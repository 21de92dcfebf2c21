//! The events that cases start from: every history in every shape.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;
use stripe_billing_testing::event::histories::{ALL, PACK_KEY};
use stripe_billing_testing::event::{Shape, ThinEvent};

/// Events as trees, and words that they are made of.
#[derive(Debug)]
pub(crate) struct Seeds {
    /// In the order in which they happened.
    pub(crate) histories: Vec<Vec<Value>>,
    pub(crate) ids: Vec<String>,
    pub(crate) types: Vec<String>,
    pub(crate) statuses: Vec<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) kinds: Vec<String>,
}

#[derive(Default)]
struct Words {
    ids: BTreeSet<String>,
    types: BTreeSet<String>,
    statuses: BTreeSet<String>,
    keys: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Words {
    fn collect(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    self.keys.insert(key.clone());
                    self.collect(key, value);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| self.collect(key, value)),
            Value::String(text) => {
                let words = match key {
                    "type" => &mut self.types,
                    "object" => &mut self.kinds,
                    _ if key.ends_with("status") || key.ends_with("reason") => &mut self.statuses,
                    // Those of events differ in every history, and would be nearly all.
                    _ if text.contains('_') && text.len() < 40 && !text.starts_with("evt_") => {
                        &mut self.ids
                    }
                    _ => return,
                };
                words.insert(text.clone());
            }
            _ => {}
        }
    }
}

pub(crate) fn seeds() -> &'static Seeds {
    static SEEDS: OnceLock<Seeds> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let parse = |body: &bytes::Bytes| serde_json::from_slice(body).expect("a seed is JSON");
        let mut histories: Vec<Vec<Value>> = Vec::new();
        for (_, history) in ALL {
            for shape in Shape::ALL {
                histories.push(history(shape).iter().map(parse).collect());
            }
        }
        let thin =
            ["v1.invoice.paid", "v1.customer.subscription.updated", "v2.core.account.closed"].map(
                |kind| parse(&ThinEvent::new(kind).related("in_1", "invoice", "/v1/x").build()),
            );
        histories.push(thin.into());
        let mut words = Words::default();
        histories.iter().flatten().for_each(|event| words.collect("", event));
        words.keys.extend([PACK_KEY, "account", "__proto__", ""].map(str::to_owned));
        words.ids.extend(["cus_2", "pi_2", "ch_2", "sub_2", "in_2", ""].map(str::to_owned));
        let list = |set: BTreeSet<String>| set.into_iter().collect();
        Seeds {
            histories,
            ids: list(words.ids),
            types: list(words.types),
            statuses: list(words.statuses),
            keys: list(words.keys),
            kinds: list(words.kinds),
        }
    })
}
