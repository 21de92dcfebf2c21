//! What every handler of the demo works with.

use std::sync::Arc;

use stripe_billing_core::{Access, Billing, Secret, StoreError};
use stripe_billing_email::Mailbox;
use tokio::sync::watch;

use crate::demo::Demo;
use crate::told::Told;

/// An account that a visitor can be.
#[derive(Clone, Debug)]
pub(crate) struct DemoAccount {
    /// The app's id of it.
    pub(crate) id: String,
    /// What the page calls it.
    pub(crate) name: &'static str,
}

/// Shared by all handlers.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) billing: Billing,
    /// The Stripe inside the process, if that is the one.
    pub(crate) demo: Option<Demo>,
    /// Where the server is.
    pub(crate) home: String,
    /// Whether there is a Stripe that can be asked.
    pub(crate) has_stripe: bool,
    /// Whether anything is for sale.
    pub(crate) sells: bool,
    pub(crate) accounts: Vec<DemoAccount>,
    /// The mails of a server that sends none.
    pub(crate) inbox: Option<Mailbox>,
    /// What webhooks are signed with.
    pub(crate) secret: Secret,
    /// What was told lately.
    pub(crate) told: Told,
    /// Events up to here were there before this start.
    pub(crate) events_before: i64,
    /// True once the server is going down; open streams end then.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl App {
    /// The visitor's account; the first one unless the cookie names another.
    pub(crate) fn visitor(&self, named: Option<&str>) -> &DemoAccount {
        let known = self.accounts.iter().find(|account| Some(account.id.as_str()) == named);
        known.unwrap_or(&self.accounts[0])
    }

    pub(crate) async fn access(&self, account: &str) -> Result<Arc<Access>, Arc<StoreError>> {
        self.billing.access(account).await
    }
}

/// Ada, Ben and Cleo. A fake forgets everything when the process ends and the database does not,
/// so with one they are new people at every start.
pub(crate) fn accounts(suffix: Option<&str>) -> Vec<DemoAccount> {
    ["Ada", "Ben", "Cleo"]
        .map(|name| {
            let id = name.to_lowercase();
            DemoAccount {
                id: suffix.map_or_else(|| id.clone(), |suffix| format!("{id}-{suffix}")),
                name,
            }
        })
        .to_vec()
}
