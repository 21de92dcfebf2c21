//! Random operations on the ledger, beside the reference in memory.

use super::Fixture;
use crate::ledger::side_by_side;

/// How many operations; 100,000 take minutes.
pub(super) const STEPS: &str = "STRIPE_BILLING_LEDGER_STEPS";

/// A store answers every operation of a random stream as the reference does, and keeps what it
/// keeps, from whichever node it is asked.
pub async fn credit_ledger_answers_as_the_reference_does(fixture: &Fixture) {
    let steps = std::env::var(STEPS).ok().and_then(|steps| steps.parse().ok()).unwrap_or(2_000);
    let started = std::time::Instant::now();
    side_by_side(&[fixture.turn(0), fixture.turn(1)], steps).await;
    println!("{steps} operations in {:?}", started.elapsed());
}
