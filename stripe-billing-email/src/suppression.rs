use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use stripe_billing_core::NotifyError;

/// Addresses that mail is not sent to any more, because a server said that there is no such mailbox.
/// Going on would cost the sender's good name.
///
/// Clauses: an address is compared whole, without its case; `suppress` is idempotent and durable when
/// it returns, and keeps who was suppressed and when, so that a person can take it back; what is
/// suppressed on one node is suppressed on all. A durable one is a table of an address (or a keyed
/// hash of it, where addresses may not be kept), a time and the server's code. Its failures say by
/// [`NotifyError`] whether trying again may help; the mail waits with them.
#[async_trait]
pub trait Suppression: fmt::Debug + Send + Sync + 'static {
    /// Whether mail to an address is suppressed.
    async fn is_suppressed(&self, address: &str) -> Result<bool, NotifyError>;

    /// Suppresses an address; the code is the server's (`550`, `551`, `553`).
    async fn suppress(&self, address: &str, code: u16) -> Result<(), NotifyError>;
}

/// Suppressed addresses of this process; they are forgotten when it ends, and learnt again from the
/// next refusal. Enough for one small server.
#[derive(Default)]
pub struct InMemorySuppression {
    addresses: Mutex<HashSet<String>>,
}

impl InMemorySuppression {
    /// Sends to an address again.
    pub fn allow(&self, address: &str) {
        self.lock().remove(&address.to_lowercase());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for InMemorySuppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemorySuppression").field("addresses", &self.lock().len()).finish()
    }
}

#[async_trait]
impl Suppression for InMemorySuppression {
    async fn is_suppressed(&self, address: &str) -> Result<bool, NotifyError> {
        Ok(self.lock().contains(&address.to_lowercase()))
    }

    async fn suppress(&self, address: &str, _code: u16) -> Result<(), NotifyError> {
        self.lock().insert(address.to_lowercase());
        Ok(())
    }
}
