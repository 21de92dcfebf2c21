//! The docs say what the code does.

use std::collections::BTreeSet;
use std::path::Path;

use stripe_billing_core::state::mermaid;

#[test]
fn the_diagram_of_states_is_the_table_of_transitions() {
    let docs = include_str!("../../ARCHITECTURE.md");
    let start = docs.find("<!-- transitions -->").expect("the start mark");
    let end = docs.find("<!-- /transitions -->").expect("the end mark");
    let diagram = format!("<!-- transitions -->\n```mermaid\n{}```\n", mermaid());
    assert_eq!(&docs[start..end], diagram, "put the output of `mermaid()` between the marks");
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    const PREFIX: &str = "stripe_billing_";
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let rest = text.split(PREFIX).skip(1);
    rest.map(|rest| rest.chars().take_while(|c| is_part(*c)).collect::<String>())
        .filter(|name| !name.is_empty())
        .map(|name| format!("{PREFIX}{name}"))
        .collect()
}

/// The metrics that the code of the family counts: what is quoted, beside a macro of `metrics` or in
/// a table of them.
fn counted(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            counted(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = std::fs::read_to_string(&path).expect("source code");
            let quoted = code.split('"').skip(1).step_by(2);
            found.extend(quoted.filter(|text| named(text).contains(*text)).map(str::to_owned));
        }
    }
}

#[test]
fn rules_and_dashboard_name_only_metrics_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let mut known = BTreeSet::new();
    for entry in std::fs::read_dir(root).expect("the repository") {
        let path = entry.expect("an entry").path();
        if path.join("src").is_dir() && path.join("Cargo.toml").exists() {
            counted(&path.join("src"), &mut known);
        }
    }
    assert!(known.len() > 20, "{known:?}");
    let is_known = |name: &str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        known.contains(name) || histogram.is_some_and(|name| known.contains(name))
    };
    for file in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
        let text = std::fs::read_to_string(root.join("docs/monitoring").join(file)).expect(file);
        let names = named(&text);
        assert!(names.len() >= 6, "{file}: {names:?}");
        for name in names {
            assert!(is_known(&name), "{file}: nothing counts {name}");
        }
    }
    let board = include_str!("../../docs/monitoring/dashboard.json");
    let board: serde_json::Value = serde_json::from_str(board).expect("JSON");
    let panels = board["panels"].as_array().expect("panels");
    assert!(panels.len() >= 15);
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(panel["id"].as_i64()), "{}: its id is another's", panel["title"]);
        let place = |side: &str| panel["gridPos"][side].as_i64().expect("a place");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                let is_free = x < 24 && taken.insert((x, y));
                assert!(is_free, "{} lies on another panel", panel["title"]);
            }
        }
    }
}
