//! What a correct catalog means, from TOML and from code.

use chrono::TimeDelta;

use crate::catalog::{
    Catalog, ConnectedAccounts, CreditResidual, CreditsFrom, Dunning, DunningHours, Fraud, Link,
    OnDispute, OnFullRefund, Pack, Period, PeriodUnit, Plan, PlanPrice, Policy, UpgradeCredits,
};

/// Uses every key there is.
pub(super) const FULL: &str = r#"
[link]
account = "workspace"   # ours
pack = "bundle"

[policy]
past_due_grace = "1d12h"
on_dispute = "revoke_access"
on_full_refund = "revoke_access"
credit_residual = "write_off"
connected_accounts = "separate"
renewal_grace = "12h"
upgrade_credits = "prorated"
credits_low = { tokens = 100 }
credits_from = { api = "team" }
dunning = "off"
dunning_days = [2, 9]
dunning_hours = "any"
notifications_per_day = 5
fraud = "standard"

[plan.team]
name = "Team & friends"
features = ["reports", "sso"]
limits = { seats = 10, boards = 0 }
trial_days = 14
trial_credits = { tokens = 50 }
rollover = { tokens = 200 }

[[plan.team.price]]
id = "${TEAM_MONTHLY}"
period = "month"
amount = 4900
currency = "EUR"
credits = { tokens = 1_000, exports = 5 }

[[plan.team.price]]
id = "price_team_${REGION}_yearly"
label = "Two months free"
period = "year"
credits = { tokens = 12000 }
credits_monthly = true
features = ["audit_log"]
limits = { seats = 15 }

[plan.basic-plus]
price = [{ id = "price_basic", period = "3 months" }]

[pack.boost]
name = "Boost"
price = "price_boost"
amount = 499
currency = "usd"
credits = { tokens = 500 }
"#;

pub(super) fn variables(name: &str) -> Option<String> {
    match name {
        "TEAM_MONTHLY" => Some("price_team_monthly".to_owned()),
        "REGION" => Some("eu".to_owned()),
        _ => None,
    }
}

fn full_in_code() -> Catalog {
    Catalog::builder()
        .link(Link { account: "workspace".to_owned(), pack: "bundle".to_owned() })
        .policy(Policy {
            past_due_grace: TimeDelta::hours(36),
            on_dispute: OnDispute::RevokeAccess,
            on_full_refund: OnFullRefund::RevokeAccess,
            credit_residual: CreditResidual::WriteOff,
            connected_accounts: ConnectedAccounts::Separate,
            renewal_grace: TimeDelta::hours(12),
            upgrade_credits: UpgradeCredits::Prorated,
            credits_low: [("tokens".to_owned(), 100)].into(),
            credits_from: [("api".to_owned(), CreditsFrom::Team)].into(),
            dunning: Dunning::Off,
            dunning_days: vec![2, 9],
            dunning_hours: DunningHours::Any,
            notifications_per_day: 5,
            fraud: Fraud::Standard,
        })
        .plan(
            Plan::new("team")
                .name("Team & friends")
                .feature("reports")
                .feature("sso")
                .limit("seats", 10)
                .limit("boards", 0)
                .trial_days(14)
                .trial_credits("tokens", 50)
                .rollover("tokens", 200)
                .price(
                    PlanPrice::new("price_team_monthly")
                        .period(Period::MONTH)
                        .amount(4900, "eur")
                        .credits("tokens", 1000)
                        .credits("exports", 5),
                )
                .price(
                    PlanPrice::new("price_team_eu_yearly")
                        .label("Two months free")
                        .period(Period::YEAR)
                        .credits("tokens", 12_000)
                        .credits_monthly()
                        .feature("audit_log")
                        .limit("seats", 15),
                ),
        )
        .plan(
            Plan::new("basic-plus")
                .price(PlanPrice::new("price_basic").period(Period::new(3, PeriodUnit::Month))),
        )
        .pack(
            Pack::new("boost", "price_boost")
                .name("Boost")
                .amount(499, "usd")
                .credits("tokens", 500),
        )
        .build()
        .unwrap()
}

#[test]
fn a_file_with_the_usual_keys_means_what_it_says() {
    let text = r#"
        [link]
        account = "app_user"
        pack = "pack"
        [policy]
        past_due_grace = "7d"
        on_dispute = "freeze_credits"
        on_full_refund = "keep_access"
        credit_residual = "debt"
        connected_accounts = "ignore"
        [plan.studio]
        features = ["drafts", "publish"]
        limits = { sites = 20 }
        [[plan.studio.price]]
        id = "${STUDIO}"
        credits = { credits = 500 }
        [[plan.studio.price]]
        id = "price_studio_annual"
        credits = { credits = 6000 }
        [pack.small]
        price = "price_small"
        credits = { credits = 1000 }
    "#;
    let catalog =
        Catalog::from_toml_with(text, |name| (name == "STUDIO").then(|| "price_studio".to_owned()))
            .unwrap();

    let (plan, price) = catalog.plan_of_price("price_studio").unwrap();
    assert_eq!((plan.id.as_str(), plan.name.as_str()), ("studio", "Studio"));
    assert!(price.features(plan).eq(["drafts", "publish"]));
    assert!(price.limits(plan).eq([("sites", 20)]));
    assert_eq!(price.credits["credits"], 500);
    let (_, annual) = catalog.plan_of_price("price_studio_annual").unwrap();
    assert_eq!(annual.credits["credits"], 6000);
    assert_eq!(annual.period, None);
    let pack = catalog.pack_of_price("price_small").unwrap();
    assert_eq!((pack.id.as_str(), pack.credits["credits"]), ("small", 1000));
    assert_eq!(catalog.link().account, "app_user");
    assert_eq!(catalog.link().pack, "pack");
    let policy = Policy { past_due_grace: TimeDelta::days(7), ..Policy::default() };
    assert_eq!(catalog.policy(), &policy);
}

#[test]
fn lookups_answer_only_for_what_they_are_about() {
    let catalog = full_in_code();
    assert!(catalog.plan_of_price("price_boost").is_none());
    assert!(catalog.pack_of_price("price_basic").is_none());
    assert!(catalog.plan_of_price("price_elsewhere").is_none());
    assert!(catalog.plan("boost").is_none());
    assert!(catalog.pack("team").is_none());
    assert_eq!(catalog.plan("team").unwrap().prices.len(), 2);
    assert_eq!(catalog.pack("boost").unwrap().price, "price_boost");
}

#[test]
fn toml_and_code_mean_the_same() {
    let read = Catalog::from_toml_with(FULL, variables).unwrap();
    let built = full_in_code();
    assert_eq!(read, built);
    assert_eq!(read.fingerprint(), built.fingerprint());
}

#[test]
fn a_price_adds_features_and_replaces_limits() {
    let catalog = full_in_code();
    let (plan, annual) = catalog.plan_of_price("price_team_eu_yearly").unwrap();
    assert!(annual.features(plan).eq(["reports", "sso", "audit_log"]));
    assert!(annual.limits(plan).eq([("boards", 0), ("seats", 15)]));
    let (_, monthly) = catalog.plan_of_price("price_team_monthly").unwrap();
    assert!(monthly.features(plan).eq(["reports", "sso"]));
    assert!(monthly.limits(plan).eq([("boards", 0), ("seats", 10)]));
}

#[test]
fn what_is_left_out_has_its_default() {
    let text = "[plan.basic_plus]\n[[plan.basic_plus.price]]\nid = \"gold\"\n";
    let catalog = Catalog::from_toml(text).unwrap();
    let plan = catalog.plan("basic_plus").unwrap();
    assert_eq!(plan.name, "Basic Plus");
    assert!(plan.features.is_empty() && plan.limits.is_empty() && plan.trial_credits.is_empty());
    assert_eq!(plan.trial_days, None);
    assert_eq!(plan.prices, [PlanPrice::new("gold")]);
    assert_eq!(catalog.link(), &Link::default());
    assert_eq!(
        (catalog.link().account.as_str(), catalog.link().pack.as_str()),
        ("account", "pack")
    );
    let policy = catalog.policy();
    assert_eq!(policy.past_due_grace, TimeDelta::days(3));
    assert_eq!(policy.on_dispute.as_str(), "freeze_credits");
    assert_eq!(policy.on_full_refund.as_str(), "keep_access");
    assert_eq!(policy.credit_residual.as_str(), "debt");
    assert_eq!(policy.connected_accounts.to_string(), "ignore");
    assert_eq!(Catalog::from_toml("").unwrap(), Catalog::default());
}

#[test]
fn plans_and_packs_keep_their_declared_order() {
    let text = r#"
        [pack.z]
        price = "p1"
        credits = { c = 1 }
        [[plan.zebra.price]]
        id = "p2"
        [pack.a]
        price = "p3"
        credits = { c = 1 }
        [plan.ant]
        price = [{ id = "p4" }]
        [plan.zebra]
        name = "Zebra"
        [plan.mole.limits]
        x = 1
        [[plan.mole.price]]
        id = "p5"
    "#;
    let catalog = Catalog::from_toml(text).unwrap();
    let plans: Vec<_> = catalog.plans().iter().map(|plan| plan.id.as_str()).collect();
    let packs: Vec<_> = catalog.packs().iter().map(|pack| pack.id.as_str()).collect();
    assert_eq!(plans, ["zebra", "ant", "mole"]);
    assert_eq!(packs, ["z", "a"]);
}

#[test]
fn durations_are_read_in_every_unit() {
    for (written, seconds) in [
        ("0", 0),
        ("0d", 0),
        ("45s", 45),
        ("90m", 5400),
        ("36h", 129_600),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1d12h", 129_600),
        ("3650d", 315_360_000),
    ] {
        let text = format!("[policy]\npast_due_grace = \"{written}\"");
        let catalog = Catalog::from_toml(&text).unwrap();
        assert_eq!(catalog.policy().past_due_grace.num_seconds(), seconds, "{written}");
    }
}

#[test]
fn periods_are_read_and_shown_alike() {
    for (written, shown) in [
        ("day", "day"),
        ("week", "week"),
        ("month", "month"),
        ("1 year", "year"),
        ("3 months", "3 months"),
        (" 2  weeks ", "2 weeks"),
    ] {
        assert_eq!(Period::parse(written).unwrap().to_string(), shown);
    }
}

#[test]
fn plans_serialise_as_a_price_list() {
    let catalog = full_in_code();
    let json = serde_json::to_value(catalog.plan("team").unwrap()).unwrap();
    let expected = serde_json::json!({
        "id": "team", "name": "Team & friends", "features": ["reports", "sso"],
        "limits": {"boards": 0, "seats": 10}, "trial_days": 14, "trial_credits": {"tokens": 50},
        "rollover": {"tokens": 200},
        "prices": [
            {"id": "price_team_monthly", "label": null, "period": "month", "amount": 4900,
             "currency": "eur", "credits_monthly": false, "credits": {"exports": 5, "tokens": 1000}, "features": [],
             "limits": {}},
            {"id": "price_team_eu_yearly", "label": "Two months free", "period": "year",
             "credits": {"tokens": 12000}, "credits_monthly": true, "features": ["audit_log"], "limits": {"seats": 15}},
        ],
    });
    assert_eq!(json, expected);
    let json = serde_json::to_value(catalog.pack("boost").unwrap()).unwrap();
    let expected = serde_json::json!({
        "id": "boost", "name": "Boost", "price": "price_boost", "amount": 499, "currency": "usd",
        "credits": {"tokens": 500},
    });
    assert_eq!(json, expected);
}
