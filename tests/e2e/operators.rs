//! The quickstart as operators and their tools see it: events posted to the real process, and read
//! back as JSON.

use std::time::Duration;

use serde_json::{Value, json};
use stripe_billing_testing::event::histories::{
    self, ACCOUNT, ACCOUNT_KEY, History, PACK, PACK_KEY,
};
use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject};
use tokio::time::{interval, timeout};

use crate::quickstart::{Server, TOKEN};
use crate::stage::{moved, tenant};
use crate::world::SECRET;

/// The longest that anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

async fn server(directory: &tempfile::TempDir) -> Server {
    let catalog = format!(
        "[link]\naccount = \"{ACCOUNT_KEY}\"\npack = \"{PACK_KEY}\"\n\
         [policy]\nconnected_accounts = \"separate\"\n\
         [plan.pro]\nfeatures = [\"export\"]\n\
         [[plan.pro.price]]\nid = \"price_pro\"\n[[plan.pro.price]]\nid = \"price_team\"\n\
         [pack.{PACK}]\nprice = \"price_pack\"\ncredits = {{ credits = 1000 }}\n"
    );
    let file = directory.path().join("catalog.toml");
    std::fs::write(&file, catalog).expect("a catalog file");
    Server::start(&[
        ("BILLING_STRIPE", "none"),
        ("BILLING_CATALOG", &file.display().to_string()),
        ("BILLING_OPERATOR_TOKEN", TOKEN),
        ("STRIPE_WEBHOOK_SECRET", SECRET),
        ("RUST_LOG", "error"),
    ])
    .await
}

async fn idle(server: &Server) -> Value {
    let mut tick = interval(Duration::from_millis(50));
    let rest = async {
        loop {
            tick.tick().await;
            let stats = server.json("/operator/stats", "").await;
            if stats["idle"] == true {
                return stats;
            }
        }
    };
    timeout(PATIENCE, rest).await.expect("it comes to rest")
}

/// One history of each family, and what operators read of it.
const FAMILIES: [(History, &str, Read); 8] = [
    (histories::sign_up, "active", |view| view["subscriptions"][0]["status"] == "active"),
    (histories::cancel, "canceled", |view| view["subscriptions"][0]["ended_at"].is_i64()),
    (histories::renewal_recovers, "active", |view| view["invoices"][0]["amount_paid"] == 1_500),
    (histories::upgrade, "active", |view| {
        view["subscriptions"][0]["prices"] == json!(["price_team"])
    }),
    (histories::pack_by_card, "no_subscription", |view| {
        view["checkout_sessions"][0]["payment_status"] == "paid"
    }),
    (histories::partial_refunds, "no_subscription", |view| {
        view["payments"][0]["amount_refunded"] == 500
    }),
    (histories::dispute_lost, "no_subscription", |view| view["disputes"][0]["status"] == "lost"),
    (histories::entitlements, "canceled", |view| view["entitlements"] == json!([])),
];

type Read = fn(&Value) -> bool;

/// What acceptance reads, by its names.
fn assert_names(view: &Value) {
    let of = |row: &Value, names: &[&str]| {
        for name in names {
            assert!(row.get(name).is_some(), "{name} is missing: {row}");
        }
    };
    of(
        view,
        &[
            "account",
            "state",
            "access",
            "features",
            "can_use_credits",
            "can_purchase",
            "subscriptions",
            "invoices",
            "payments",
            "disputes",
            "checkout_sessions",
            "credits",
            "notifications",
        ],
    );
    for row in view["subscriptions"].as_array().expect("a list") {
        of(
            row,
            &[
                "id",
                "status",
                "prices",
                "quantities",
                "period_start",
                "period_end",
                "cancel_at_period_end",
                "cancel_at",
                "will_cancel",
                "canceled_at",
                "ended_at",
                "trial_end",
                "pause_collection",
                "latest_invoice",
            ],
        );
        for list in ["prices", "quantities", "period_start", "period_end"] {
            assert!(row[list].is_array(), "{list}: {row}");
        }
    }
    for row in view["payments"].as_array().expect("a list") {
        of(row, &["charge", "amount", "amount_refunded", "disputed"]);
    }
}

#[tokio::test]
async fn what_operators_read_does_not_differ_from_what_happened() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = server(&directory).await;
    for (number, (history, _, _)) in FAMILIES.iter().enumerate() {
        // The last event first, as it may come.
        for body in history(Shape::New).iter().rev() {
            let body = moved(body, &tenant(number));
            let body = std::str::from_utf8(&body).expect("JSON");
            let (status, answer) = server.deliver(body, SECRET).await;
            assert!(status.is_success(), "{answer}");
        }
    }
    idle(&server).await;
    for (number, (_, state, read)) in FAMILIES.iter().enumerate() {
        let of = format!("stripe_account=acct_{number}&livemode=true");
        let customer = server.json(&format!("/operator/customers/cus_1?{of}"), "").await;
        let account = server.json(&format!("/operator/accounts/{ACCOUNT}?{of}"), "").await;
        for view in [&customer, &account] {
            assert_names(view);
            assert_eq!(view["account"], ACCOUNT, "{number}");
            assert_eq!(view["state"], *state, "{number}");
            assert!(read(view), "{number}: {view}");
        }
        assert!(account["notifications"].is_object());
    }
    let unknown = server.json("/operator/customers/cus_nobody", "").await;
    assert_names(&unknown);
    assert_eq!(unknown["account"], Value::Null);
}

#[tokio::test]
async fn operators_see_a_guests_purchase_and_the_clock_they_ask_for() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = server(&directory).await;
    let guest = histories::pack_by_guest(Shape::New);
    let renewal = histories::renewal_unpaid_kept(Shape::New);
    let renewal = &renewal[..renewal.len() - 8];
    for body in guest.iter().chain(renewal) {
        let body = std::str::from_utf8(body).expect("JSON");
        assert!(server.deliver(body, SECRET).await.0.is_success());
    }
    idle(&server).await;
    let view = server.json(&format!("/operator/accounts/{ACCOUNT}?livemode=true"), "").await;
    assert_eq!(view["checkout_sessions"][0]["fulfilled"], true, "a guest's: {view}");
    let tried = histories::START + histories::MONTH + 3_600;
    let at = |seconds: i64| {
        let path = format!("/operator/customers/cus_1?at={}", tried + seconds);
        let server = &server;
        async move { server.json(&path, "").await }
    };
    let (early, late) = (at(86_400).await, at(10 * 86_400).await);
    assert_eq!(early["state"], "past_due", "{early}");
    assert_eq!((&early["access"], &late["access"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn parked_events_are_listed_and_shown_as_received() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = server(&directory).await;
    let object = SubscriptionObject::new("sub_1", "cus_1").render(Shape::New);
    let event = EventBuilder::new("customer.subscription.created").id("evt_parked").object(object);
    let body = event.build();
    let text = std::str::from_utf8(&body).expect("JSON");
    assert!(server.deliver(text, SECRET).await.0.is_success());
    let stats = idle(&server).await;
    assert_eq!(stats["events"]["parked"], 1, "{stats}");
    assert!(stats["queue_age_seconds"].is_number(), "{stats}");
    let parked = server.json("/operator/events?status=parked", "").await;
    assert_eq!(parked["events"].as_array().map(Vec::len), Some(1), "{parked}");
    let row = &parked["events"][0];
    assert_eq!((&row["id"], &row["status"]), (&json!("evt_parked"), &json!("parked")));
    assert_eq!(row["reason"], "unlinked");
    let shown = server.json("/operator/events/evt_parked", "").await;
    let sent: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(shown["payload"], sent);
    let by_type = "/operator/events?type=customer.subscription.created&customer=cus_1&limit=1";
    assert_eq!(server.json(by_type, "").await["events"][0]["id"], "evt_parked");
}
