//! Which subject an event belongs to, among the ids that it names.

use std::collections::{BTreeMap, BTreeSet};

use super::links::{Anchor, Links, Name};
use super::patch::Patch;
use super::record::{ObjectKind, ObjectRef};
use super::subject::Subject;
use crate::changes::Adoption;
use crate::keys::{SubjectKey, Tenant};
use crate::stripe::Resource;

/// The subject that an event belongs to, with all that turned out to be it under other names.
///
/// An event ties ids together: a charge names its payment intent, and perhaps its customer. The
/// best of all the names is the subject, so that whatever the order in which they became known, it
/// is the same in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Family {
    /// The subject; version 0 when it is new.
    pub subject: Subject,
    /// Subjects of their own until now, which are the same as it.
    pub orphans: Vec<Subject>,
    /// Their names, and new ones.
    pub adopted: Vec<Adoption>,
    /// The names of the subject when it has no customer.
    pub names: BTreeSet<Name>,
    /// Charges, and the payment intents that they are part of.
    pub routes: BTreeMap<String, String>,
}

/// What came of looking for an event's subject.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Resolved {
    /// It is known.
    Family(Box<Family>),
    /// These subjects have to be loaded first.
    Load(BTreeSet<String>),
    /// The names lead to no subject: their rows own each other, as nothing writes them.
    Astray(BTreeSet<String>),
}

/// Subjects as they were loaded; `None` is one that is not stored.
pub type Loaded = BTreeMap<String, Option<Subject>>;

impl Family {
    /// The family of a subject that is alone.
    pub fn alone(subject: Subject) -> Self {
        Self {
            subject,
            orphans: Vec::new(),
            adopted: Vec::new(),
            names: BTreeSet::new(),
            routes: BTreeMap::new(),
        }
    }

    /// Records of the subject that a decision on the patch needs besides the current ones: those
    /// that it names, and what a payment that is disputed or refunded paid for.
    pub fn needed(&self, patch: &Patch) -> BTreeSet<ObjectRef> {
        let objects: Vec<ObjectRef> = patch
            .objects()
            .into_iter()
            .flat_map(|object| {
                let intent =
                    self.routes.get(&object.id).filter(|_| object.kind == ObjectKind::Payment);
                let routed = intent.map(|intent| ObjectRef::new(object.kind, intent.clone()));
                [Some(object), routed]
            })
            .flatten()
            .collect();
        let mut needed = self.subject.wanted(&objects);
        needed.extend(self.orphans.iter().flat_map(|orphan| orphan.records.keys().cloned()));
        needed.extend(objects);
        needed
    }

    /// The object of the patch whose last state the events leave open; Stripe can tell.
    pub(crate) fn tie(&self, patch: &Patch) -> Option<(Resource, String)> {
        let arrived = patch.records.first()?;
        let object = arrived.object();
        let mut known = self
            .subject
            .records
            .get(&object)
            .or_else(|| self.orphans.iter().find_map(|orphan| orphan.records.get(&object)))?
            .clone();
        known.merge(arrived);
        known.tied_by(arrived).map(|(resource, id)| (resource, id.to_owned()))
    }

    /// Whether nobody knows yet whose payment the patch is about.
    pub(crate) fn is_stray(&self) -> bool {
        self.subject.name().anchor != Anchor::Customer
            && !(self.subject.version == 0
                && self.names.iter().any(|n| n.anchor == Anchor::Customer))
            && self.subject.links.account().is_none()
    }

    /// Finds the subject that a patch belongs to.
    pub fn resolve(tenant: &Tenant, patch: &Patch, loaded: &Loaded) -> Resolved {
        let mut search = Search { loaded, roots: BTreeMap::new(), missing: BTreeSet::new() };
        for name in &patch.names {
            search.follow(name);
        }
        // Names of a subject that is taken over point to it directly ever after.
        let names: BTreeSet<Name> = search
            .roots
            .values()
            .flatten()
            .flat_map(|root| root.links.names().iter().cloned())
            .chain(patch.names.iter().map(|name| search.proper(name)))
            .collect();
        let unknown = names.iter().filter(|name| !loaded.contains_key(&name.id));
        search.missing.extend(unknown.map(|name| name.id.clone()));
        if !search.missing.is_empty() {
            return Resolved::Load(search.missing);
        }
        match search.best(patch) {
            Some(best) => Resolved::Family(Box::new(search.family(tenant, patch, &best, names))),
            None => Resolved::Astray(names.into_iter().map(|name| name.id).collect()),
        }
    }
}

/// Follows names to the subjects that they stand for.
struct Search<'a> {
    loaded: &'a Loaded,
    roots: BTreeMap<Name, Option<&'a Subject>>,
    missing: BTreeSet<String>,
}

impl<'a> Search<'a> {
    fn follow(&mut self, name: &Name) {
        let mut id = name.id.as_str();
        // Owners own no names of theirs, so that one step is enough; more are no reason to hang.
        for _ in 0..8 {
            let Some(state) = self.loaded.get(id) else {
                self.missing.insert(id.to_owned());
                return;
            };
            match state {
                None => {
                    self.roots.insert(Name { id: id.to_owned(), ..name.clone() }, None);
                    return;
                }
                Some(subject) => match &subject.owner {
                    Some(owner) => id = owner,
                    None => {
                        self.roots.insert(subject.name(), Some(subject));
                        return;
                    }
                },
            }
        }
    }

    /// The name under which a subject goes that was asked for by its id alone, as operators do.
    fn proper(&self, name: &Name) -> Name {
        let known = self.loaded.get(&name.id).and_then(Option::as_ref);
        known.filter(|subject| subject.owner.is_none()).map_or_else(|| name.clone(), Subject::name)
    }

    /// The name that all the others stand for.
    fn best(&self, patch: &Patch) -> Option<Name> {
        // Not where it already stands for another: who owns it must not be owned by it.
        let own = patch.name().filter(|name| name.anchor == Anchor::Customer);
        let own = own.filter(|own| self.roots.contains_key(own));
        own.or_else(|| self.roots.keys().next()).cloned()
    }

    fn family(&self, tenant: &Tenant, patch: &Patch, best: &Name, names: BTreeSet<Name>) -> Family {
        let known = self.loaded.get(&best.id).and_then(Option::as_ref);
        let subject = known.cloned().unwrap_or_else(|| {
            Subject::new(SubjectKey { tenant: tenant.clone(), id: best.id.clone() })
        });
        let orphans: Vec<Subject> = self
            .roots
            .iter()
            .filter(|(name, _)| name.may_be_of(best))
            .filter_map(|(_, subject)| subject.cloned())
            .collect();
        let routes = self.routes(patch, &names);
        let adopted = names
            .iter()
            .filter(|name| name.may_be_of(best))
            .filter_map(|name| self.adoption(name, best, &routes))
            .collect();
        Family { subject, orphans, adopted, names, routes }
    }

    /// What the patch says of charges, and what is known of them.
    fn routes(&self, patch: &Patch, names: &BTreeSet<Name>) -> BTreeMap<String, String> {
        let charges = names.iter().filter(|name| name.anchor == Anchor::Charge);
        let known = charges.filter_map(|charge| {
            let known = self.loaded.get(&charge.id)?.as_ref()?;
            known.owner.as_ref()?;
            let mut of = known.links.names().iter();
            let intent = of.find(|name| name.anchor == Anchor::PaymentIntent)?;
            Some((charge.id.clone(), intent.id.clone()))
        });
        known.chain(patch.charges.clone()).collect()
    }

    /// Makes a name stand for the best one, unless it does, or stands for another customer.
    fn adoption(
        &self,
        name: &Name,
        best: &Name,
        routes: &BTreeMap<String, String>,
    ) -> Option<Adoption> {
        let known = self.loaded.get(&name.id).and_then(Option::as_ref);
        let mut links = Links::default();
        if let Some(intent) = routes.get(&name.id) {
            links.name(&[Name::new(Anchor::PaymentIntent, intent.clone())].into());
        }
        let had_state = known.is_some_and(|subject| subject.owner.is_none());
        if let Some(owner) = known.and_then(|subject| subject.owner.as_ref()) {
            let same = *owner == best.id && known.is_some_and(|subject| subject.links == links);
            let foreign = *owner != best.id && self.is_customer(owner);
            if same || foreign {
                return None;
            }
        }
        let expected_version = known.map_or(0, |subject| subject.version);
        Some(Adoption { id: name.id.clone(), expected_version, had_state, links })
    }

    fn is_customer(&self, id: &str) -> bool {
        self.roots.keys().any(|name| name.id == id && name.anchor == Anchor::Customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(id: &str, owner: &str) -> (String, Option<Subject>) {
        let key = SubjectKey { tenant: Tenant::default(), id: id.to_owned() };
        let mut subject = Subject::new(key);
        subject.version = 1;
        subject.owner = Some(owner.to_owned());
        (id.to_owned(), Some(subject))
    }

    #[test]
    fn names_that_own_each_other_lead_nowhere() {
        let patch = Patch::link(Name::new(Anchor::Charge, "ch_1"), "team-1", 1);
        let loaded: Loaded = [owned("ch_1", "pi_1"), owned("pi_1", "ch_1")].into();
        let resolved = Family::resolve(&Tenant::default(), &patch, &loaded);
        assert_eq!(resolved, Resolved::Astray(["ch_1".to_owned()].into()));
    }

    #[test]
    fn a_name_leads_to_who_owns_it() {
        let patch = Patch::link(Name::new(Anchor::Charge, "ch_1"), "team-1", 1);
        let loaded: Loaded = [owned("ch_1", "pi_1"), ("pi_1".to_owned(), None)].into();
        let resolved = Family::resolve(&Tenant::default(), &patch, &loaded);
        let Resolved::Family(family) = resolved else { panic!("{resolved:?}") };
        assert_eq!(family.subject.key.id, "pi_1");
    }
}
