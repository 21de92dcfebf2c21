//! Webhooks under trouble.

use std::{collections::BTreeMap, time::Duration};

use stripe_billing_testing::fake_stripe::{Card, FakeStripe, NewSubscription, Outcome};

use crate::support::{Api, Receiver, SECRET, builder, days};

async fn with_receiver() -> (FakeStripe, Receiver) {
    let (hook, url) = Receiver::start().await;
    let fake = builder()
        .webhook(&url, SECRET)
        .delivery_tries(3, Duration::from_millis(2))
        .start()
        .await
        .unwrap();
    (fake, hook)
}

fn customer(fake: &FakeStripe, n: u32) -> String {
    fake.create_customer(&format!("c{n}@example.com"), &[("n", &n.to_string())])
}

fn ids(hook: &Receiver) -> Vec<String> {
    hook.all().iter().map(|received| received.json()["id"].as_str().unwrap().to_owned()).collect()
}

fn made(fake: &FakeStripe) -> Vec<String> {
    fake.events().iter().map(|event| event.id().to_owned()).collect()
}

#[tokio::test]
async fn a_refused_webhook_is_tried_again_and_then_given_up() {
    let (fake, hook) = with_receiver().await;
    let api = Api::new(&fake);
    hook.answer_next(&[500, 302]);
    customer(&fake, 1);
    fake.wait_idle().await;
    assert_eq!(hook.all().len(), 3, "a redirect is no success either");
    let outcomes: Vec<_> = fake.delivery().attempts().into_iter().map(|a| a.outcome).collect();
    assert_eq!(outcomes, [500, 302, 200].map(Outcome::Answered));
    let bodies: Vec<_> = hook.all().into_iter().map(|received| received.body).collect();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "the same bytes each time");

    hook.answer_next(&[503, 503, 503]);
    customer(&fake, 2);
    fake.wait_idle().await;
    let failed = fake.events().last().unwrap().clone();
    assert_eq!(fake.delivery().pending(failed.id()), 1);
    let undelivered = api.get("/v1/events", &[("delivery_success", "false")]).await;
    assert_eq!(undelivered["data"].as_array().unwrap().len(), 1);
    assert_eq!(undelivered["data"][0]["id"], failed.id());
    assert_eq!(undelivered["data"][0]["pending_webhooks"], 1);
    assert_eq!(fake.delivery().redeliver_failed(), 1);
    fake.wait_idle().await;
    assert_eq!(fake.delivery().pending(failed.id()), 0);
    assert_eq!(
        api.get("/v1/events", &[("delivery_success", "false")]).await["data"][0],
        serde_json::Value::Null
    );

    fake.delivery().redeliver(&fake.events()[0]);
    fake.wait_idle().await;
    assert_eq!(ids(&hook).last(), Some(&made(&fake)[0]));
}

#[tokio::test]
async fn an_endpoint_that_is_gone_does_not_hold_anybody_up() {
    let fake = builder()
        .webhook("http://127.0.0.1:9/hook", SECRET)
        .delivery_tries(2, Duration::from_millis(1))
        .start()
        .await
        .unwrap();
    customer(&fake, 1);
    fake.wait_idle().await;
    let attempts = fake.delivery().attempts();
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|attempt| matches!(attempt.outcome, Outcome::Unreachable(_))));
}

#[tokio::test]
async fn duplicates_arrive_as_often_as_asked() {
    let (fake, hook) = with_receiver().await;
    fake.delivery().duplicate(2);
    customer(&fake, 1);
    customer(&fake, 2);
    fake.wait_idle().await;
    let mut count = BTreeMap::new();
    for id in ids(&hook) {
        *count.entry(id).or_insert(0) += 1;
    }
    assert_eq!(count.into_values().collect::<Vec<_>>(), [3, 3]);
}

#[tokio::test]
async fn reordering_is_complete_and_repeatable() {
    let mut orders = Vec::new();
    for seed in [7, 7, 8] {
        let (fake, hook) = with_receiver().await;
        fake.delivery().reorder(seed);
        for n in 0..12 {
            customer(&fake, n);
        }
        assert!(hook.all().is_empty(), "held until they are let go");
        fake.wait_idle().await;
        let (mut arrived, mut made) = (ids(&hook), made(&fake));
        orders.push(arrived.clone());
        assert_ne!(arrived, made);
        arrived.sort();
        made.sort();
        assert_eq!(arrived, made, "nothing lost, nothing twice");
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], orders[2]);
}

#[tokio::test]
async fn lost_webhooks_come_back_by_redelivery() {
    let (fake, hook) = with_receiver().await;
    fake.delivery().drop_next(2);
    for n in 0..4 {
        customer(&fake, n);
    }
    fake.wait_idle().await;
    assert_eq!(ids(&hook), made(&fake)[2..]);
    assert_eq!(fake.delivery().attempts()[0].outcome, Outcome::Dropped);
    assert_eq!(fake.delivery().redeliver_failed(), 2);
    fake.wait_idle().await;
    assert_eq!(hook.all().len(), 4);

    fake.delivery().drop_fraction(0.5, 3);
    for n in 0..100 {
        customer(&fake, n);
    }
    fake.wait_idle().await;
    let arrived = hook.all().len() - 4;
    assert!((30..70).contains(&arrived), "{arrived} of 100");
    fake.delivery().drop_fraction(0.0, 0);
    assert_eq!(fake.delivery().redeliver_failed(), 100 - arrived);
    fake.wait_idle().await;
    assert_eq!(hook.all().len(), 104);
}

#[tokio::test]
async fn a_pause_holds_and_a_resume_delivers_in_order() {
    let (fake, hook) = with_receiver().await;
    fake.delivery().pause();
    for n in 0..5 {
        customer(&fake, n);
    }
    fake.wait_idle().await;
    assert!(hook.all().is_empty());
    fake.delivery().resume();
    fake.wait_idle().await;
    assert_eq!(ids(&hook), made(&fake));
}

#[tokio::test]
async fn a_delay_is_waited_for() {
    let (fake, hook) = with_receiver().await;
    fake.delivery().delay(Duration::from_millis(40));
    let begun = tokio::time::Instant::now();
    customer(&fake, 1);
    fake.wait_idle().await;
    assert!(begun.elapsed() >= Duration::from_millis(40));
    assert_eq!(hook.all().len(), 1);
}

#[tokio::test]
async fn two_runs_make_the_same_events() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let fake = builder().start().await.unwrap();
        let id = customer(&fake, 1);
        fake.set_card(&id, Card::FailsOnRenewal).unwrap();
        fake.create_subscription(NewSubscription::new(&id, "price_pro")).unwrap();
        fake.advance(days(60)).await;
        let version = fake.api_version().clone();
        runs.push(fake.events().iter().map(|event| event.body(&version)).collect::<Vec<_>>());
    }
    assert!(runs[0].len() > 20);
    let mask = |body: &bytes::Bytes| {
        // Only the addresses of the two servers differ.
        let text = String::from_utf8(body.to_vec()).unwrap();
        let lines = text.lines().filter(|line| !line.contains("http://127.0.0.1"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        runs[0].iter().map(mask).collect::<Vec<_>>(),
        runs[1].iter().map(mask).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn the_server_stops_with_its_last_handle() {
    let fake = builder().start().await.unwrap();
    let api = Api::new(&fake);
    let clone = fake.clone();
    drop(fake);
    assert_eq!(api.get("/v1/events", &[]).await["object"], "list");
    let address = clone.base_url().strip_prefix("http://").unwrap().to_owned();
    drop(clone);
    // The listener closes as soon as its task has run.
    for _ in 0..1_000 {
        if tokio::net::TcpStream::connect(&address).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("still listening");
}

#[tokio::test]
async fn waiting_ends_when_the_server_is_stopped() {
    let (fake, _hook) = with_receiver().await;
    fake.delivery().delay(Duration::from_secs(3_600));
    customer(&fake, 1);
    customer(&fake, 2);
    fake.shutdown();
    tokio::time::timeout(Duration::from_secs(10), fake.wait_idle()).await.unwrap();
}
