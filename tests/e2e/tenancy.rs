//! The same ids on the platform, in test mode and on two connected accounts: what happens to one
//! does not happen to another.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use stripe_billing_core::catalog::{ConnectedAccounts, Policy};
use stripe_billing_core::store::Store;
use stripe_billing_core::{AccountKey, MemoryStore, SubjectKey, Tenant};
use stripe_billing_testing::event::histories::{self, ACCOUNT, START};
use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject};

use crate::stage::{Dice, Setup, Stage, moved, tenant};

fn tenants() -> [Tenant; 4] {
    [Tenant::platform(true), Tenant::platform(false), tenant(1), tenant(2)]
}

/// Under the same event ids in every tenant, another story each.
fn stories() -> [Vec<Bytes>; 4] {
    let stories = [
        histories::sign_up(Shape::New),
        histories::cancel(Shape::New),
        histories::failed_renewal(Shape::New),
        histories::pack_by_card(Shape::New),
    ];
    let numbered = |events: Vec<Bytes>| {
        let number = |(index, body): (usize, Bytes)| {
            let mut event: Value = serde_json::from_slice(&body).expect("an event");
            event["id"] = format!("evt_{index}").into();
            Bytes::from(event.to_string())
        };
        events.into_iter().enumerate().map(number).collect()
    };
    stories.map(numbered)
}

fn everything() -> Vec<Bytes> {
    let all = tenants().into_iter().zip(stories());
    let mut all: Vec<Bytes> = all
        .flat_map(|(tenant, events)| {
            events.into_iter().map(move |body| moved(&body, &tenant)).collect::<Vec<_>>()
        })
        .collect();
    Dice(11).shuffle(&mut all);
    all
}

/// Each story told alone.
async fn alone(tenant: &Tenant, events: &[Bytes]) -> Value {
    let stage = Stage::new(Arc::new(MemoryStore::new()), Setup::default());
    stage.deliver(&events.iter().map(|body| moved(body, tenant)).collect::<Vec<_>>()).await;
    stage.settle().await;
    stage.account(tenant, ACCOUNT).await
}

async fn separate_tenants_do_not_meet(store: Arc<dyn Store>) {
    let stage = Stage::new(store, Setup::default());
    stage.deliver(&everything()).await;
    stage.settle().await;
    let mut states = Vec::new();
    for (tenant, events) in tenants().iter().zip(stories()) {
        let view = stage.account(tenant, ACCOUNT).await;
        assert_eq!(view, alone(tenant, &events).await, "{tenant}");
        states.push((view["state"].clone(), view["access"].clone()));
    }
    let expected =
        [("active", true), ("canceled", false), ("active", true), ("no_subscription", false)];
    let expected: Vec<(Value, Value)> =
        expected.map(|(state, access)| (state.into(), access.into())).into();
    assert_eq!(states, expected);
    for (number, access) in [(1, true), (2, false)] {
        let stripe_account = Some(format!("acct_{number}"));
        let key = AccountKey { stripe_account, account: ACCOUNT.to_owned() };
        assert_eq!(stage.billing.access(key).await.expect("read").access, access, "{number}");
    }
}

async fn test_events_do_not_give_access_in_live_mode(store: Arc<dyn Store>) {
    let stage = Stage::new(store, Setup { livemode: Some(true), ..Setup::default() });
    let (live, test) = (Tenant::platform(true), Tenant::platform(false));
    let story = histories::sign_up(Shape::New);
    stage.deliver(&story.iter().map(|body| moved(body, &test)).collect::<Vec<_>>()).await;
    stage.settle().await;
    let ends = stage.events().await;
    assert_eq!(ends.len(), story.len(), "stored and shown");
    assert!(ends.values().all(|end| end == "ignored/other_mode"), "{ends:?}");
    assert!(!stage.billing.access(ACCOUNT).await.expect("read").access);
    assert_eq!(stage.customer(&test, "cus_1").await["known"], false);
    stage.deliver(&story.iter().map(|body| moved(body, &live)).collect::<Vec<_>>()).await;
    stage.settle().await;
    assert!(stage.billing.access(ACCOUNT).await.expect("read").access);
}

async fn ignored_connected_accounts_touch_nobody(store: Arc<dyn Store>) {
    let policy = Policy { connected_accounts: ConnectedAccounts::Ignore, ..Policy::default() };
    let stage = Stage::new(store, Setup { policy, ..Setup::default() });
    stage.deliver(&everything()).await;
    stage.settle().await;
    for (tenant, events) in tenants().iter().zip(stories()) {
        let view = stage.account(tenant, ACCOUNT).await;
        match &tenant.stripe_account {
            None => assert_eq!(view, alone(tenant, &events).await, "{tenant}"),
            Some(_) => assert_eq!(view["known"], false, "{tenant}: {view}"),
        }
        assert!(tenant.stripe_account.is_none() || stage.facts(tenant).is_empty());
    }
    let query = stripe_billing_core::store::EventQuery { limit: 1_000, ..Default::default() };
    let events = stage.store.events(&query).await.expect("read");
    let connected: Vec<_> =
        events.iter().filter(|event| event.key.tenant.stripe_account.is_some()).collect();
    let [.., third, fourth] = stories();
    assert_eq!(connected.len(), third.len() + fourth.len(), "stored and shown");
    assert!(connected.iter().all(|event| event.reason.as_deref() == Some("connected_account")));
}

async fn an_operators_link_does_not_reach_other_tenants(store: Arc<dyn Store>) {
    let stage = Stage::new(store, Setup::default());
    let nobodys = EventBuilder::new("customer.subscription.created")
        .created(START)
        .object(SubscriptionObject::new("sub_1", "cus_1").render(Shape::New))
        .build();
    for tenant in tenants() {
        stage.deliver([&moved(&nobodys, &tenant)]).await;
    }
    stage.settle().await;
    let linked = tenant(1);
    let subject = SubjectKey { tenant: linked.clone(), id: "cus_1".to_owned() };
    stage.billing.link(&subject, "zenith", "operator:ada", "r1").await.expect("taken");
    stage.settle().await;
    for tenant in tenants() {
        let account = stage.customer(&tenant, "cus_1").await["account"].clone();
        let expected = if tenant == linked { Value::from("zenith") } else { Value::Null };
        assert_eq!(account, expected, "{tenant}");
        let access = stage.account(&tenant, "zenith").await["access"].clone();
        assert_eq!(access, tenant == linked, "{tenant}");
        assert_eq!(stage.facts(&tenant).is_empty(), tenant != linked, "{tenant}");
    }
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(
        separate_tenants_do_not_meet
        test_events_do_not_give_access_in_live_mode
        ignored_connected_accounts_touch_nobody
        an_operators_link_does_not_reach_other_tenants
    );
}
