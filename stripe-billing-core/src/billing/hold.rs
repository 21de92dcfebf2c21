//! Credits that are set aside for work, until it is known what it costs.

use chrono::{DateTime, TimeDelta, Utc};

use super::Billing;
use super::credits::CreditError;
use crate::ledger::{Command, LedgerKey, Reply};

/// Credits set aside. Dropping it gives them back.
#[derive(Debug)]
pub struct Hold {
    /// Gone once it is settled.
    pub(super) billing: Option<Billing>,
    pub(super) from: LedgerKey,
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) expires_at: DateTime<Utc>,
}

impl Hold {
    /// How many credits.
    pub fn amount(&self) -> i64 {
        self.amount
    }

    /// Until when, exclusively.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    /// Of which ledger account.
    pub fn from(&self) -> &LedgerKey {
        &self.from
    }

    /// The reservation's id, by which another process can settle it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Leaves it to another process, which settles it by its id, or to its end.
    pub fn keep(mut self) -> String {
        self.billing = None;
        std::mem::take(&mut self.id)
    }

    /// Spends all of it.
    ///
    /// # Errors
    /// It ran out, or the store failed; then the credits come back.
    pub async fn capture_all(self) -> Result<i64, CreditError> {
        let amount = self.amount;
        self.capture(amount).await
    }

    /// Spends so much of it, and gives the rest back; how much was spent.
    ///
    /// # Errors
    /// It is more than is held, it ran out, or the store failed.
    pub async fn capture(mut self, amount: i64) -> Result<i64, CreditError> {
        let command = Command::Capture { id: self.id.clone(), amount };
        let Some(billing) = self.billing.clone() else { return Ok(0) };
        billing.ledger_execute(&self.from, command).await?;
        self.billing = None;
        Ok(amount)
    }

    /// Gives all of it back.
    ///
    /// # Errors
    /// The store failed; then it comes back by itself.
    pub async fn release(mut self) -> Result<(), CreditError> {
        let command = Command::Release { id: self.id.clone() };
        let Some(billing) = self.billing.clone() else { return Ok(()) };
        billing.ledger_execute(&self.from, command).await?;
        self.billing = None;
        Ok(())
    }

    /// Gives it more time from now; never less.
    ///
    /// # Errors
    /// It ran out, it would last longer than 24 hours, or the store failed.
    pub async fn extend(&mut self, ttl: TimeDelta) -> Result<DateTime<Utc>, CreditError> {
        let command = Command::Extend { id: self.id.clone(), ttl };
        let Some(billing) = &self.billing else { return Ok(self.expires_at) };
        let answer = billing.ledger_execute(&self.from, command).await?;
        if let Reply::Extended { expires_at } = answer.reply {
            self.expires_at = expires_at;
        }
        Ok(self.expires_at)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // The work failed, panicked or was cancelled. Without a runtime the credits come back when
        // the reservation ends.
        #[cfg(feature = "tokio")]
        if let (Some(billing), Ok(runtime)) =
            (self.billing.take(), tokio::runtime::Handle::try_current())
        {
            let (from, id) = (self.from.clone(), std::mem::take(&mut self.id));
            runtime.spawn(async move {
                if let Err(error) = billing.ledger_execute(&from, Command::Release { id }).await {
                    tracing::warn!("credits come back later: {error}");
                }
            });
        }
    }
}
