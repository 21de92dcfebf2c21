//! Trouble on order.

use std::time::Duration;

/// What happens to a request instead of, or on top of, what should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Stripe's side breaks: this status with an `api_error`. Nothing is done, yet the answer is
    /// kept under the idempotency key, as Stripe keeps even a 500.
    Status(u16),
    /// 429 from the rate limiter. Nothing is done, nothing is kept.
    RateLimited,
    /// 409 `lock_timeout`, to be tried again. Nothing is done, nothing is kept.
    Conflict,
    /// The connection closes before anything is done.
    DropConnection,
    /// It is done, and the connection closes before the answer.
    LoseResponse,
    /// It is done, and the answer never comes.
    Timeout,
    /// It takes this much real time.
    Delay(Duration),
}

#[derive(Debug)]
struct Planned {
    method: String,
    path: Vec<String>,
    fault: Fault,
}

/// Faults that wait for their request, oldest first.
#[derive(Debug, Default)]
pub(in crate::fake_stripe) struct Faults(Vec<Planned>);

impl Faults {
    /// `POST /v1/subscriptions/*`: a method or `*`, and a path in which `*` is any one segment.
    /// A lone `*` is any request.
    pub(in crate::fake_stripe) fn plan(&mut self, route: &str, fault: Fault) {
        let (method, path) = route.trim().split_once(' ').unwrap_or(("*", route));
        self.0.push(Planned { method: method.to_uppercase(), path: segments(path), fault });
    }

    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let path = segments(path);
        let at = self.0.iter().position(|planned| {
            (planned.method == "*" || planned.method == method)
                && (planned.path == ["*"]
                    || (planned.path.len() == path.len()
                        && planned.path.iter().zip(&path).all(|(p, s)| p == "*" || p == s)))
        })?;
        Some(self.0.remove(at).fault)
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_for_its_route_and_strikes_once() {
        let mut faults = Faults::default();
        faults.plan("POST /v1/subscriptions/*", Fault::Conflict);
        faults.plan("*", Fault::RateLimited);
        assert_eq!(faults.take("GET", "/v1/events"), Some(Fault::RateLimited));
        assert_eq!(faults.take("POST", "/v1/subscriptions"), None);
        assert_eq!(faults.take("POST", "/v1/subscriptions/sub_1"), Some(Fault::Conflict));
        assert_eq!(faults.take("POST", "/v1/subscriptions/sub_1"), None);
    }
}
