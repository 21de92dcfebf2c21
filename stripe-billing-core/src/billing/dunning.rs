//! Dunning as operators see it: the cases behind the events that told of a failed payment.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Billing;
use crate::dunning::{Case, Figure, cases, figures};
use crate::error::StoreError;
use crate::keys::SubjectKey;
use crate::state::Subject;
use crate::store::{EventQuery, EventSummary};

/// The event that tells of a failed attempt.
const FAILED: &str = "invoice.payment_failed";
/// How many events a page of the figures reads.
const FIGURES_PAGE: u32 = 500;
/// How many such pages the figures read at most.
const FIGURES_PAGES: usize = 20;

/// Cases of dunning, by their last failed attempt, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DunningPage {
    /// The cases; a page may be empty although others follow.
    pub cases: Vec<DunningCase>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<i64>,
}

/// A case, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DunningCase {
    /// The connected account; `None` is the platform's own.
    pub stripe_account: Option<String>,
    /// Live mode or test mode.
    pub livemode: bool,
    /// The customer.
    pub customer: String,
    /// The app's account, if one is named.
    pub account: Option<String>,
    /// The case.
    #[serde(flatten)]
    pub case: Case,
}

/// What cases come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DunningFigures {
    /// By currency, class and step.
    pub figures: Vec<Figure>,
    /// Whether all cases since then are counted; false where there are too many.
    pub complete: bool,
}

impl Billing {
    /// The cases of dunning, in pages that go by the events that told of their last failed attempt:
    /// at most `limit` events a page, up to 1,000, older than `after`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn dunning(&self, after: Option<i64>, limit: u32) -> Result<DunningPage, StoreError> {
        let (events, cases) = self.dunning_of(after, limit).await?;
        let full = events.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = events.last().filter(|_| full).map(|event| event.seq);
        Ok(DunningPage { cases, next })
    }

    /// What the cases come to whose last attempt failed since a time; at most 10,000 events are read.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn dunning_figures(
        &self,
        since: DateTime<Utc>,
    ) -> Result<DunningFigures, StoreError> {
        let (mut found, mut after, mut complete) = (Vec::new(), None, false);
        for _ in 0..FIGURES_PAGES {
            let (events, cases) = self.dunning_of(after, FIGURES_PAGE).await?;
            found.extend(cases);
            after = events.last().map(|event| event.seq);
            let older = events.last().is_some_and(|event| event.received_at < since);
            if older || events.len() < usize::try_from(FIGURES_PAGE).unwrap_or(usize::MAX) {
                complete = true;
                break;
            }
        }
        let counted = found.iter().map(|found| &found.case);
        let counted = counted.filter(|case| case.last_failed_at >= since.timestamp());
        Ok(DunningFigures { figures: figures(counted), complete })
    }

    /// A page of events, and the cases that they are the last word of.
    async fn dunning_of(
        &self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<(Vec<EventSummary>, Vec<DunningCase>), StoreError> {
        let event_type = Some(FAILED.to_owned());
        let query = EventQuery { event_type, after, limit, ..EventQuery::default() };
        let events = self.inner.store.events(&query).await?;
        let mut known: BTreeMap<SubjectKey, Option<Subject>> = BTreeMap::new();
        let mut listed: BTreeSet<(SubjectKey, String)> = BTreeSet::new();
        let mut found = Vec::new();
        let (policy, now) = (self.inner.catalog.policy(), self.inner.clock.now());
        for event in &events {
            let Some(id) = event.subject.clone() else { continue };
            let key = SubjectKey { tenant: event.key.tenant.clone(), id };
            if !known.contains_key(&key) {
                known.insert(key.clone(), self.inner.store.subject(&key).await?);
            }
            let Some(subject) = known.get(&key).and_then(Option::as_ref) else { continue };
            // A case of several attempts is listed once, with the last of them.
            for case in cases(subject, policy, now) {
                let last = case.last_failed_at == event.created;
                if last && listed.insert((subject.key.clone(), case.invoice.clone())) {
                    found.push(DunningCase {
                        stripe_account: subject.key.tenant.stripe_account.clone(),
                        livemode: subject.key.tenant.livemode,
                        customer: subject.key.id.clone(),
                        account: subject.links.account().map(str::to_owned),
                        case,
                    });
                }
            }
        }
        Ok((events, found))
    }
}
