use sea_orm::{ConnectionTrait, Database};
use stripe_billing_core::ErrorKind;
use stripe_billing_core::changes::AuditEntry;
use stripe_billing_core::store::{AuditQuery, Commit, EventQuery, EventStore, Inspect, Receipt};
use stripe_billing_seaorm::{ConnectError, SeaOrmStore};

use crate::support::{
    Backend, TestDb, changes, claim, claimed, event, object, on_every_backend, start,
};

on_every_backend!(
    eight_nodes_migrate_at_once,
    a_migration_that_was_cut_short_is_finished,
    prefixes_share_nothing,
    newer_tables_are_refused,
    a_store_runs_on_the_app_s_own_connection,
    the_audit_log_refuses_to_be_changed,
);

async fn eight_nodes_migrate_at_once(db: &TestDb) {
    if db.backend == Backend::SqliteMemory {
        // One store, which migrates eight times.
        let store = db.store().await;
        for _ in 0..8 {
            store.migrate().await.unwrap();
        }
        return;
    }
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let builder = db.builder().max_connections(1);
        tasks.push(tokio::spawn(builder.connect()));
    }
    for (n, task) in tasks.into_iter().enumerate() {
        let store = task.await.unwrap().unwrap();
        let receipt = store.receive(event(&format!("evt_{n}"))).await.unwrap();
        assert_eq!(receipt, Receipt::Stored);
    }
    let raw = db.raw().await.unwrap();
    let versions = sea_orm::Statement::from_string(
        raw.get_database_backend(),
        "SELECT version FROM billing_migrations",
    );
    assert_eq!(raw.query_all_raw(versions).await.unwrap().len(), 1);
}

async fn a_migration_that_was_cut_short_is_finished(db: &TestDb) {
    let Some(raw) = db.raw().await else { return };
    db.store().await.receive(event("evt_1")).await.unwrap();
    // As after a crash between the tables and the record of them.
    for sql in ["DELETE FROM billing_migrations", "DROP TABLE billing_calls"] {
        raw.execute_unprepared(sql).await.unwrap();
    }
    let store = db.store().await;
    assert_eq!(store.claim(&claim(9, start())).await.unwrap().len(), 1);
}

async fn prefixes_share_nothing(db: &TestDb) {
    if db.backend == Backend::SqliteMemory {
        return;
    }
    let one = db.store().await;
    let two = db.builder().table_prefix("other_").connect().await.unwrap();
    assert_eq!(one.receive(event("evt_1")).await.unwrap(), Receipt::Stored);
    assert_eq!(two.receive(event("evt_1")).await.unwrap(), Receipt::Stored);
    assert_eq!(one.claim(&claim(9, start())).await.unwrap().len(), 1);
    let query =
        EventQuery { status: Some("received".to_owned()), limit: 9, ..EventQuery::default() };
    assert_eq!(two.events(&query).await.unwrap().len(), 1);
}

async fn newer_tables_are_refused(db: &TestDb) {
    let Some(raw) = db.raw().await else { return };
    db.store().await.ping().await.unwrap();
    raw.execute_unprepared("INSERT INTO billing_migrations (version) VALUES (99)").await.unwrap();
    let error = db.builder().connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::SchemaTooNew { found: 99, .. }));
    assert!(!error.is_retryable());
}

async fn the_audit_log_refuses_to_be_changed(db: &TestDb) {
    let Some(raw) = db.raw().await else { return };
    let store = db.store().await;
    let lease = claimed(&store, "evt_1").await.lease;
    let mut decided = changes("cus_1", 0);
    decided.effects.audit = vec![AuditEntry {
        actor: "stripe:evt_1".to_owned(),
        action: "subscription.state".to_owned(),
        object: object("in_1"),
        before: None,
        after: Some("active".to_owned()),
        reason: None,
    }];
    assert_eq!(store.commit(&lease, &decided).await.unwrap(), Commit::Done);
    let query = AuditQuery { limit: 9, ..AuditQuery::default() };
    let written = store.audit(&query).await.unwrap();
    assert_eq!(written.len(), 1);
    for sql in ["UPDATE billing_audit SET actor = 'nobody'", "DELETE FROM billing_audit"] {
        let refused = raw.execute_unprepared(sql).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    if db.backend == Backend::Postgres {
        raw.execute_unprepared("TRUNCATE billing_audit").await.unwrap_err();
    }
    assert_eq!(store.audit(&query).await.unwrap(), written);
}

async fn a_store_runs_on_the_app_s_own_connection(db: &TestDb) {
    let connection = Database::connect(db.url.as_str()).await.unwrap();
    let store = SeaOrmStore::connect(connection).await.unwrap();
    for n in 0..3 {
        let receipt = store.receive(event(&format!("evt_{n}"))).await.unwrap();
        assert_eq!(receipt, Receipt::Stored);
    }
    assert_eq!(store.claim(&claim(9, start())).await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_cannot_be_opened_says_what_to_do() {
    for (url, says) in [
        ("sqlite:///nowhere/at/all/billing.db", "mode=rwc"),
        ("oracle://app:tiger@db/x", "sqlite:"),
        ("postgres://app:tiger@127.0.0.1:1/x", "is it up"),
        ("mysql://app:tiger@127.0.0.1:1/x", "is it up"),
        ("app:tiger@db", "for example"),
    ] {
        let error = SeaOrmStore::connect(url).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(says), "{shown}");
        assert!(!shown.contains("tiger"), "{shown}");
        if let ConnectError::Unreachable { source, .. } = &error {
            assert_eq!(source.kind(), ErrorKind::Unavailable, "{shown}");
        }
    }
    let prefix = SeaOrmStore::builder("sqlite::memory:").table_prefix("a-b");
    assert!(matches!(prefix.connect().await.unwrap_err(), ConnectError::InvalidPrefix { .. }));
}
