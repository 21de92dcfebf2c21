//! No text makes the reader panic, and a refusal always names something.

use proptest::prelude::*;

use super::meaning::{FULL, variables};
use crate::catalog::{Catalog, Plan, PlanPrice};

/// Pieces that catalogs and mistakes in them are made of.
const PIECES: &[&str] = &[
    "[plan.a]\n",
    "[[plan.a.price]]\n",
    "[plan]\n",
    "[pack.b]\n",
    "[policy]\n",
    "[link]\n",
    "[[plan]]\n",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "#",
    "\n",
    "\r\n",
    " ",
    "\\",
    "\u{feff}",
    "é",
    "💳",
    "${A}",
    "${",
    "}",
    "id",
    "name",
    "price",
    "features",
    "limits",
    "credits",
    "plan",
    "pack",
    "a",
    "\"\"",
    "-1",
    "0x",
    "1e9",
    "nan",
    "true",
    "2026-01-01",
    "99999999999999999999",
    "id = \"p\"\n",
    "limits = { a = 1 }\n",
    "price = []\n",
    "a.b.c = 1\n",
    "past_due_grace = \"1d\"\n",
    "account = \"x\"\n",
    "credits.credits = 5\n",
];

fn holds(text: &str) -> Result<(), TestCaseError> {
    match Catalog::from_toml_with(text, variables) {
        Ok(catalog) => prop_assert_eq!(catalog.fingerprint().len(), 64),
        Err(error) => {
            prop_assert!(!error.mistakes.is_empty());
            let lines = text.split('\n').count();
            for mistake in &error.mistakes {
                prop_assert!(mistake.line.is_some_and(|line| (1..=lines).contains(&line)));
                prop_assert!(mistake.column.is_some_and(|column| column > 0));
                prop_assert!(!mistake.message.is_empty());
            }
            prop_assert_eq!(error.to_string().lines().count(), error.mistakes.len());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text(text in any::<String>()) {
        holds(&text)?;
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        holds(&pieces.concat())?;
    }

    #[test]
    fn any_damage(
        at in any::<prop::sample::Index>(),
        length in 0_usize..12,
        piece in prop::sample::select(PIECES),
    ) {
        let start = at.index(FULL.len());
        let end = (start + length).min(FULL.len());
        let (head, tail) = (FULL.get(..start), FULL.get(end..));
        if let (Some(head), Some(tail)) = (head, tail) {
            holds(&[head, piece, tail].concat())?;
        }
    }

    #[test]
    fn any_names_in_code(plan in any::<String>(), price in any::<String>(), amount in any::<i64>()) {
        let declared = Plan::new(plan.clone())
            .limit(price.clone(), amount)
            .price(PlanPrice::new(price.clone()).credits(plan.clone(), amount));
        match Catalog::builder().plan(declared).build() {
            Ok(catalog) => {
                let (found, _) = catalog.plan_of_price(&price).expect("it was accepted");
                prop_assert_eq!(&found.id, &plan);
                prop_assert!(amount >= 0);
            }
            Err(error) => prop_assert!(!error.mistakes.is_empty()),
        }
    }
}
