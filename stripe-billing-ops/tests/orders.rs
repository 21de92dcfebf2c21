//! The program itself, on an embedded database that an app has filled.

use std::process::{Command, Output};

use stripe_billing_core::store::{EventStore, ReceivedEvent};
use stripe_billing_core::webhook::EventKind;
use stripe_billing_core::{Billing, Clock, EventKey, SystemClock, Tenant, catalog::Catalog};
use stripe_billing_seaorm::SeaOrmStore;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn url(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.directory.path().join("billing.db").display())
    }

    fn ops(&self, line: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_billing-ops"))
            .args(line)
            .env_clear()
            .env("DATABASE_URL", self.url())
            .output()
            .expect("it starts")
    }

    /// What it prints, and its exit code.
    fn says(&self, line: &[&str]) -> (String, i32) {
        let output = self.ops(line);
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&text).into_owned(), output.status.code().unwrap_or(-1))
    }
}

fn event(id: &str, object: &str) -> ReceivedEvent {
    let body = format!(
        r#"{{"id":"{id}","object":"event","created":1700000000,"livemode":false,"type":"customer.created",
        "data":{{"object":{object}}}}}"#
    );
    ReceivedEvent {
        key: EventKey { tenant: Tenant::platform(false), id: id.to_owned() },
        kind: EventKind::Snapshot,
        event_type: "customer.created".to_owned(),
        api_version: None,
        created: 1_700_000_000,
        received_at: SystemClock.now(),
        payload: body.into(),
    }
}

/// An app's database with an event that is done and one that is dead.
async fn filled() -> Place {
    let place = Place { directory: tempfile::tempdir().expect("a directory") };
    let store = SeaOrmStore::connect(place.url()).await.expect("connect");
    let good = r#"{"id":"cus_1","object":"customer","email":"ada@example.test"}"#;
    for event in [event("evt_good", good), event("evt_bad", "nonsense")] {
        store.receive(event).await.expect("receive");
    }
    let billing = Billing::builder(store).catalog(Catalog::default()).webhook_secrets(["whsec_1"]);
    let report = billing.build().expect("good").process_due().await.expect("process");
    assert_eq!((report.processed, report.dead), (1, 1));
    place
}

#[tokio::test]
async fn an_operator_deals_with_a_dead_event_from_the_command_line() {
    let place = filled().await;
    let (text, code) = place.says(&["events", "payload", "evt_good"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("cus_1") && !text.contains("ada@"), "{text}");
    let (text, code) = place.says(&["events", "dismiss", "evt_bad"]);
    assert_eq!(code, 3, "a reason is needed: {text}");
    let line = ["events", "dismiss", "evt_bad", "--reason", "a test", "--request", "r1"];
    let (text, code) = place.says(&line);
    assert_eq!((code, text.lines().next()), (0, Some("dead -> dismissed")), "{text}");
    let (text, code) = place.says(&line);
    assert_eq!((code, text.lines().next()), (0, Some("dead -> dismissed, before this")), "{text}");
    let (text, code) = place.says(&["events", "resolve", "evt_none"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("there is no event evt_none"), "{text}");
    let (text, code) = place.says(&["events", "replay", "--customer", "cus_1"]);
    assert_eq!(code, 0);
    assert!(text.contains("1 events, nothing written"), "{text}");
    let (text, code) = place.says(&["events", "replay", "--customer", "cus_1", "--apply"]);
    assert_eq!((code, text.lines().next()), (0, Some("1 due again")), "{text}");
}

#[tokio::test]
async fn the_queue_is_paused_and_resumed_from_the_command_line() {
    let place = filled().await;
    assert_eq!(place.says(&["queue", "status"]), ("running\n".to_owned(), 0));
    let (text, code) = place.says(&["queue", "pause", "--reason", "moving", "--actor", "ada"]);
    assert_eq!((code, text.lines().next()), (0, Some("running -> paused")), "{text}");
    let (text, code) = place.says(&["queue", "status"]);
    assert_eq!(code, 1);
    assert!(text.contains("by ada: moving"), "{text}");
    let (text, code) = place.says(&["queue", "resume"]);
    assert_eq!((code, text.lines().next()), (0, Some("paused -> running")), "{text}");
    let (text, code) = place.says(&["messages", "redeliver"]);
    assert_eq!((code, text.lines().next()), (0, Some("0 due again")), "{text}");
}
