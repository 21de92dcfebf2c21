//! Deliveries, from the signed body to what operators see.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, TimeDelta, Utc};
use stripe_billing_core::catalog::{
    Catalog, ConnectedAccounts, Link, Pack, Plan, PlanPrice, Policy,
};
use stripe_billing_core::operator::CustomerView;
use stripe_billing_core::store::{EventQuery, Inspect, TicketQuery};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{AccountKey, Billing, ManualClock, MemoryStore};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, MONTH, PACK_KEY, START};

use crate::choices::Choices;
use crate::mutate;

const SECRET: &str = "whsec_fuzz";

/// A small catalog; connected accounts are tenants of their own.
pub(crate) fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let connected_accounts = ConnectedAccounts::Separate;
        let prices = ["price_pro", "price_team"].map(PlanPrice::new);
        let plan = prices.into_iter().fold(Plan::new("pro").feature("export"), Plan::price);
        Catalog::builder()
            .policy(Policy { connected_accounts, ..Policy::default() })
            .plan(plan)
            .link(Link { account: ACCOUNT_KEY.to_owned(), pack: PACK_KEY.to_owned() })
            .pack(Pack::new("pack_1000", "price_pack").credits("credits", 1000))
            .build()
            .expect("a catalog")
    })
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(START + 6 * MONTH, 0).expect("a time")
}

/// Posts the case's events, processes them, and looks at everything; how many events.
///
/// # Panics
/// When a delivery is answered otherwise than with 200, 400 or 413, a rule panics, the store does not
/// come to rest, or a view cannot be shown.
pub(crate) fn deliver(bytes: &[u8]) -> usize {
    let mut choices = Choices::new(bytes);
    let bodies = mutate::bodies(&mut choices);
    let count = bodies.len();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async move {
        let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::new(now())));
        let billing = Billing::builder(store.clone())
            .catalog(catalog().clone())
            .webhook_secrets([SECRET])
            .clock(Arc::clone(&clock))
            .max_body(64 * 1024)
            .build()
            .expect("a good configuration");
        let secret = WebhookSecret::new(SECRET).expect("a secret");
        for body in bodies {
            let header = match choices.one_in(64) {
                true => "t=1,v1=00".to_owned(),
                false => sign(&body, &secret, now()),
            };
            if let Err(error) = billing.receive(&header, body).await {
                assert!(matches!(error.status(), 400 | 413), "{error:?}");
            }
            if choices.one_in(3) {
                billing.process_due().await.expect("a store in memory");
            }
        }
        billing.process_due().await.expect("a store in memory");
        let mut queues = store.stats(now()).await.expect("figures");
        assert!(queues.idle, "at rest: {queues:?}");
        let later = now() + TimeDelta::days(400);
        clock.set(later);
        billing.process_due().await.expect("a store in memory");
        queues = store.stats(later).await.expect("figures");
        assert!(queues.idle, "at rest a year later: {queues:?}");
        look(&billing, &store).await;
    });
    count
}

/// Everything that is to be seen, as JSON.
async fn look(billing: &Billing, store: &MemoryStore) {
    let events = store.events(&EventQuery { limit: 1_000, ..EventQuery::default() }).await;
    for event in events.expect("events") {
        let reason = event.reason.as_deref().unwrap_or_default();
        let may_die = reason == "corrupt_payload";
        assert!(event.status != "dead" || may_die, "{event:?}");
        let at_rest = ["processed", "ignored", "parked", "dead"].contains(&event.status.as_str());
        assert!(at_rest, "{event:?}");
        let name = event.subject.as_deref().unwrap_or("cus_1");
        let account = event.key.tenant.stripe_account.as_deref();
        let view = billing.customer_view(account, Some(event.key.tenant.livemode), name, None);
        let view = view.await.expect("a store in memory");
        serde_json::to_string(&view).expect("a customer's view");
        if let Some(account) = &view.account {
            serde_json::to_string(&whole(billing, account).await).expect("an account's view");
        }
    }
    serde_json::to_string(&whole(billing, ACCOUNT).await).expect("an account's view");
    let tickets = store.tickets(&TicketQuery { limit: 1_000, ..TicketQuery::default() }).await;
    serde_json::to_string(&tickets.expect("tickets")).expect("tickets");
}

async fn whole(billing: &Billing, account: &str) -> CustomerView {
    let key = AccountKey::platform(account);
    billing.access(key.clone()).await.expect("a store in memory");
    billing.account_view(&key, None, None).await.expect("a store in memory")
}
