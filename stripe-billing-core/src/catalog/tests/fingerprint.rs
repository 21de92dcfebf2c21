//! The fingerprint follows the meaning and nothing else.

use std::collections::HashSet;

use super::meaning::{FULL, variables};
use crate::catalog::Catalog;

fn fingerprint(text: &str) -> String {
    let catalog = Catalog::from_toml_with(text, variables);
    catalog.expect(text).fingerprint().to_owned()
}

#[test]
fn it_does_not_depend_on_order_or_formatting() {
    let other = r#"
        pack = { boost = { credits = { tokens = 0x1F4 }, currency = "USD", amount = 499, price = "price_boost" } }
        [[plan.basic-plus.price]]
        period = "3 months"
        id = 'price_basic'
        [plan.team]
        trial_credits.tokens = 50
        rollover.tokens = 200
        trial_days = 14
        limits.boards = 0
        limits.seats = 10
        features = [
            "sso",
            "reports",
        ]
        name = "Team \u0026 friends"
        [[plan.team.price]]
        limits = { seats = 15 }
        features = ["audit_log"]
        credits_monthly = true
        credits = { tokens = 12000 }
        period = "1 year"
        label = "Two months free"
        id = "price_team_eu_yearly"
        [[plan.team.price]]
        credits = { exports = 5, tokens = 1000 }
        currency = "eur"
        amount = 4900
        period = "month"
        id = "price_team_monthly"
        [policy]
        connected_accounts = "separate"
        fraud = "standard"
        dunning_days = [2, 9]
        notifications_per_day = 0x5
        dunning_hours = "any"
        dunning = "off"
        credits_low.tokens = 100
        credits_from.api = "team"
        renewal_grace = "720m"
        upgrade_credits = "prorated"
        credit_residual = "write_off"
        on_full_refund = "revoke_access"
        on_dispute = "revoke_access"
        past_due_grace = "36h"
        [link]
        pack = "bundle"
        account = "workspace"
    "#;
    assert_eq!(fingerprint(FULL), fingerprint(other));
}

#[test]
fn it_is_the_same_in_every_process_and_version() {
    let empty = Catalog::default();
    assert_eq!(empty.fingerprint().len(), 64);
    assert_eq!(empty.fingerprint(), fingerprint("# nothing yet\n"));
    assert_eq!(fingerprint(FULL), fingerprint(FULL));
    assert_eq!(
        fingerprint(FULL),
        "11d98c0d72583a40541eb30fe108829df3c79a1dc4640dbc3b1bebcb1b682106"
    );
}

#[test]
fn every_change_of_meaning_changes_it() {
    let mut seen = HashSet::from([fingerprint(FULL)]);
    for (from, to) in [
        ("\"workspace\"", "\"tenant\""),
        ("\"bundle\"", "\"pack_id\""),
        ("\"1d12h\"", "\"1d13h\""),
        ("\"12h\"", "\"13h\""),
        ("dunning = \"off\"", "dunning = \"standard\""),
        ("[2, 9]", "[2, 10]"),
        ("dunning_hours = \"any\"", ""),
        ("notifications_per_day = 5", "notifications_per_day = 6"),
        ("fraud = \"standard\"", ""),
        ("credits_low = { tokens = 100 }", "credits_low = { tokens = 101 }"),
        ("credits_from = { api = \"team\" }", "credits_from = { api = \"member\" }"),
        ("rollover = { tokens = 200 }", ""),
        ("\"prorated\"", "\"at_renewal\""),
        ("credits_monthly = true", ""),
        ("on_dispute = \"revoke_access\"", "on_dispute = \"freeze_credits\""),
        ("on_full_refund = \"revoke_access\"", "on_full_refund = \"keep_access\""),
        ("\"write_off\"", "\"debt\""),
        ("\"separate\"", "\"ignore\""),
        ("[plan.basic-plus]", "[plan.basic-more]"),
        ("\"Team & friends\"", "\"Team\""),
        ("[\"reports\", \"sso\"]", "[\"reports\"]"),
        ("[\"reports\", \"sso\"]", "[\"reports\", \"ssh\"]"),
        ("seats = 10", "seats = 11"),
        ("boards = 0", "walls = 0"),
        ("trial_days = 14", "trial_days = 15"),
        ("trial_days = 14", ""),
        ("{ tokens = 50 }", "{ tokens = 51 }"),
        ("${TEAM_MONTHLY}", "price_other"),
        ("period = \"month\"", "period = \"week\""),
        ("period = \"month\"", ""),
        ("amount = 4900", "amount = 4901"),
        ("\"EUR\"", "\"chf\""),
        ("exports = 5", "exports = 6"),
        ("\"Two months free\"", "\"Cheaper\""),
        ("[\"audit_log\"]", "[]"),
        ("seats = 15", "seats = 16"),
        ("[pack.boost]", "[pack.lift]"),
        ("\"Boost\"", "\"Lift\""),
        ("\"price_boost\"", "\"price_lift\""),
        ("amount = 499\ncurrency = \"usd\"", ""),
        ("{ tokens = 500 }", "{ tokens = 501 }"),
        ("{ tokens = 500 }", "{ tokens = 500, extra = 1 }"),
    ] {
        assert_eq!(FULL.matches(from).count(), 1, "{from}");
        let changed = FULL.replace(from, to);
        assert!(seen.insert(fingerprint(&changed)), "{from} -> {to}");
    }
}
