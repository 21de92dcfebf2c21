//! The docs say what the code does.

use stripe_billing_core::state::mermaid;

#[test]
fn the_diagram_of_states_is_the_table_of_transitions() {
    let docs = include_str!("../../ARCHITECTURE.md");
    let start = docs.find("<!-- transitions -->").expect("the start mark");
    let end = docs.find("<!-- /transitions -->").expect("the end mark");
    let diagram = format!("<!-- transitions -->\n```mermaid\n{}```\n", mermaid());
    assert_eq!(&docs[start..end], diagram, "put the output of `mermaid()` between the marks");
}
