//! The page's sections as server-sent events: a visitor sees a change as it happens.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use stripe_billing_core::AccountKey;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::page;
use crate::state::{App, DemoAccount};

/// How often to look for what no signal tells: other nodes' work, the list of events, the clock.
const LOOK: Duration = Duration::from_secs(1);

struct Listener {
    app: Arc<App>,
    account: DemoAccount,
    changes: Receiver<AccountKey>,
    stopping: watch::Receiver<bool>,
    sent: page::Sections,
    in_trouble: bool,
}

/// A stream of the sections that changed, each as markup.
pub(crate) fn stream(
    app: Arc<App>,
    account: DemoAccount,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let listener = Listener {
        changes: app.billing.changes(),
        stopping: app.stopping.clone(),
        app,
        account,
        sent: page::Sections::new(),
        in_trouble: false,
    };
    let events = unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

impl Listener {
    /// The next event; `None` when the server goes down.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.news().await {
                return Some(event);
            }
            self.wait().await?;
        }
    }

    async fn news(&mut self) -> Option<Event> {
        match page::sections(&self.app, &self.account).await {
            Ok(sections) => {
                self.in_trouble = false;
                let changed: BTreeMap<_, _> = sections
                    .iter()
                    .filter(|(id, markup)| self.sent.get(*id) != Some(markup))
                    .collect();
                if changed.is_empty() {
                    return None;
                }
                let event = Event::default().event("sections").json_data(changed).ok();
                self.sent = sections;
                event
            }
            Err(_) if self.in_trouble => None,
            Err(_) => {
                self.in_trouble = true;
                self.sent.clear();
                Some(Event::default().event("trouble").data("the store cannot be reached"))
            }
        }
    }

    /// Waits until there may be news; `None` when the server goes down.
    async fn wait(&mut self) -> Option<()> {
        let look = tokio::time::sleep(LOOK);
        tokio::pin!(look);
        loop {
            tokio::select! {
                // The sender lives as long as the server.
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                change = self.changes.recv() => match change {
                    Ok(account) if account.account != self.account.id => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return Some(()),
                    Err(RecvError::Closed) => return None,
                },
                () = &mut look => return Some(()),
            }
        }
    }
}
