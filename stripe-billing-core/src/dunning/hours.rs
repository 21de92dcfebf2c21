//! When reminders go out: by day, where it is known what the customer's clock says.

use chrono::{DateTime, Days, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use crate::catalog::{DunningHours, Policy};
use crate::state::{Record, Subject};

/// The key of a customer's metadata that names the time zone: `Europe/Berlin`.
pub const TIME_ZONE_KEY: &str = "time_zone";

/// The first hour of the day in which reminders go out.
const OPENS: u32 = 8;
/// The hour from which on they wait for the next day.
const CLOSES: u32 = 20;

/// The zone that reminders to a customer go by. `None`: they go out at any hour.
pub(super) fn zone_of(subject: &Subject, policy: &Policy) -> Option<Tz> {
    if policy.dunning_hours == DunningHours::Any {
        return None;
    }
    let customer = subject.records.values().find_map(|record| match record {
        Record::Customer(record) => record.latest(),
        _ => None,
    })?;
    customer.metadata.get(TIME_ZONE_KEY)?.trim().parse().ok()
}

/// The first time from `at` on that is by day in the zone, Unix seconds: `at` itself, or the morning.
pub(super) fn by_day(zone: Tz, at: i64) -> i64 {
    let Some(local) = DateTime::<Utc>::from_timestamp(at, 0).map(|at| at.with_timezone(&zone))
    else {
        return at;
    };
    if (OPENS..CLOSES).contains(&local.hour()) {
        return at;
    }
    // A clock that is put forward may leave out an hour, and once left out a day.
    let first = u64::from(local.hour() >= CLOSES);
    let mornings = (first..first + 3).flat_map(|days| {
        let date = local.date_naive().checked_add_days(Days::new(days));
        (OPENS..CLOSES).filter_map(move |hour| {
            let clock = date?.and_time(NaiveTime::from_hms_opt(hour, 0, 0)?);
            zone.from_local_datetime(&clock).earliest()
        })
    });
    mornings.map(|morning| morning.timestamp()).find(|morning| *morning > at).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(zone: Tz, local: &str) -> i64 {
        let clock = chrono::NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").unwrap();
        zone.from_local_datetime(&clock).earliest().unwrap().timestamp()
    }

    #[test]
    fn nights_wait_for_the_morning_and_days_for_nothing() {
        let berlin = Tz::Europe__Berlin;
        for (from, to) in [
            ("2026-11-21 08:00", "2026-11-21 08:00"),
            ("2026-11-21 19:59", "2026-11-21 19:59"),
            ("2026-11-21 20:00", "2026-11-22 08:00"),
            ("2026-11-22 07:59", "2026-11-22 08:00"),
            // The clock is put forward and back in these nights.
            ("2026-03-28 23:00", "2026-03-29 08:00"),
            ("2026-10-24 23:00", "2026-10-25 08:00"),
        ] {
            assert_eq!(by_day(berlin, at(berlin, from)), at(berlin, to), "{from}");
        }
        // Samoa left out the whole of 30 December 2011.
        let apia = Tz::Pacific__Apia;
        assert_eq!(by_day(apia, at(apia, "2011-12-29 21:00")), at(apia, "2011-12-31 08:00"));
    }

    proptest! {
        #[test]
        fn it_is_by_day_never_earlier_and_never_later_than_the_next_morning(
            index in 0..chrono_tz::TZ_VARIANTS.len(),
            seconds in 1_600_000_000_i64..2_000_000_000,
        ) {
            let zone = chrono_tz::TZ_VARIANTS[index];
            let then = by_day(zone, seconds);
            let local = DateTime::<Utc>::from_timestamp(then, 0).unwrap().with_timezone(&zone);
            prop_assert!((OPENS..CLOSES).contains(&local.hour()), "{zone} {local}");
            prop_assert!(then >= seconds && then - seconds <= 13 * 3_600, "{zone} {local}");
            prop_assert_eq!(by_day(zone, then), then);
        }
    }
}
