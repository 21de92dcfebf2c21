//! Spending credits on work: what fails, panics or is cancelled gives them back.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};

use chrono::TimeDelta;

use super::Billing;
use super::credits::CreditError;
use super::hold::Hold;
use crate::catalog::CreditsFrom;
use crate::error::StoreError;
use crate::keys::AccountKey;
use crate::ledger::{Command, LedgerKey, Refusal, Reply, Request, ReservationState, Standing};

/// How long a reservation lasts unless it is said: what a crash leaves is given back then.
const TTL: TimeDelta = TimeDelta::minutes(15);
/// How often work under one key may fail and be tried again.
const MAX_TRIES: u32 = 1_000;
/// How often an account's state is looked at while it keeps changing.
const MAX_LOOKS: u32 = 16;

/// Credits about to be spent. Made by [`Billing::spend`].
///
/// ```
/// # use stripe_billing_core::{Billing, CreditError, MemoryStore, SpendError};
/// # async fn story() -> Result<String, std::io::Error> { Ok("once".to_owned()) }
/// # async fn example(billing: &Billing) -> Result<(), SpendError<std::io::Error>> {
/// // Reserves 3 credits, runs, and spends them; when `story` fails or panics they are given back.
/// let story = billing.spend("team-7", 3).on("stories").by("ann").key("job-1").run(story).await?;
/// # Ok(()) }
/// ```
#[must_use = "nothing is spent before `run`, `now` or `reserve`"]
pub struct Spend {
    billing: Billing,
    payers: Vec<AccountKey>,
    amount: i64,
    unit: Option<String>,
    feature: Option<String>,
    member: Option<String>,
    key: Option<String>,
    ttl: TimeDelta,
    is_strict: bool,
}

impl Billing {
    /// Spends so many credits of an account, once it is said how.
    pub fn spend(&self, account: impl Into<AccountKey>, amount: i64) -> Spend {
        Spend {
            billing: self.clone(),
            payers: vec![account.into()],
            amount,
            unit: None,
            feature: None,
            member: None,
            key: None,
            ttl: TTL,
            is_strict: false,
        }
    }
}

impl Spend {
    /// Which unit of credit; needed only where the catalog has several.
    pub fn of(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// For which feature, for limits and usage figures.
    pub fn on(mut self, feature: impl Into<String>) -> Self {
        self.feature = Some(feature.into());
        self
    }

    /// By which member of a team, for limits and usage figures.
    pub fn by(mut self, member: impl Into<String>) -> Self {
        self.member = Some(member.into());
        self
    }

    /// The idempotency key: work under one key is paid for once. Without it every call is its own.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Who pays where the accounts so far have not enough: the team after the member, unless the
    /// catalog says otherwise for the feature (`policy.credits_from`). Never split.
    pub fn or_from(mut self, account: impl Into<AccountKey>) -> Self {
        self.payers.push(account.into());
        self
    }

    /// How long the work may take, 1 second to 24 hours; 15 minutes unless set. If the process dies, the
    /// credits come back then.
    pub fn within(mut self, ttl: TimeDelta) -> Self {
        self.ttl = ttl;
        self
    }

    /// Checks in the same transaction that the account's state is still the one that lets it use
    /// credits: what another node learned a moment ago counts, and no cache. It costs a look at that
    /// state under the account's lock; without it the state is the cached one.
    pub fn strictly(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Spends at once.
    ///
    /// # Errors
    /// There is not enough, or the account may not use credits; nothing was spent.
    pub async fn now(self) -> Result<Spent, CreditError> {
        let spend = self.in_order();
        let amount = spend.amount;
        if spend.payers.len() > 1 {
            // A reservation can be asked for: no key is ever spent from two payers.
            let hold = spend.set_aside().await?;
            let from = hold.from.clone();
            hold.capture_all().await?;
            return Ok(Spent { from, amount, debt: 0, replayed: false });
        }
        let key = spend.key.clone().unwrap_or_else(fresh_key);
        let (from, answer) = spend.first_payer(Command::Spend { key, amount }).await?;
        let Reply::Spent { debt, .. } = answer.reply else {
            return Err(Refusal::Invalid("the key was used for something else").into());
        };
        Ok(Spent { from, amount, debt, replayed: answer.replayed })
    }

    /// Sets the credits aside, for work whose cost is known only afterwards. Dropping the hold gives
    /// them back.
    ///
    /// # Errors
    /// There is not enough, the account may not use credits, or work under the key is done or under
    /// way.
    pub async fn reserve(self) -> Result<Hold, CreditError> {
        self.in_order().set_aside().await
    }

    /// With the payers that the catalog has for the feature, in its order.
    fn in_order(mut self) -> Self {
        let from = &self.billing.catalog().policy().credits_from;
        let from = self.feature.as_ref().and_then(|feature| from.get(feature)).copied();
        if self.payers.len() > 1 {
            match from.unwrap_or_default() {
                CreditsFrom::MemberFirst => {}
                CreditsFrom::TeamFirst => self.payers.rotate_left(1),
                CreditsFrom::Member => self.payers.truncate(1),
                CreditsFrom::Team => drop(self.payers.remove(0)),
            }
        }
        self
    }

    async fn set_aside(self) -> Result<Hold, CreditError> {
        let key = self.key.clone().unwrap_or_else(fresh_key);
        for attempt in 0..MAX_TRIES {
            // Work that failed may be tried again under its key: each try holds anew.
            let id = if attempt == 0 { key.clone() } else { format!("{key}#{attempt}") };
            let known = match self.payers.as_slice() {
                [_] => None,
                payers => self.state_among(payers, &id).await?,
            };
            let known = match known {
                Some(known) => Some(known),
                None => match self.hold(&id).await? {
                    Ok(hold) => return Ok(hold),
                    Err(from) => self.state_of(&from, &id).await?,
                },
            };
            match known {
                Some(ReservationState::Captured) => return Err(CreditError::Done { key }),
                Some(ReservationState::Open) => return Err(CreditError::UnderWay { key }),
                Some(ReservationState::Released | ReservationState::Expired) | None => {}
            }
        }
        Err(CreditError::Done { key })
    }

    /// A new reservation, or the account in which its id was used before.
    async fn hold(&self, id: &str) -> Result<Result<Hold, LedgerKey>, CreditError> {
        let (id, amount) = (id.to_owned(), self.amount);
        let command = Command::Reserve { id: id.clone(), amount, ttl: self.ttl };
        let (from, answer) = self.first_payer(command).await?;
        Ok(match (answer.reply, answer.replayed) {
            (Reply::Reserved { expires_at }, false) => {
                let billing = Some(self.billing.clone());
                Ok(Hold { billing, from, id, amount, expires_at })
            }
            _ => Err(from),
        })
    }

    /// Where a reservation stands that any of the payers made.
    async fn state_among(
        &self,
        payers: &[AccountKey],
        id: &str,
    ) -> Result<Option<ReservationState>, CreditError> {
        let unit = self.unit()?;
        for payer in payers {
            let mode = self.billing.ledger_mode(payer).await?;
            let key = LedgerKey::new(payer.clone(), unit.as_str()).in_mode(mode);
            if let Some(state) = self.state_of(&key, id).await? {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    /// Sets the credits aside, runs the work, and spends them when it succeeds. When it fails, panics or
    /// is cancelled they are given back; when the process dies, they come back by themselves.
    ///
    /// # Errors
    /// The credits could not be had, and the work did not run; or it ran and failed. If it succeeded and
    /// the store failed right then, the credits come back; use [`Spend::reserve`] where the result must
    /// not be lost over that.
    pub async fn run<T, E, W, F>(self, work: W) -> Result<T, SpendError<E>>
    where
        W: FnOnce() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let hold = self.reserve().await.map_err(SpendError::Credits)?;
        match work().await {
            Ok(done) => {
                hold.capture_all().await.map_err(SpendError::Unsettled)?;
                Ok(done)
            }
            Err(error) => {
                if let Err(left) = hold.release().await {
                    tracing::warn!("credits come back later: {left}");
                }
                Err(SpendError::Work(error))
            }
        }
    }

    /// Asks the payers in their order; the first that has enough pays.
    async fn first_payer(
        &self,
        command: Command,
    ) -> Result<(LedgerKey, crate::ledger::Answer), CreditError> {
        let unit = self.unit()?;
        let mut refused = CreditError::NotAllowed;
        for payer in &self.payers {
            let mode = self.billing.ledger_mode(payer).await?;
            let key = LedgerKey::new(payer.clone(), unit.as_str()).in_mode(mode);
            let mut request = Request::from(command.clone());
            request.actor.clone_from(&self.member);
            request.feature.clone_from(&self.feature);
            match self.pay(payer, &key, request).await {
                Ok(Some(answer)) => return Ok((key, answer)),
                Ok(None) => {}
                Err(CreditError::Refused(refusal)) if refusal.is_about_funds() => {
                    refused = refusal.into();
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    /// Asks one payer; `None` if its state does not allow it.
    async fn pay(
        &self,
        payer: &AccountKey,
        key: &LedgerKey,
        mut request: Request,
    ) -> Result<Option<crate::ledger::Answer>, CreditError> {
        let mut looks = 1;
        loop {
            let access = match looks {
                1 => self.billing.access(payer.clone()).await,
                _ => self.billing.refresh(payer.clone()).await,
            };
            let access = access.map_err(|error| StoreError::new(error.kind(), error))?;
            if !access.can_use_credits {
                return Ok(None);
            }
            let livemode = self.billing.inner.livemode;
            let standing = Standing { version: access.version, livemode };
            request.standing = self.is_strict.then_some(standing);
            match self.billing.ledger_execute(key, request.clone()).await {
                // It moved since, or what was cached is old.
                Err(CreditError::Refused(Refusal::StandingChanged)) if looks < MAX_LOOKS => {
                    looks += 1;
                }
                done => return done.map(Some),
            }
        }
    }

    fn unit(&self) -> Result<String, CreditError> {
        let mut units: Vec<String> = self.billing.catalog().units().into_iter().collect();
        match (&self.unit, units.len()) {
            (Some(unit), _) => Ok(unit.clone()),
            (None, 1) => Ok(units.remove(0)),
            (None, _) => Err(CreditError::Unit { units }),
        }
    }

    /// Where a reservation stands. Asking for a second more changes nothing of one that runs longer.
    async fn state_of(
        &self,
        key: &LedgerKey,
        id: &str,
    ) -> Result<Option<ReservationState>, CreditError> {
        let ask = Command::Extend { id: id.to_owned(), ttl: TimeDelta::seconds(1) };
        match self.billing.ledger_execute(key, ask).await {
            Ok(_) => Ok(Some(ReservationState::Open)),
            Err(CreditError::Refused(Refusal::ReservationResolved { state })) => Ok(Some(state)),
            Err(CreditError::Refused(Refusal::UnknownReservation)) => Ok(None),
            Err(CreditError::Refused(Refusal::ReservationExpired { .. })) => {
                Ok(Some(ReservationState::Expired))
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Spend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spend")
            .field("payers", &self.payers)
            .field("amount", &self.amount)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Credits that were spent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spent {
    /// Of which ledger account.
    pub from: LedgerKey,
    /// How many.
    pub amount: i64,
    /// How many of them are owed, by the account's overdraft.
    pub debt: i64,
    /// Whether the key was used before: nothing was spent now.
    pub replayed: bool,
}

/// Why work that costs credits did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpendError<E> {
    /// The credits could not be had; the work did not run.
    #[error(transparent)]
    Credits(CreditError),
    /// The work failed; the credits are given back.
    #[error("the work failed, and its credits are given back")]
    Work(#[source] E),
    /// The work is done, but its credits could not be spent; they come back.
    #[error("the work is done, but its credits could not be spent")]
    Unsettled(#[source] CreditError),
}

/// A key that nobody else has.
fn fresh_key() -> String {
    let part = || RandomState::new().build_hasher().finish();
    format!("auto:{:016x}{:016x}", part(), part())
}
