//! Parked events: released by a link that a commit brings, or by another catalog.

use stripe_billing_core::changes::{Changes, Effects, ParkReason, Settlement};
use stripe_billing_core::store::{Commit, Settled, Store};
use stripe_billing_core::{SubjectKey, Tenant};

use super::Fixture;
use super::sample::{
    at, changes, claim, connected, ids, linking, live, load, subject, subject_of, summary, take,
    take_of, test_mode,
};

fn unknown_price(catalog: &str) -> ParkReason {
    ParkReason::UnknownPrice { catalog: catalog.to_owned() }
}

/// Receives an event and parks it with a commit, as an event that brought something is.
async fn park(store: &dyn Store, tenant: Tenant, id: &str, customer: &str, reason: ParkReason) {
    let held = take_of(store, tenant.clone(), id, at(0)).await;
    let key = subject_of(tenant, customer);
    let version = load(store, &key).await.version;
    let decision =
        Changes { settlement: Settlement::Parked(reason), ..changes(&key, version, at(1)) };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
}

/// The same, settled without a commit.
async fn park_unchanged(store: &dyn Store, id: &str, customer: &str, reason: ParkReason) {
    let held = take(store, id, at(0)).await;
    let settled = Settled {
        settlement: Settlement::Parked(reason),
        subject: Some(customer.to_owned()),
        effects: Effects::default(),
        now: at(1),
    };
    assert!(store.settle(&held.lease, &settled).await.expect("settle"));
}

async fn commit_on(store: &dyn Store, key: &SubjectKey, id: &str, change: Changes) {
    let held = take_of(store, key.tenant.clone(), id, at(10)).await;
    let decision = Changes { expected_version: load(store, key).await.version, ..change };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
}

/// A commit that brings a link makes the subject's events due that waited for one: no other
/// subject's, none that waits for a price, and not the event that is committed.
pub async fn parked_a_link_releases_its_subjects_events(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let unlinked = || ParkReason::Unlinked;
    park(store, live(), "evt_own_1", "cus_1", unlinked()).await;
    park_unchanged(store, "evt_own_2", "cus_1", unlinked()).await;
    park(store, live(), "evt_price", "cus_1", unknown_price("old")).await;
    park(store, live(), "evt_other", "cus_2", unlinked()).await;
    park(store, live(), "evt_case", "CUS_1", unlinked()).await;
    park(store, test_mode(), "evt_mode", "cus_1", unlinked()).await;
    park(store, connected("acct_1"), "evt_connected", "cus_1", unlinked()).await;

    let key = subject("cus_1");
    let link = Changes {
        release_parked: true,
        settlement: Settlement::Parked(unknown_price("new")),
        ..linking(&key, 0, "acme", at(10))
    };
    commit_on(store, &key, "evt_link", link).await;
    let released = summary(store, "evt_own_1").await;
    assert_eq!((released.status.as_str(), released.attempts), ("received", 0));
    assert_eq!(released.reason, None);
    assert_eq!(summary(store, "evt_link").await.status, "parked");

    let due = claim(fixture.other().as_ref(), at(10)).await;
    let mut due_ids = ids(&due);
    due_ids.sort_unstable();
    assert_eq!(due_ids, ["evt_own_1", "evt_own_2"]);
    assert!(due.iter().all(|one| one.attempts == 0 && one.crashes == 0));
}

/// A commit that releases nothing leaves parked events where they are, and one that is parked
/// itself for want of a link is not released by its own commit.
pub async fn parked_without_the_flag_nothing_is_released(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    park(store, live(), "evt_parked", "cus_1", ParkReason::Unlinked).await;
    commit_on(store, &key, "evt_plain", linking(&key, 0, "acme", at(10))).await;
    assert!(claim(store, at(100)).await.is_empty());
    assert_eq!(summary(store, "evt_parked").await.status, "parked");

    let own = Changes {
        release_parked: true,
        settlement: Settlement::Parked(ParkReason::Unlinked),
        ..linking(&key, 0, "acme", at(10))
    };
    commit_on(store, &key, "evt_self", own).await;
    assert_eq!(summary(store, "evt_self").await.status, "parked");
    assert_eq!(ids(&claim(store, at(100)).await), ["evt_parked"]);
}

/// `release_parked` makes due what another catalog parked, in every tenant, and says how many;
/// what this catalog parked would only be parked again.
pub async fn parked_a_catalog_releases_what_others_parked(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    park(store, live(), "evt_old", "cus_1", unknown_price("old")).await;
    park(store, live(), "evt_older", "cus_2", unknown_price("older")).await;
    park(store, live(), "evt_prefix", "cus_2", unknown_price("ne")).await;
    park(store, test_mode(), "evt_mode", "cus_1", unknown_price("old")).await;
    park_unchanged(store, "evt_settled", "cus_3", unknown_price("old")).await;
    park(store, live(), "evt_new", "cus_1", unknown_price("new")).await;
    park(store, live(), "evt_unlinked", "cus_1", ParkReason::Unlinked).await;
    take(store, "evt_leased", at(9)).await;

    let released = store.release_parked("new", at(10)).await;
    assert_eq!(released.expect("release_parked"), 5);
    let again = fixture.other().release_parked("new", at(10)).await;
    assert_eq!(again.expect("release_parked"), 0);
    let due = claim(store, at(10)).await;
    let mut due = ids(&due);
    due.sort_unstable();
    let expected = ["evt_mode", "evt_old", "evt_older", "evt_prefix", "evt_settled"];
    assert_eq!(due, expected);
}
