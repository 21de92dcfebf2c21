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
async fn a_long_replay_tells_how_far_it_is_and_where_the_rest_begins() {
    let place = Place { directory: tempfile::tempdir().expect("a directory") };
    let store = SeaOrmStore::connect(place.url()).await.expect("connect");
    for n in 0..260 {
        let customer = format!(r#"{{"id":"cus_{n}","object":"customer"}}"#);
        store.receive(event(&format!("evt_{n}"), &customer)).await.expect("receive");
    }
    let billing = Billing::builder(store).catalog(Catalog::default()).webhook_secrets(["whsec_1"]);
    let billing = billing.build().expect("good");
    billing.process_due().await.expect("process");

    let (text, code) = place.says(&["events", "replay", "--limit", "2"]);
    assert_eq!(code, 0, "{text}");
    let counted = "260 events would be replayed; 2 decided on again:";
    assert_eq!(text.lines().next(), Some(counted), "the count comes first: {text}");
    let (text, code) = place.says(&["events", "replay", "evt_7"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("evt_7 customer.created: "), "{text}");
    assert!(text.contains("1 events, nothing written"), "{text}");

    let line = ["events", "replay", "--apply", "--pace", "0", "--request", "r1", "--limit", "220"];
    let (text, code) = place.says(&line);
    assert_eq!((code, text.lines().next()), (1, Some("220 due again")), "more match: {text}");
    assert!(text.contains("260 matched; the rest begins at --from 221"), "{text}");
    for progress in ["100 of 220 events", "200 of 220 events", "220 of 220 events"] {
        assert!(text.contains(progress), "{text}");
    }
    let (text, _) = place.says(&line);
    assert_eq!(text.lines().next(), Some("0 due again, 220 before this"), "{text}");
    let rest = ["events", "replay", "--apply", "--pace", "0", "--from", "221", "--json"];
    let (text, code) = place.says(&rest);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(r#""done":40"#) && text.contains(r#""matching":40"#), "{text}");
    assert_eq!(billing.process_due().await.expect("process").ignored, 260);
    let (text, code) = place.says(&["events", "replay", "--apply", "--limit", "10001"]);
    assert_eq!(code, 3, "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_replay_says_how_it_goes_on() {
    use std::io::{BufRead as _, BufReader, Read as _};

    let place = Place { directory: tempfile::tempdir().expect("a directory") };
    let store = SeaOrmStore::connect(place.url()).await.expect("connect");
    for n in 0..210 {
        let customer = format!(r#"{{"id":"cus_{n}","object":"customer"}}"#);
        store.receive(event(&format!("evt_{n}"), &customer)).await.expect("receive");
    }
    let billing = Billing::builder(store).catalog(Catalog::default()).webhook_secrets(["whsec_1"]);
    billing.build().expect("good").process_due().await.expect("process");

    let line = ["events", "replay", "--apply", "--pace", "1", "--request", "r1"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_billing-ops"));
    command.args(line).env_clear().env("DATABASE_URL", place.url());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut told = BufReader::new(child.stderr.take().expect("piped")).lines();
    let first = told.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("100 of 210")));
    assert!(first.is_some(), "the first batch is written at once");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
    let mut text = String::new();
    let mut out = child.stdout.take().expect("piped");
    out.read_to_string(&mut text).expect("it says something");
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{text}");
    let expected = "100 due again\ninterrupted; the same command goes on with --request r1\n";
    assert_eq!(text, expected);
    let line = ["events", "replay", "--apply", "--pace", "0", "--request", "r1"];
    let (text, code) = place.says(&line);
    assert_eq!((code, text.lines().next()), (0, Some("110 due again, 100 before this")), "{text}");
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
