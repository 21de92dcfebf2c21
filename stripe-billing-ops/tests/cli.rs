//! The real command on a real database.

#![allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.

use std::process::{Command, Output};

use chrono::DateTime;
use serde_json::Value;
use stripe_billing_core::ledger::{Command as Operation, Grant, LedgerKey, LedgerPolicy, Request};
use stripe_billing_core::store::{CreditLedger, LedgerTerms};
use stripe_billing_seaorm::SeaOrmStore;
use tempfile::TempDir;

struct Desk {
    directory: TempDir,
    url: String,
}

fn key() -> LedgerKey {
    LedgerKey::new("acme", "credits")
}

async fn desk() -> Desk {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/billing.db?mode=rwc", directory.path().display());
    let store = SeaOrmStore::connect(url.as_str()).await.unwrap();
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let terms = LedgerTerms { now, policy: LedgerPolicy::default() };
    let grant = Operation::Grant(Grant::new("pack", 100));
    store.execute(&key(), &grant.into(), &terms).await.unwrap().unwrap();
    let spend = Operation::Spend { key: "k".to_owned(), amount: 30 };
    let spend = Request::from(spend).on("stories").by("ann");
    store.execute(&key(), &spend, &terms).await.unwrap().unwrap();
    Desk { directory, url }
}

impl Desk {
    fn ops(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_billing-ops"))
            .args(line.split_whitespace())
            .current_dir(self.directory.path())
            .env_remove("BILLING_CATALOG")
            .env_remove("STRIPE_SECRET_KEY")
            .env("DATABASE_URL", &self.url)
            .output()
            .unwrap()
    }

    #[track_caller]
    fn says(&self, line: &str, code: i32) -> String {
        let output = self.ops(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test]
async fn a_sound_ledger_is_proven_explained_and_exported() {
    let desk = desk().await;
    assert_eq!(desk.says("ledger verify", 0), "every balance is proven: 1 accounts, 2 entries\n");
    let proof: Value = serde_json::from_str(&desk.says("ledger verify --json", 0)).unwrap();
    assert_eq!((&proof["ok"], &proof["entries"]), (&true.into(), &2.into()));
    let told = desk.says("ledger rebuild --account acme", 0);
    assert_eq!(told, "0 differences found, nothing written: 1 accounts\n");
    let told = desk.says("ledger rebuild --apply", 0);
    assert_eq!(told, "0 differences set right: 1 accounts\n");
    let told = desk.says("ledger explain --account acme", 0);
    assert!(told.starts_with("acme [credits]: 70 available"), "{told}");
    assert!(told.contains("stories"), "{told}");
    let table = desk.says("ledger export --account acme", 0);
    assert_eq!(table.lines().count(), 3);
    assert!(table.contains(",spend,-30,70,"), "{table}");
    let found: Value = serde_json::from_str(&desk.says("ledger reconcile --json", 0)).unwrap();
    assert_eq!((&found["ok"], &found["accounts"]), (&true.into(), &1.into()));
    let stats: Value = serde_json::from_str(&desk.says("stats", 0)).unwrap();
    assert_eq!(stats["idle"], true);
}

#[tokio::test]
async fn a_balance_that_somebody_changed_is_found() {
    let desk = desk().await;
    let path = desk.directory.path().join("billing.db");
    let changed = Command::new("sqlite3")
        .arg(path)
        .arg("UPDATE billing_credit_accounts SET available = available + 5")
        .output();
    let Ok(changed) = changed else {
        println!("skipped: sqlite3 is not here");
        return;
    };
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    let told = desk.says("ledger verify", 1);
    assert!(told.contains("NOT PROVEN") && told.contains("acme [credits]: Available"), "{told}");
    for line in ["ledger rebuild --account acme", "ledger rebuild"] {
        let told = desk.says(line, 1);
        assert!(told.contains("acme [credits]: available: 70 by its entries, 75 stored"), "{told}");
    }
    let told = desk.says("ledger rebuild --account acme --apply --actor eve --json", 0);
    let mut lines = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(lines.next().unwrap()["stored"], 75);
    assert_eq!(lines.next().unwrap()["ok"], true);
    let told = desk.says("ledger verify", 0);
    assert!(told.starts_with("every balance is proven: 1 accounts, 3 entries"), "{told}");
    let told = desk.says("ledger explain --account acme", 0);
    assert!(told.contains("Repair") && told.contains("eve"), "{told}");
    assert!(desk.says("ledger rebuild", 0).starts_with("0 differences"));
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let desk = desk().await;
    assert_eq!(desk.ops("ledger explain --account nobody").status.code(), Some(3));
    let wrong = desk.ops("ledger prove");
    assert_eq!(wrong.status.code(), Some(2));
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(told.contains("`ledger prove` is no command") && told.contains("--help"), "{told}");
    assert!(desk.says("--help", 0).contains("ledger verify"));
}

#[test]
fn mails_are_written_in_every_language_without_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("mails");
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_billing-ops"))
            .args(["mail", "preview", "--json", "--out", out.to_str().unwrap()])
            .args(arguments)
            .env("DATABASE_URL", "oracle://nobody")
            .output()
            .unwrap()
    };
    let done = run(&[]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let index = std::fs::read_to_string(told["index"].as_str().unwrap()).unwrap();
    for language in ["en", "de", "fr", "es", "pt-BR", "ja"] {
        let under = out.join(language);
        let names: Vec<_> = std::fs::read_dir(&under).unwrap().map(|it| it.unwrap()).collect();
        assert!(names.len() >= 2 * 19, "{language} has {}", names.len());
        for kind in ["receipt", "payment_reminder", "ticket_opened"] {
            let text = std::fs::read_to_string(under.join(format!("{kind}.txt"))).unwrap();
            assert!(text.starts_with("Subject: "), "{language} {kind}");
            assert!(under.join(format!("{kind}.html")).exists());
            assert!(index.contains(&format!("{language}/{kind}.html")));
        }
    }
    // The app's own words, and a mistake in them.
    let templates = directory.path().join("templates");
    std::fs::create_dir_all(&templates).unwrap();
    std::fs::write(templates.join("en.toml"), "[receipt]\nsubject = \"Thanks a lot\"\n").unwrap();
    let folder = templates.to_str().unwrap();
    assert_eq!(run(&["--templates", folder]).status.code(), Some(0));
    let text = std::fs::read_to_string(out.join("en/receipt.txt")).unwrap();
    assert!(text.starts_with("Subject: Thanks a lot"), "{text}");
    std::fs::write(templates.join("en.toml"), "[receipt]\nsubjct = \"Thanks\"\n").unwrap();
    let wrong = run(&["--templates", folder]);
    assert_eq!(wrong.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("subjct"));
}
