//! Every mistake is named, at its line and path, with what to do.

use chrono::TimeDelta;

use crate::catalog::{
    Catalog, CatalogError, Link, Pack, Period, PeriodUnit, Plan, PlanPrice, Policy,
};

fn lookup(name: &str) -> Option<String> {
    match name {
        "EMPTY" => Some(String::new()),
        "KEY" => Some("sk_live_abc".to_owned()),
        _ => None,
    }
}

fn errors(text: &str) -> CatalogError {
    Catalog::from_toml_with(text, lookup).expect_err(text)
}

/// The text has exactly one mistake: this one.
#[track_caller]
fn one(text: &str, line: usize, path: &str, message: &str) {
    let error = errors(text);
    let [mistake] = error.mistakes.as_slice() else {
        panic!("one mistake expected in\n{text}\nfound:\n{error}");
    };
    assert_eq!(mistake.line, Some(line), "{error}");
    assert_eq!(mistake.path, path, "{error}");
    assert!(mistake.message.contains(message), "{error}");
    assert!(!error.is_retryable());
}

/// One statement inside a plan that is right otherwise.
#[track_caller]
fn in_plan(statement: &str, path: &str, message: &str) {
    let text = format!("[plan.pro]\n{statement}\n[[plan.pro.price]]\nid = \"price_1\"\n");
    one(&text, 2, path, message);
}

/// One statement inside a price that is right otherwise.
#[track_caller]
fn in_price(statement: &str, path: &str, message: &str) {
    let head = "[plan.pro]\nfeatures = [\"export\"]\n[[plan.pro.price]]";
    one(&format!("{head}\nid = \"price_1\"\n{statement}\n"), 5, path, message);
}

/// A price with this id.
#[track_caller]
fn price_id(id: &str, message: &str) {
    let text = format!("[plan.pro]\n[[plan.pro.price]]\nid = {id}\n");
    one(&text, 3, "plan.pro.price[0].id", message);
}

#[track_caller]
fn in_policy(statement: &str, path: &str, message: &str) {
    one(&format!("[policy]\n{statement}"), 2, path, message);
}

#[test]
fn text_that_is_not_toml() {
    one("[plan.pro\n", 1, "", "not TOML: unclosed table");
    one("[policy]\npast_due_grace = 7d\n", 2, "", "string values must be quoted");
    one("[policy]\non_dispute\n", 2, "", "key with no value");
    one("[policy]\n[policy]\n", 2, "", "duplicate key");
    one("[link]\naccount = \"a\"\naccount = \"b\"\n", 3, "", "duplicate key");
    one("[plan.pro]\nfeatures = [\"a\",\n\n", 2, "", "not TOML");
}

#[test]
fn what_can_be_read_of_a_broken_text_is_checked_too() {
    let error = errors(
        "[link]\naccount\npakc = \"x\"\n[policy]\non_dispute = freeze\non_full_refund = \"no\"\n\
         [plan.pro]\n[[plan.pro.price]]\nid = \ncredits = { credits = -1 }\n",
    );
    let lines: Vec<_> = error.mistakes.iter().filter_map(|mistake| mistake.line).collect();
    assert_eq!(lines, [2, 3, 5, 6, 9, 10], "{error}");
    // Nothing is missing for certain, and below a broken header nothing is in its place.
    let error = errors("[link]\npakc = \"x\"\n[plan.pro\ncolour = 1\n");
    let lines: Vec<_> = error.mistakes.iter().filter_map(|mistake| mistake.line).collect();
    assert_eq!(lines, [2, 3], "{error}");
}

#[test]
fn unknown_keys() {
    one("[plans.pro]\nname = \"x\"", 1, "plans", "did you mean `plan`?");
    one("[links]\n", 1, "links", "did you mean `link`?");
    one("colour = 1\n", 1, "colour", "the keys here are link, policy, plan, pack");
    one("[link]\nacount = \"x\"", 2, "link.acount", "did you mean `account`?");
    in_policy("on_disputes = \"x\"", "policy.on_disputes", "did you mean `on_dispute`?");
    in_plan("featurs = []", "plan.pro.featurs", "did you mean `features`?");
    in_plan("\"a b\" = []", "plan.pro.\"a b\"", "unknown key `a b`");
    in_plan("credits = {}", "plan.pro.credits", "move it to [[plan.pro.price]]");
    in_price("trial_days = 3", "plan.pro.price[0].trial_days", "move it to the plan");
    in_price("lable = \"x\"", "plan.pro.price[0].lable", "did you mean `label`?");
    let text = "[pack.p]\nprice = \"price_1\"\ncredits = { c = 1 }\nfeatures = []\n";
    one(text, 4, "pack.p.features", "the keys here are name, price, amount, currency, credits");
}

#[test]
fn wrong_types() {
    one("plan = 5", 1, "plan", "tables headed [plan.<id>], not an integer");
    one("pack = [1]", 1, "pack", "not an array");
    one("link = \"x\"", 1, "link", "a table headed [link], not a string");
    one("[[policy]]\n", 1, "policy", "a table headed [policy], not an array");
    one("[plan]\npro = 2026-01-01\n", 2, "plan.pro", "a table headed [plan.pro], not a date");
    let single = "[plan.pro.price]\nid = \"price_1\"\n";
    one(single, 1, "plan.pro.price", "write [[plan.pro.price]], two brackets");
    one("[plan.pro]\nprice = \"price_1\"", 2, "plan.pro.price", "tables headed [[plan.pro.price]]");
    one("[plan.pro]\nprice = [\"price_1\"]", 2, "plan.pro.price[0]", "headed [[plan.pro.price]]");
    in_plan("name = 1", "plan.pro.name", "a string in quotes, not an integer");
    in_plan(
        "features = \"a\"",
        "plan.pro.features",
        "an array, such as [\"export\"], not a string",
    );
    in_plan("features = [\"a\", true]", "plan.pro.features[1]", "not a boolean");
    in_plan("limits = 5", "plan.pro.limits", "such as { name = 100 }, not an integer");
    in_plan("limits = { a = 1.5 }", "plan.pro.limits.a", "a whole number, not a number with a");
    in_plan("limits = { a = \"1\" }", "plan.pro.limits.a", "a whole number, not a string");
    in_plan("trial_days = \"7d\"", "plan.pro.trial_days", "a whole number, not a string");
    in_plan("trial_credits = []", "plan.pro.trial_credits", "not an array");
    in_price("period = 1", "plan.pro.price[0].period", "a string in quotes");
    in_price("label = {}", "plan.pro.price[0].label", "not a table");
    in_policy("past_due_grace = 7", "policy.past_due_grace", "a string in quotes");
    in_policy("on_dispute = false", "policy.on_dispute", "a string in quotes");
    price_id("1", "a string in quotes, not an integer");
}

#[test]
fn variables() {
    price_id("\"${PRICE_PRO}\"", "the variable `PRICE_PRO` is not set: set it, or write the value");
    price_id("\"${A}_${B}\"", "`A` is not set: set it, or write the value here; the variable `B`");
    price_id("\"${EMPTY}\"", "the variable `EMPTY` is empty");
    price_id("\"${PRICE\"", "`${` has no closing `}`");
    price_id("\"${PRICE PRO}\"", "`PRICE PRO` is no name of a variable");
    in_plan("features = [\"${F}\"]", "plan.pro.features[0]", "`F` is not set");
    let key = "[plan.\"${ID}\"]\nname = \"x\"\n";
    one(key, 1, "plan.\"${ID}\"", "variables are resolved in values only");
    let error = Catalog::from_toml("[link]\naccount = \"${EMPTY}\"").unwrap_err();
    assert!(error.to_string().contains("`EMPTY` is not set"), "{error}");
}

#[test]
fn price_ids() {
    price_id("\"\"", "no price id: write the id of the Stripe price");
    price_id("\" price_1\"", "has space around it");
    price_id("\"price_\\u0007\"", "contains a control character");
    price_id(&format!("\"{}\"", "x".repeat(256)), "at most 255 characters");
    price_id("\"prod_1\"", "this is a product, not a price");
    price_id("\"${KEY}\"", "this is an API key, not a price");
    one("[plan.pro]\n[[plan.pro.price]]\n", 2, "plan.pro.price[0].id", "no price id");
    one("[pack.p]\ncredits = { c = 1 }", 1, "pack.p.price", "no price id");
    assert!(!errors("[policy]\non_dispute = \"${KEY}\"").to_string().contains("sk_live"));
}

#[test]
fn one_price_sells_one_thing() {
    let twice = "[plan.a]\nprice = [{ id = \"p\" }]\n[plan.b]\n[[plan.b.price]]\nid = \"p\"\n";
    let message = "`p` is used twice: a price sells one thing; it stands at plan.a.price[0].id \
                   (line 2) already";
    one(twice, 5, "plan.b.price[0].id", message);
    let same = "[[plan.a.price]]\nid = \"p\"\n[[plan.a.price]]\nid = \"p\"\n";
    one(same, 4, "plan.a.price[1].id", "(line 2) already");
    let pack = "[[plan.a.price]]\nid = \"p\"\n[pack.x]\nprice = \"p\"\ncredits = { c = 1 }\n";
    one(pack, 4, "pack.x.price", "it stands at plan.a.price[0].id (line 2) already");
}

#[test]
fn plans_and_packs_that_sell_nothing() {
    one("\n[plan.pro]\nfeatures = []\n", 2, "plan.pro.price", "the plan has no price");
    one("[plan.pro]\nprice = []\n", 2, "plan.pro.price", "the plan has no price");
    let pack = "[pack.p]\nprice = \"price_1\"\n";
    one(pack, 1, "pack.p.credits", "the pack grants nothing");
    one(&format!("{pack}credits = {{}}"), 3, "pack.p.credits", "the pack grants nothing");
    one(&format!("{pack}credits = {{ c = 0 }}"), 3, "pack.p.credits.c", "is 0: write 1 or more");
}

#[test]
fn names() {
    let price = "price = [{ id = \"price_1\" }]";
    one(&format!("[plan.\"\"]\n{price}"), 1, "plan.\"\"", "the plan id is empty");
    one(&format!("[plan.\" a\"]\n{price}"), 1, "plan.\" a\"", "has space around it");
    let long = "x".repeat(101);
    one(&format!("[plan.{long}]\n{price}"), 1, &format!("plan.{long}"), "at most 100 characters");
    one("[pack.\"\"]\nprice = \"p\"\ncredits = { c = 1 }", 1, "pack.\"\"", "the pack id is empty");
    in_plan("name = \" \"", "plan.pro.name", "the name is empty");
    in_price("label = \"\"", "plan.pro.price[0].label", "the label is empty");
    in_plan("features = [\"a\", \"\"]", "plan.pro.features[1]", "the feature is empty");
    in_plan("limits = { \"\" = 1 }", "plan.pro.limits.\"\"", "the limit is empty");
    in_price("credits = { \" c\" = 1 }", "plan.pro.price[0].credits.\" c\"", "has space around");
}

#[test]
fn features_named_twice() {
    let message = "`a` is named twice: remove one; it stands at plan.pro.features[0] (line 2)";
    in_plan("features = [\"a\", \"b\", \"a\"]", "plan.pro.features[2]", message);
    let path = "plan.pro.price[0].features[0]";
    in_price("features = [\"export\"]", path, "it stands at plan.pro.features[0] (line 2)");
    let path = "plan.pro.price[0].features[1]";
    in_price("features = [\"x\", \"x\"]", path, "it stands at plan.pro.price[0].features[0]");
}

#[test]
fn numbers_out_of_range() {
    in_plan("limits = { a = -1 }", "plan.pro.limits.a", "`a` is negative (-1): write 0 or more");
    in_plan("limits = { a = 9007199254740992 }", "plan.pro.limits.a", "is too large");
    in_plan("limits = { a = 9223372036854775808 }", "plan.pro.limits.a", "is out of range");
    in_plan("trial_credits = { c = -5 }", "plan.pro.trial_credits.c", "negative (-5)");
    in_plan("trial_days = -1", "plan.pro.trial_days", "between 0 and 730 days");
    in_plan("trial_days = 731", "plan.pro.trial_days", "between 0 and 730 days");
    in_price("credits = { c = -1 }", "plan.pro.price[0].credits.c", "`c` is negative (-1)");
    in_price("limits = { c = -1 }", "plan.pro.price[0].limits.c", "`c` is negative (-1)");
    let amount = "amount = -1\ncurrency = \"usd\"";
    in_price(amount, "plan.pro.price[0].amount", "amount is negative (-1)");
}

#[test]
fn amounts_and_currencies() {
    in_price("amount = 1", "plan.pro.price[0].amount", "belong together: write both, or neither");
    in_price("currency = \"usd\"", "plan.pro.price[0].currency", "belong together");
    let currency = "currency = \"dollars\"\namount = 1";
    in_price(currency, "plan.pro.price[0].currency", "`dollars` is no currency");
    let both = errors("[[plan.a.price]]\nid = \"p\"\namount = \"1\"\ncurrency = \"€\"");
    let lines: Vec<_> = both.mistakes.iter().filter_map(|mistake| mistake.line).collect();
    assert_eq!(lines, [3, 4], "{both}");
}

#[test]
fn policy_words_durations_and_periods() {
    for (key, words) in [
        ("on_dispute", "\"freeze_credits\" or \"revoke_access\""),
        ("on_full_refund", "\"keep_access\" or \"revoke_access\""),
        ("credit_residual", "\"debt\" or \"write_off\""),
        ("connected_accounts", "\"ignore\" or \"separate\""),
        ("dunning", "\"standard\" or \"off\""),
        ("dunning_hours", "\"daytime\" or \"any\""),
        ("fraud", "\"off\" or \"standard\""),
    ] {
        let message = format!("`maybe` is not known: write {words}");
        in_policy(&format!("{key} = \"maybe\""), &format!("policy.{key}"), &message);
    }
    for bad in ["", "d", "7", "7 days", "-7d", "7x", "1.5d", "d7", "7dé"] {
        let statement = format!("past_due_grace = \"{bad}\"");
        in_policy(&statement, "policy.past_due_grace", "is no duration: write \"7d\"");
    }
    for long in ["3651d", "99999999999999999999d", "99999999999999999w1d"] {
        let statement = format!("past_due_grace = \"{long}\"");
        in_policy(&statement, "policy.past_due_grace", "between 0 and 3650 days");
    }
    for bad in ["[7, 3]", "[3, 3]", "[0]", "[91]", "[-1]", "[1,2,3,4,5,6,7,8,9,10,11]"] {
        let statement = format!("dunning_days = {bad}");
        in_policy(&statement, "policy.dunning_days", "ten days from 1 to 90");
    }
    in_policy("dunning_days = 7", "policy.dunning_days", "an array, such as [3, 7, 12]");
    in_policy("dunning_days = [\"7\"]", "policy.dunning_days[0]", "a whole number");
    for bad in ["0", "-1", "1001", "65539"] {
        let statement = format!("notifications_per_day = {bad}");
        in_policy(&statement, "policy.notifications_per_day", "between 1 and 1000 notifications");
    }
    in_policy("notifications_per_day = 1.5", "policy.notifications_per_day", "a whole number");
    for bad in ["monthly", "", "three months", "-1 month", "month 3"] {
        let statement = format!("period = \"{bad}\"");
        in_price(&statement, "plan.pro.price[0].period", "is no period: write \"day\"");
    }
    for bad in ["0 months", "37 months", "4 years", "157 weeks", "1096 days"] {
        let statement = format!("period = \"{bad}\"");
        in_price(&statement, "plan.pro.price[0].period", "every three years");
    }
}

#[test]
fn links() {
    one("[link]\naccount = \"\"", 2, "link.account", "the metadata key is empty");
    one("[link]\npack = \"a[b]\"", 2, "link.pack", "no square brackets");
    let long = format!("[link]\npack = \"{}\"", "x".repeat(41));
    one(&long, 2, "link.pack", "at most 40 characters");
    one("[link]\naccount = \"pack\"", 1, "link.pack", "both read the metadata key `pack`");
}

#[test]
fn ten_mistakes_are_named_at_once() {
    let text = r#"[link]
acount = "user"
[policy]
past_due_grace = "soon"
on_dispute = "panic"
[plan.pro]
features = ["a", "a"]
limits = { projects = -1 }
trial_days = "14"
[[plan.pro.price]]
id = "${PRICE_PRO}"
[plan.free]
name = "Free"
[pack.small]
price = "prod_1"
credits = { credits = 1.5 }
"#;
    let error = errors(text);
    let named: Vec<_> = error
        .mistakes
        .iter()
        .map(|mistake| (mistake.line.unwrap(), mistake.path.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            (2, "link.acount"),
            (4, "policy.past_due_grace"),
            (5, "policy.on_dispute"),
            (7, "plan.pro.features[1]"),
            (8, "plan.pro.limits.projects"),
            (9, "plan.pro.trial_days"),
            (11, "plan.pro.price[0].id"),
            (12, "plan.free.price"),
            (15, "pack.small.price"),
            (16, "pack.small.credits.credits"),
        ],
        "{error}"
    );
    let shown = error.to_string();
    assert_eq!(shown.lines().count(), 10);
    assert!(
        shown.starts_with(
            "line 2, column 1: link.acount: unknown key `acount`: did you mean `account`?\n"
        ),
        "{shown}"
    );
    let columns: Vec<_> = error.mistakes.iter().filter_map(|mistake| mistake.column).collect();
    assert_eq!(columns, [1, 18, 14, 18, 23, 14, 6, 1, 9, 23]);
}

#[test]
fn lines_and_columns_count_as_editors_do() {
    let mistake = |text: &str| {
        let mistake = errors(text).mistakes.remove(0);
        (mistake.line, mistake.column)
    };
    assert_eq!(mistake("[link]\r\n\r\nacount = \"x\"\r\n"), (Some(3), Some(1)));
    assert_eq!(mistake("plan.pro = { name = \"é\", x = 1 }"), (Some(1), Some(12)));
    assert_eq!(mistake("link = { pack = \"é\", x = 1 }"), (Some(1), Some(22)));
    assert_eq!(mistake("\u{feff}[link]\nx = 1"), (Some(2), Some(1)));
}

#[test]
fn code_gets_the_same_checks_with_paths() {
    let error = Catalog::builder()
        .plan(
            Plan::new("pro")
                .feature("a")
                .feature("a")
                .limit("projects", 1)
                .limit("projects", -2)
                .trial_days(731)
                .price(PlanPrice::new("p").credits("c", -1).credits("c", 1).amount(1, "x"))
                .price(PlanPrice::new("p").period(Period::new(0, PeriodUnit::Day)).feature("a")),
        )
        .plan(Plan::new("pro"))
        .pack(Pack::new("", "").name(""))
        .pack(Pack::new("b", "p").credits("c", 0))
        .policy(Policy { past_due_grace: TimeDelta::seconds(-1), ..Policy::default() })
        .link(Link { account: "pack".to_owned(), ..Link::default() })
        .build()
        .unwrap_err();
    let paths: Vec<_> = error.mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "plan.pro.features[1]",
            "plan.pro.limits.projects",
            "plan.pro.limits.projects",
            "plan.pro.trial_days",
            "plan.pro.price[0].currency",
            "plan.pro.price[0].credits.c",
            "plan.pro.price[1].id",
            "plan.pro.price[1].period",
            "plan.pro.price[1].features[0]",
            "plan.pro",
            "plan.pro.price",
            "pack.\"\"",
            "pack.\"\".price",
            "pack.\"\".credits",
            "pack.b.price",
            "pack.b.credits.c",
            "policy.past_due_grace",
            "link.pack",
        ],
        "{error}"
    );
    assert!(error.mistakes.iter().all(|mistake| mistake.line.is_none()));
    let first = "plan.pro.features[1]: the feature `a` is named twice: remove one; it stands at \
                 plan.pro.features[0] already\n";
    assert!(error.to_string().starts_with(first), "{error}");
}
