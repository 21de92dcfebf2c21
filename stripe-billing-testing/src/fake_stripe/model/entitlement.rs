/// What a product lets its buyers use.
#[derive(Clone, Debug)]
pub(in crate::fake_stripe) struct Feature {
    pub(in crate::fake_stripe) id: String,
    pub(in crate::fake_stripe) lookup_key: String,
    pub(in crate::fake_stripe) product: String,
}

/// A feature that a customer may use now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fake_stripe) struct Entitlement {
    pub(in crate::fake_stripe) id: String,
    pub(in crate::fake_stripe) feature: String,
    pub(in crate::fake_stripe) lookup_key: String,
}
