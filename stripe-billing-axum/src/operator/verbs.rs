//! What operators do to customers: link one, forget one.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use stripe_billing_core::store::Receipt;
use stripe_billing_core::{Billing, CommandError, SubjectKey, Tenant};

use super::{Named, Operator, Routed, answer, query};
use crate::body;
use crate::problem::Problem;

/// Which tenant a customer lives in; without a mode in the one where it is known, live first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Home {
    livemode: Option<bool>,
    stripe_account: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    account: String,
    request_id: String,
    livemode: Option<bool>,
    stripe_account: Option<String>,
}

/// Only JSON: a page of another site cannot make a browser send that without being asked.
pub(super) async fn json<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::unsupported_media_type());
    }
    body::read(request).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/json")
}

async fn find(billing: &Billing, id: &str, home: Home) -> Result<SubjectKey, Problem> {
    let modes = home.livemode.map_or(vec![true, false], |mode| vec![mode]);
    for livemode in modes {
        let tenant = Tenant { stripe_account: home.stripe_account.clone(), livemode };
        let key = SubjectKey { tenant, id: id.to_owned() };
        let known = billing.store().subject(&key).await.map_err(|error| Problem::from(&error))?;
        if let Some(subject) = known {
            return Ok(subject.key);
        }
    }
    Err(Problem::unknown_customer())
}

/// 202: what waits for the link is taken up by the workers.
pub(super) async fn link(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    id: Named,
    request: Request,
) -> Routed {
    let id = query::id("id", id)?;
    let Link { account, request_id, livemode, stripe_account } = json(request).await?;
    let subject = find(&billing, &id, Home { livemode, stripe_account }).await?;
    let linked = billing.link(&subject, &account, &operator.name, &request_id).await;
    match linked {
        Ok(receipt) => {
            tracing::info!(operator = operator.name, subject = subject.id, "a customer is linked");
            let duplicate = matches!(receipt, Receipt::Duplicate { .. });
            let body = Json(json!({"duplicate": duplicate}));
            Ok((StatusCode::ACCEPTED, body).into_response())
        }
        Err(CommandError::Store(error)) => Err(Problem::from(&error)),
        Err(CommandError::Unknown(_)) => Err(Problem::unknown_customer()),
        Err(error) => Err(Problem::invalid_body(error.to_string())),
    }
}

pub(super) async fn erase(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    id: Named,
    request: Request,
) -> Routed {
    let id = query::id("id", id)?;
    let subject = find(&billing, &id, json(request).await?).await?;
    let erased = billing.erase(&subject).await.map_err(|error| Problem::from(&error))?;
    tracing::info!(operator = operator.name, subject = subject.id, erased, "a customer is erased");
    Ok(answer(&json!({"events": erased})))
}
