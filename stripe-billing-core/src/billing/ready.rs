//! Whether billing can do its work, and what is wrong if not.

use serde::Serialize;

use super::Billing;

/// Whether billing can do its work now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether deliveries can be taken: the store answers. A pause does not count against it, since
    /// what arrives is stored all the same.
    pub ready: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// `store` or `queue`.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What is wrong, and since when. No names of hosts, no secrets.
    pub problem: Option<String>,
}

impl Check {
    fn new(name: &'static str, problem: Option<String>) -> Self {
        Self { name, ok: problem.is_none(), problem }
    }
}

impl Billing {
    /// Looks whether billing can do its work, and says what is wrong.
    pub async fn readiness(&self) -> Readiness {
        let reached = match self.inner.store.ping().await {
            Ok(()) => self.inner.store.paused().await,
            Err(error) => Err(error),
        };
        let store = reached.as_ref().err().map(|error| {
            tracing::warn!(%error, "not ready");
            "the store cannot be reached".to_owned()
        });
        let fails_since = self.breaker().paused_since();
        let queue = match (reached.as_ref().ok().and_then(Option::as_ref), fails_since) {
            (Some(paused), _) => Some(format!("paused by an operator since {}", paused.since)),
            (None, Some(since)) => Some(format!("most events fail since {since}")),
            (None, None) => None,
        };
        Readiness {
            ready: store.is_none(),
            checks: vec![Check::new("store", store), Check::new("queue", queue)],
        }
    }
}
