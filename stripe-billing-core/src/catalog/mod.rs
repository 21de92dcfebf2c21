//! stub
#![allow(missing_docs)]
#[derive(Debug, Clone, Default)]
pub struct LinkKeys {
    pub account: String,
    pub pack: String,
}
#[derive(Debug, Clone)]
pub struct Policy {
    pub past_due_grace: chrono::TimeDelta,
}
#[derive(Debug, Clone, Default)]
pub struct Plan;
#[derive(Debug, Clone, Default)]
pub struct PlanPrice;
#[derive(Debug, Clone)]
pub struct Catalog {
    policy: Policy,
    link: LinkKeys,
}
impl Plan {
    pub fn id(&self) -> &str {
        ""
    }
    pub fn features(&self) -> impl Iterator<Item = &str> {
        [].into_iter()
    }
    pub fn limits(&self) -> impl Iterator<Item = (&str, i64)> {
        [].into_iter()
    }
}
impl PlanPrice {
    pub fn features(&self) -> impl Iterator<Item = &str> {
        [].into_iter()
    }
    pub fn limits(&self) -> impl Iterator<Item = (&str, i64)> {
        [].into_iter()
    }
}
impl Catalog {
    pub fn plan_of_price(&self, _p: &str) -> Option<(&Plan, &PlanPrice)> {
        None
    }
    pub fn fingerprint(&self) -> &str {
        ""
    }
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
    pub fn link(&self) -> &LinkKeys {
        &self.link
    }
}
