//! Days and instants, in words and in a zone.

use chrono::{DateTime, Datelike, Timelike};
use chrono_tz::Tz;

use super::{Values, Words};
use crate::language::Language;

impl Words {
    /// The day of an instant in a zone: `21 November 2026`. `None` for what is no time.
    pub(crate) fn day(&self, seconds: i64, zone: Tz) -> Option<String> {
        let time = DateTime::from_timestamp(seconds, 0)?.with_timezone(&zone);
        let day = match (self.language, time.day()) {
            (Language::French, 1) => "1er".to_owned(),
            (Language::Portuguese, 1) => "1º".to_owned(),
            (_, day) => day.to_string(),
        };
        let month = self.say(&format!("month.{}", time.month()), &Values::new())?;
        let year = time.year().to_string();
        self.say("date.day", &Values::from([("day", day), ("month", month), ("year", year)]))
    }

    /// An instant in a zone: `21 November 2026, 14:05 CET`.
    pub(crate) fn instant(&self, seconds: i64, zone: Tz) -> Option<String> {
        let time = DateTime::from_timestamp(seconds, 0)?.with_timezone(&zone);
        let day = self.day(seconds, zone)?;
        let clock = format!("{:02}:{:02}", time.hour(), time.minute());
        let zone = time.format("%Z").to_string();
        self.say("date.instant", &Values::from([("day", day), ("time", clock), ("zone", zone)]))
    }

    /// A month: `03/2029`.
    pub(crate) fn expiry(&self, year: i64, month: i64) -> Option<String> {
        let month = match self.language {
            Language::Japanese => month.to_string(),
            _ => format!("{month:02}"),
        };
        self.say("date.expiry", &Values::from([("month", month), ("year", year.to_string())]))
    }
}
