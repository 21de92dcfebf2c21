//! The rules of the credit ledger, without I/O, clock or store.
//!
//! [`decide()`] takes an account, a request and the time, and answers an [`Outcome`]: the entries to
//! append and the rows to write in one transaction. Or it answers a [`Refusal`], and then nothing is
//! written. [`Ledger`] does so in memory and is the reference for stores.
//!
//! Credits live in [`Lot`]s, burn in one order, and are accounted for in one of seven buckets each.
//! Amounts are integers of the unit. Intervals are half-open. What comes due is booked as of when it
//! came due, however late that happens. [`verify()`] checks all invariants on what is stored.
//!
//! ```
//! use chrono::{DateTime, TimeDelta};
//! use stripe_billing_core::ledger::{
//!     BalanceView, Command, Grant, Ledger, LedgerKey, LedgerPolicy, Refusal,
//! };
//!
//! let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
//! let team = LedgerKey::new("team-7", "credits");
//! let mut ledger = Ledger::default();
//!
//! // An invoice was paid: one lot per line, however often that is told.
//! let pack = Grant::new("line:il_1", 1_000).paid_with("in_1", 2_000);
//! ledger.execute(&team, Command::Grant(pack.clone()), now)?;
//! assert!(ledger.execute(&team, Command::Grant(pack), now)?.replayed);
//!
//! // Work of unknown cost: set aside, then spend what it took.
//! let ttl = TimeDelta::minutes(15);
//! ledger.execute(&team, Command::Reserve { id: "job-1".into(), amount: 300, ttl }, now)?;
//! ledger.execute(&team, Command::Capture { id: "job-1".into(), amount: 120 }, now)?;
//!
//! let account = ledger.account(&team).unwrap();
//! let balance = BalanceView::read(account, now, &LedgerPolicy::default());
//! assert_eq!((balance.available, balance.held), (880, 0));
//!
//! let refused = ledger.execute(&team, Command::Spend { key: "r-1".into(), amount: 900 }, now);
//! assert_eq!(refused, Err(Refusal::Insufficient { available: 880, requested: 900 }));
//! assert!(ledger.verify().is_empty());
//! # Ok::<(), Refusal>(())
//! ```

mod account;
mod book;
mod command;
mod decide;
mod entry;
mod export;
mod grant;
mod hold;
mod lot;
mod member;
mod money;
mod operate;
mod outcome;
mod policy;
mod posting;
mod read;
mod recount;
mod refusal;
mod source;
mod spend;
mod sweep;
mod verify;

pub use account::{Account, Balance, LedgerKey, Level};
pub use book::{Answer, Ledger};
pub use command::{Command, Funding, Grant, Request, Rollover, Scope, Segment, Standing};
pub use decide::{decide, replay};
pub use entry::{Entry, EntryKind, Move};
pub use export::csv;
pub use grant::{drip_at, prorated};
pub use hold::{Allocation, Freeze, Reservation, ReservationState};
pub use lot::{Bucket, Category, Lot, LotId, LotKind, Unit};
pub use member::{LimitKey, MemberLimit, Window};
pub use outcome::{KeyedReply, Outcome, Reply};
pub use policy::{Clawback, LateCapture, LedgerPolicy, Reach, RepaidBy, Residual};
pub use read::{BalanceView, CreditsView, Statement, balance_at, explain};
pub use recount::{Rebuild, Recounted, rebuild, recount};
pub use refusal::Refusal;
pub use source::{MoneyBack, MoneyBackStatus, ScheduledLot, Source};
pub use verify::{Invariant, Violation, verify};
