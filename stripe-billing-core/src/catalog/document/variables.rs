use std::borrow::Cow;

use crate::catalog::mistake::shown;

/// Replaces each `${NAME}`; an error names every variable that cannot be.
///
/// What a variable resolves to is not read again, so a value may contain `${`.
pub(super) fn resolve<'t>(
    text: &'t str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Cow<'t, str>, String> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut resolved = String::new();
    let mut problems = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        resolved.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            problems.push("`${` has no closing `}`: write it as `${NAME}`".to_owned());
            rest = "";
            break;
        };
        match value(name, lookup) {
            Ok(value) => resolved.push_str(&value),
            Err(problem) => problems.push(problem),
        }
        rest = tail;
    }
    resolved.push_str(rest);
    if problems.is_empty() { Ok(Cow::Owned(resolved)) } else { Err(problems.join("; ")) }
}

fn value(name: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_name)
    {
        return Err(format!("{} is no name of a variable: use letters, digits and _", shown(name)));
    }
    match lookup(name) {
        None => Err(format!("the variable `{name}` is not set: set it, or write the value here")),
        Some(value) if value.trim().is_empty() => {
            Err(format!("the variable `{name}` is empty: set it, or write the value here"))
        }
        Some(value) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "A" => Some("one".to_owned()),
            "B_2" => Some("${A}".to_owned()),
            "EMPTY" => Some(" ".to_owned()),
            _ => None,
        };
        resolve(text, &lookup).map(Cow::into_owned)
    }

    #[test]
    fn variables_are_replaced_once_and_anywhere() {
        for (text, result) in [
            ("plain $ {A} $A", "plain $ {A} $A"),
            ("${A}", "one"),
            ("x_${A}_${B_2}!", "x_one_${A}!"),
        ] {
            assert_eq!(resolved(text).as_deref(), Ok(result));
        }
    }

    #[test]
    fn every_variable_that_fails_is_named() {
        let problem = resolved("${NOPE} ${A} ${EMPTY} ${a b} ${} ${1} ${open").unwrap_err();
        for part in [
            "`NOPE` is not set",
            "`EMPTY` is empty",
            "`a b` is no name",
            "`` is no name",
            "`1` is no name",
            "no closing",
        ] {
            assert!(problem.contains(part), "{part} in {problem}");
        }
    }
}
