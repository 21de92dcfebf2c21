//! The work that the demo's visitors pay for with credits.

use std::time::Duration;

use stripe_billing_core::{Billing, SpendError};

/// What a story costs.
pub(crate) const COST: i64 = 10;
/// How long one takes; long enough to see that its credits are set aside.
const DURATION: Duration = Duration::from_millis(900);

/// Work that did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("the muse was away")]
pub(crate) struct NoMuse;

/// Writes a story for credits, or fails to.
pub(crate) async fn write_story(
    billing: &Billing,
    account: &str,
    unit: String,
    succeeds: bool,
) -> Result<(), SpendError<NoMuse>> {
    let story = billing.spend(account, COST).of(unit).on("stories");
    story
        .run(async || {
            tokio::time::sleep(DURATION).await;
            if succeeds { Ok(()) } else { Err(NoMuse) }
        })
        .await
}
