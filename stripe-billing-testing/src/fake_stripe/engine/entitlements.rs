//! What customers may use: the features of the products they subscribe to.

use std::collections::BTreeSet;

use crate::fake_stripe::{
    model::{Entitlement, Feature, Status},
    objects::summary,
    state::State,
};

impl State {
    /// A product lets its buyers use a feature, from now on.
    pub(in crate::fake_stripe) fn add_feature(&mut self, product: &str, lookup_key: &str) {
        let known = self.features.iter().find(|feature| feature.lookup_key == lookup_key);
        let id = match known {
            Some(feature) => feature.id.clone(),
            None => self.ids.next("feat_"),
        };
        self.features.push(Feature {
            id,
            lookup_key: lookup_key.to_owned(),
            product: product.to_owned(),
        });
        let customers: BTreeSet<String> =
            self.subscriptions.iter().map(|sub| sub.customer.clone()).collect();
        for customer in customers {
            self.refresh_entitlements(&customer);
        }
    }

    /// Reports what a customer may use, if that changed.
    pub(in crate::fake_stripe) fn refresh_entitlements(&mut self, customer: &str) {
        if self.features.is_empty() {
            return;
        }
        let products: BTreeSet<&str> = self
            .subscriptions
            .iter()
            .filter(|sub| sub.customer == customer)
            .filter(|sub| matches!(sub.status, Status::Active | Status::Trialing | Status::PastDue))
            .flat_map(|sub| sub.items.iter().map(|item| item.price.product.as_str()))
            .collect();
        let wanted: Vec<Feature> = self
            .features
            .iter()
            .filter(|feature| products.contains(feature.product.as_str()))
            .cloned()
            .collect();
        let before = self.entitlements.get(customer).cloned().unwrap_or_default();
        let mut after: Vec<Entitlement> = before
            .iter()
            .filter(|kept| wanted.iter().any(|feature| feature.id == kept.feature))
            .cloned()
            .collect();
        for feature in wanted {
            if !after.iter().any(|known| known.feature == feature.id) {
                after.push(Entitlement {
                    id: self.ids.next("ent_"),
                    feature: feature.id,
                    lookup_key: feature.lookup_key,
                });
            }
        }
        if before != after {
            let (was, is) = (summary(customer, &before), summary(customer, &after));
            self.emit("entitlements.active_entitlement_summary.updated", is, Some(was));
            self.entitlements.insert(customer.to_owned(), after);
        }
    }
}
