use axum::http::Uri;
use chrono::{DateTime, Utc};

use super::query::Params;
use crate::problem::Problem;

/// What the views of a customer and of an account are asked.
pub(super) struct Wanted {
    pub(super) at: Option<DateTime<Utc>>,
    pub(super) livemode: Option<bool>,
    pub(super) stripe_account: Option<String>,
}

impl Wanted {
    pub(super) fn read(uri: &Uri) -> Result<Self, Problem> {
        let params = Params::read(uri, &["at", "livemode", "stripe_account"])?;
        let instant = |text: &str| DateTime::from_timestamp(text.parse().ok()?, 0);
        Ok(Self {
            at: params.value("at", "an instant in Unix seconds", instant)?,
            livemode: params.value("livemode", "`true` or `false`", |text| text.parse().ok())?,
            stripe_account: params.text("stripe_account"),
        })
    }
}
