use std::collections::BTreeMap;

use serde::Serialize;

use super::{Case, CaseState, DeclineClass, Recovery};

/// What a group of cases comes to: those of one currency and class that came as far as one step.
/// Amounts are minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Figure {
    /// Three-letter code, lower case.
    pub currency: Option<String>,
    /// Why they failed.
    pub class: DeclineClass,
    /// How many steps were due by the time they closed, or are by now; 0 is the first word only.
    pub step: usize,
    /// How many cases it counts.
    pub cases: u64,
    /// How many of them are paid.
    pub recovered_cases: u64,
    /// How many of those are put down to a mail: the customer brought another payment method after it.
    /// The rest are put down to a retry; so are those who paid through a mail's link with the card that
    /// was known already, since the use of links is not recorded.
    pub recovered_by_email_cases: u64,
    /// What still waits.
    pub at_risk: i64,
    /// What was paid in the end.
    pub recovered: i64,
    /// What of it is put down to a mail.
    pub recovered_by_email: i64,
    /// What will not come.
    pub lost: i64,
    /// Seconds from the first failed attempt to the payment, all of them together.
    pub recovery_seconds: i64,
}

/// Cases in figures, by currency, class and step.
pub fn figures<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Vec<Figure> {
    let mut groups: BTreeMap<(Option<String>, DeclineClass, usize), Figure> = BTreeMap::new();
    for case in cases {
        let key = (case.currency.clone(), case.class, case.step);
        let figure = groups.entry(key).or_insert_with(|| Figure {
            currency: case.currency.clone(),
            class: case.class,
            step: case.step,
            cases: 0,
            recovered_cases: 0,
            recovered_by_email_cases: 0,
            at_risk: 0,
            recovered: 0,
            recovered_by_email: 0,
            lost: 0,
            recovery_seconds: 0,
        });
        figure.cases += 1;
        let amount = case.amount.unwrap_or(0);
        if case.recovered_by == Some(Recovery::Email) {
            figure.recovered_by_email_cases += 1;
            figure.recovered_by_email = figure.recovered_by_email.saturating_add(amount);
        }
        let sum = match case.state {
            CaseState::Active => &mut figure.at_risk,
            CaseState::Recovered => {
                figure.recovered_cases += 1;
                let took = case.closed_at.map_or(0, |at| at.saturating_sub(case.opened_at).max(0));
                figure.recovery_seconds = figure.recovery_seconds.saturating_add(took);
                &mut figure.recovered
            }
            CaseState::Stopped | CaseState::Exhausted => &mut figure.lost,
        };
        *sum = sum.saturating_add(amount);
    }
    groups.into_values().collect()
}
