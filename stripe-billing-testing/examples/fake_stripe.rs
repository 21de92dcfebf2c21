//! A Stripe on your own machine.
//!
//! `cargo run -p stripe-billing-testing --example fake_stripe -- [ADDRESS] [WEBHOOK_URL] [SECRET]`
//!
//! Point any Stripe client at the printed address with any `sk_test_...` key. The front page shows
//! the events and moves the clock; `POST /_fake/advance` with `seconds=...` does the same.

use stripe_billing_testing::fake_stripe::{FakeStripe, Interval, NewPrice};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:12111".to_owned());
    let mut builder = FakeStripe::builder()
        .addr(address)
        .real_time()
        .price(
            NewPrice::recurring("price_pro_monthly", 1_900, "usd", Interval::Month)
                .product("Pro")
                .product_id("prod_pro"),
        )
        .price(NewPrice::one_time("price_pack", 900, "usd").product("1,000 credits"));
    if let Some(url) = args.next() {
        builder = builder.webhook(url, args.next().unwrap_or_else(|| "whsec_fake".to_owned()));
    }
    let fake = builder.start().await?;
    println!("fake stripe on {}", fake.base_url());
    std::future::pending::<()>().await;
    Ok(())
}
