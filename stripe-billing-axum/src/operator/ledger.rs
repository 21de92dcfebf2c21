//! The credit ledger, as operators see and correct it.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{Uri, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use stripe_billing_core::ledger::{Command, Grant, LedgerKey, LotKind, Request as Operation, csv};
use stripe_billing_core::store::EntryQuery;
use stripe_billing_core::{AccountKey, Billing, CreditError};

use super::query::{self, Params};
use super::{Named, Operator, Routed, answer, verbs};
use crate::problem::Problem;
use crate::routes::unit;

/// The proof: every balance, recomputed from its entries.
pub(super) async fn verify(State(billing): State<Billing>, uri: Uri) -> Routed {
    Params::read(&uri, &[])?;
    let proof = billing.verify_ledger(|_| {}).await;
    Ok(answer(&proof.map_err(|error| Problem::from(&error))?))
}

/// An account's entries in a unit, the newest first; with `format=csv` as a table.
pub(super) async fn entries(State(billing): State<Billing>, account: Named, uri: Uri) -> Routed {
    let account = query::id("account", account)?;
    let known = ["unit", "livemode", "stripe_account", "limit", "after", "format"];
    let params = Params::read(&uri, &known)?;
    let livemode = params.value("livemode", "`true` or `false`", |text| text.parse().ok())?;
    let owner = AccountKey { stripe_account: params.text("stripe_account"), account };
    let unit = unit(&billing, params.text("unit"))?;
    let key = key(&billing, owner, &unit, livemode).await?;
    let limit = params.limit()?;
    let query = EntryQuery::before(key.clone(), params.after()?.unwrap_or(i64::MAX), limit);
    let entries = billing.store().entries(&query).await;
    let entries = entries.map_err(|error| Problem::from(&error))?;
    let format = params.value("format", "`json` or `csv`", |text| {
        ["json", "csv"].contains(&text).then(|| text == "csv")
    })?;
    if format == Some(true) {
        let kind = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        return Ok((kind, csv(&entries)).into_response());
    }
    let full = entries.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = entries.last().filter(|_| full).map(|entry| entry.seq);
    Ok(answer(&json!({
        "account": key.owner.account, "livemode": key.livemode, "unit": unit,
        "entries": entries, "next": next,
    })))
}

/// What an operator does to an account's credits, once per request id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Correction {
    unit: Option<String>,
    /// Above zero grants, below takes.
    amount: Option<i64>,
    /// Debt to forgive, at most.
    forgive: Option<i64>,
    /// When what is granted runs out, Unix seconds.
    expires_at: Option<i64>,
    reason: String,
    request_id: String,
    livemode: Option<bool>,
    stripe_account: Option<String>,
}

pub(super) async fn correct(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    account: Named,
    request: Request,
) -> Routed {
    let account = query::id("account", account)?;
    let wanted: Correction = verbs::json(request).await?;
    let (reason, id) = (wanted.reason.trim().to_owned(), wanted.request_id.trim().to_owned());
    if reason.is_empty() || id.is_empty() || reason.len() > 500 || id.len() > 200 {
        let detail = "`reason` and `request_id` are needed, of 500 and 200 bytes at most";
        return Err(Problem::invalid_body(detail));
    }
    let unit = unit(&billing, wanted.unit.clone())?;
    let owner = AccountKey { stripe_account: wanted.stripe_account.clone(), account };
    let key = key(&billing, owner, &unit, wanted.livemode).await?;
    let command = command(&wanted, reason, id)?;
    let done = billing
        .ledger_execute(&key, Operation::from(command).by(format!("operator:{}", operator.name)))
        .await;
    match done {
        Ok(done) => {
            tracing::info!(
                operator = operator.name,
                account = key.owner.account,
                "credits are corrected"
            );
            Ok(answer(&json!({"duplicate": done.replayed, "result": done.reply})))
        }
        Err(CreditError::Store(error)) => Err(Problem::from(&error)),
        Err(error) => Err(Problem::from(error)),
    }
}

fn command(wanted: &Correction, reason: String, key: String) -> Result<Command, Problem> {
    match (wanted.amount, wanted.forgive) {
        (Some(amount @ 1..), None) if wanted.expires_at.is_some() => {
            let at = wanted.expires_at.and_then(|at| chrono::DateTime::from_timestamp(at, 0));
            let at = at.ok_or_else(|| Problem::invalid_body("`expires_at` is no time"))?;
            let grant = Grant::new(format!("manual:{key}"), amount).of_kind(LotKind::Manual);
            Ok(Command::Grant(grant.until(at).because(reason)))
        }
        (Some(amount), None) => Ok(Command::Adjust { key, amount, reason }),
        (None, Some(amount)) => Ok(Command::Forgive { key, amount, reason }),
        _ => Err(Problem::invalid_body("either `amount` or `forgive` is needed")),
    }
}

async fn key(
    billing: &Billing,
    owner: AccountKey,
    unit: &str,
    livemode: Option<bool>,
) -> Result<LedgerKey, Problem> {
    let mode = match livemode {
        Some(mode) => mode,
        None => billing.ledger_mode(&owner).await.map_err(|error| Problem::from(&error))?,
    };
    Ok(LedgerKey::new(owner, unit).in_mode(mode))
}
