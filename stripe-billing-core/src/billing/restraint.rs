//! How much of what is merely good to know a customer is told: so many notices within any 24 hours.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::Billing;
use super::dispatch::Batch;
use crate::error::StoreError;
use crate::keys::{SubjectKey, Tenant};
use crate::notice::NoticeKind;
use crate::store::Told;

/// The time in which a customer is told so many at most.
const DAY: TimeDelta = TimeDelta::hours(24);
/// How long a notice waits for others of its customer that are just being handed over.
const UNDER_WAY: TimeDelta = TimeDelta::seconds(30);

impl Billing {
    /// Until when a notice that is merely good to know waits, because its customer was told so many
    /// of them: under all the names of its account, so that an account and its customers count as one.
    ///
    /// What this batch told them is settled first, so that it counts. Of two workers that have notices
    /// for one customer at least one sees the other's: both were claimed by then.
    pub(super) async fn too_many(
        &self,
        tenant: &Tenant,
        names: BTreeSet<String>,
        batch: &mut Batch<'_>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let in_tenant = |name: &String| SubjectKey { tenant: tenant.clone(), id: name.clone() };
        let keys: Vec<SubjectKey> = names.iter().map(in_tenant).collect();
        if keys.iter().any(|key| batch.told.contains(key)) {
            self.settle_done(batch).await?;
        }
        let (now, names) = (self.inner.clock.now(), Vec::from_iter(names));
        let told = self.inner.store.told_since(tenant, &names, &NoticeKind::OPTIONAL, now - DAY);
        let mut told = told.await?;
        // What this batch has yet to hand over asks for itself.
        let is_own = |told: &Told| batch.claimed.iter().any(|own| own.lease.seq == told.seq);
        told.retain(|told| told.at.is_some() || !is_own(told));
        let due = due(&told, self.inner.catalog.policy().notifications_per_day, now);
        if due.is_none() {
            batch.told.extend(keys);
        }
        Ok(due)
    }
}

/// When one more may be told; `None` is now. What is told comes with the latest first.
fn due(told: &[Told], most: u16, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let most = usize::from(most);
    let last = told.iter().filter_map(|told| told.at).nth(most.saturating_sub(1));
    match last {
        Some(last) => Some(last + DAY).filter(|due| *due > now),
        None => (told.len() >= most).then(|| now + UNDER_WAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn told(hours: &[Option<i64>]) -> Vec<Told> {
        hours.iter().map(|hours| Told { seq: 1, at: hours.map(at) }).collect()
    }

    #[test]
    fn one_more_waits_for_the_third_latest_to_be_a_day_ago() {
        let now = at(100);
        for (hours, expected) in [
            (&[][..], None),
            (&[Some(99), Some(98)], None),
            (&[Some(99), Some(98), Some(80)], Some(at(104))),
            // There were more under another policy.
            (&[Some(99), Some(98), Some(97), Some(96)], Some(at(121))),
            (&[Some(99), Some(98), Some(76)], None),
            // What is under way may still come to nothing, and that is known soon.
            (&[None, None], None),
            (&[None, Some(99), Some(98)], Some(now + UNDER_WAY)),
            (&[None, None, None], Some(now + UNDER_WAY)),
            (&[None, Some(99), Some(98), Some(80)], Some(at(104))),
        ] {
            assert_eq!(due(&told(hours), 3, now), expected, "{hours:?}");
        }
        assert_eq!(due(&told(&[Some(99)]), 1, now), Some(at(123)));
    }
}
