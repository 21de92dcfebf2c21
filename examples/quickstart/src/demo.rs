//! The Stripe inside the process: its prices, its clock, and what a visitor does to it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use stripe_billing_core::catalog::{Catalog, DisplayAmount, Period, PeriodUnit};
use stripe_billing_core::stripe::{InvalidStripeConfig, StripeClient};
use stripe_billing_core::{Access, Billing, Clock, Secret, SubscriptionAccess, SystemClock};
use stripe_billing_testing::fake_stripe::{Card, FakeStripe, Interval, NewPrice, StartError};
use tokio::sync::Mutex;

/// The longest a visitor waits for the webhooks of a jump in time.
const PATIENCE: Duration = Duration::from_secs(15);
/// Renewals are charged about an hour after the period ends.
const AFTER_RENEWAL: i64 = 2 * 3_600;

/// The fake, and one jump in time after the other.
#[derive(Debug)]
pub(crate) struct Demo {
    fake: FakeStripe,
    jump: Mutex<()>,
}

/// Why a visitor's wish was not granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// There is no subscription to do it to.
    #[error("There is no subscription yet")]
    NoSubscription,
    /// The fake refused, as Stripe would.
    #[error("{0}")]
    Refused(String),
    /// Webhooks are still on their way.
    #[error("The events of this jump are still on their way")]
    StillBusy,
}

/// How far to move the clock.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Day,
    ThreeDays,
    Renewal,
}

/// The fake's clock, with the machine's fractions of a second.
#[derive(Debug)]
struct DemoClock(FakeStripe);

impl Clock for DemoClock {
    fn now(&self) -> DateTime<Utc> {
        let wall = SystemClock.now();
        let ahead = self.0.now() - wall.timestamp();
        TimeDelta::try_seconds(ahead)
            .and_then(|ahead| wall.checked_add_signed(ahead))
            .unwrap_or(wall)
    }
}

impl Demo {
    /// Starts a fake that sells what the catalog says and tells `webhook`.
    pub(crate) async fn start(
        catalog: &Catalog,
        webhook: &str,
        secret: &Secret,
        seed: u64,
    ) -> Result<Self, StartError> {
        let mut fake = FakeStripe::builder()
            .webhook(webhook, secret.expose())
            .real_time()
            .sign_with_fake_time()
            .seed(seed);
        for price in prices(catalog) {
            fake = fake.price(price);
        }
        Ok(Self { fake: fake.start().await?, jump: Mutex::new(()) })
    }

    /// Where the fake's API and hosted pages are.
    pub(crate) fn base_url(&self) -> &str {
        self.fake.base_url()
    }

    /// A client of the fake, the same that asks the real Stripe.
    pub(crate) fn client(&self) -> Result<StripeClient, InvalidStripeConfig> {
        StripeClient::builder("sk_test_fake").api_base(self.base_url()).build()
    }

    /// The demo's time: that of the fake, so that grace periods pass as it is moved.
    pub(crate) fn clock(&self) -> impl Clock {
        DemoClock(self.fake.clone())
    }

    /// The last digits of the card that renewals are charged to.
    pub(crate) fn card(&self, access: &Access) -> Option<String> {
        let share = access.subscriptions.first()?;
        let subscription = self.fake.object(&share.id)?;
        let customer = self.fake.object(&share.customer)?;
        let method = subscription["default_payment_method"]
            .as_str()
            .or_else(|| customer["invoice_settings"]["default_payment_method"].as_str())?;
        let method = self.fake.object(method)?;
        method["card"]["last4"].as_str().map(str::to_owned)
    }

    /// Moves the clock, and waits until billing has heard of all that happened on the way.
    pub(crate) async fn advance(
        &self,
        billing: &Billing,
        access: &Access,
        step: Step,
    ) -> Result<(), DemoError> {
        let _one_at_a_time = self.jump.lock().await;
        let target = match step {
            Step::Day => self.fake.now() + 86_400,
            Step::ThreeDays => self.fake.now() + 3 * 86_400,
            Step::Renewal => {
                let end = live(access).and_then(|share| share.period_end);
                end.ok_or(DemoError::NoSubscription)? + AFTER_RENEWAL
            }
        };
        // Nothing is under way while the clock jumps: no signature grows old and no lease runs out.
        settle(&self.fake, billing).await?;
        self.fake.delivery().pause();
        self.fake.advance_to(target).await;
        self.fake.delivery().resume();
        settle(&self.fake, billing).await
    }

    /// Puts a card on file; a good one pays what is open.
    pub(crate) fn use_card(&self, access: &Access, good: bool) -> Result<(), DemoError> {
        let share = live(access).ok_or(DemoError::NoSubscription)?;
        let card = if good { Card::Good } else { Card::FailsOnRenewal };
        let refused = |error: &dyn std::fmt::Display| DemoError::Refused(error.to_string());
        self.fake.set_card(&share.customer, card).map_err(|error| refused(&error))?;
        let open = self.fake.latest_invoice(&share.id).filter(|invoice| {
            let invoice = self.fake.object(invoice);
            invoice.is_some_and(|invoice| invoice["status"] == "open")
        });
        match open.filter(|_| good) {
            Some(invoice) => self.fake.pay_invoice(&invoice).map_err(|error| refused(&error)),
            None => Ok(()),
        }
    }

    /// Stops the fake's server.
    pub(crate) fn stop(&self) {
        self.fake.shutdown();
    }
}

/// The subscription that still runs.
fn live(access: &Access) -> Option<&SubscriptionAccess> {
    access.subscriptions.iter().find(|share| !share.status.is_terminal())
}

/// Waits until every webhook is taken and every event has come to rest.
async fn settle(fake: &FakeStripe, billing: &Billing) -> Result<(), DemoError> {
    let settled = async {
        fake.wait_idle().await;
        let mut look = tokio::time::interval(Duration::from_millis(20));
        loop {
            look.tick().await;
            let stats = billing.store().stats(billing.clock().now()).await;
            if stats.is_ok_and(|stats| stats.idle) {
                return;
            }
        }
    };
    let result = tokio::time::timeout(PATIENCE, settled).await;
    result.map_err(|_| DemoError::StillBusy)
}

/// Every price of the catalog, as the fake sells it.
fn prices(catalog: &Catalog) -> Vec<NewPrice> {
    let shown = |display: &Option<DisplayAmount>| {
        display
            .as_ref()
            .map_or_else(|| (1_000, "usd".to_owned()), |it| (it.amount, it.currency.clone()))
    };
    let mut prices = Vec::new();
    for plan in catalog.plans() {
        for price in &plan.prices {
            let (amount, currency) = shown(&price.display);
            let period = price.period.unwrap_or(Period::MONTH);
            let interval = match period.unit {
                PeriodUnit::Day => Interval::Day,
                PeriodUnit::Week => Interval::Week,
                PeriodUnit::Month => Interval::Month,
                PeriodUnit::Year => Interval::Year,
            };
            prices.push(
                NewPrice::recurring(&price.id, amount, &currency, interval)
                    .every(period.count)
                    .product(&plan.name)
                    .product_id(&format!("prod_{}", plan.id)),
            );
        }
    }
    for pack in catalog.packs() {
        let (amount, currency) = shown(&pack.display);
        prices.push(NewPrice::one_time(&pack.price, amount, &currency).product(&pack.name));
    }
    prices
}
