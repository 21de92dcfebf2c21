//! The commands, done.

use std::error::Error;
use std::io::{IsTerminal, Write as _};

use stripe_billing_core::catalog::Catalog;
use stripe_billing_core::ledger::{Account, Entry, LedgerKey, Scope, csv, explain};
use stripe_billing_core::store::{EntryQuery, Verb};
use stripe_billing_core::stripe::StripeClient;
use stripe_billing_core::{AccountKey, Billing};
use stripe_billing_seaorm::SeaOrmStore;

use crate::args::{Command, Place};
use crate::{orders, rebuild, replay};

/// Entries read at once.
const PAGE: u32 = 5_000;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// What the environment says.
pub(crate) struct Settings {
    url: String,
    catalog: Catalog,
    stripe: Option<StripeClient>,
}

impl Settings {
    /// Reads the environment.
    pub(crate) fn read(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let url = lookup("DATABASE_URL").unwrap_or_else(|| "sqlite://billing.db".to_owned());
        let catalog = match lookup("BILLING_CATALOG") {
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("BILLING_CATALOG: {path}: {error}"))?;
                Catalog::from_toml_with(&text, lookup)?
            }
            None => Catalog::default(),
        };
        let stripe = match lookup("STRIPE_SECRET_KEY").filter(|key| !key.is_empty()) {
            Some(key) => {
                let mut client = StripeClient::builder(key);
                if let Some(base) = lookup("STRIPE_API_BASE") {
                    client = client.api_base(base);
                }
                Some(client.build()?)
            }
            None => None,
        };
        Ok(Self { url, catalog, stripe })
    }

    /// Billing on the app's database.
    pub(crate) async fn connect(self) -> Result<Billing, Failure> {
        let store = SeaOrmStore::connect(self.url).await?;
        // No webhook is taken here, so that no secret is known.
        let billing = Billing::builder(store).catalog(self.catalog);
        let mut billing = billing.webhook_secrets(["whsec_not_used_here"]);
        if let Some(client) = self.stripe {
            billing = billing.stripe(client);
        }
        Ok(billing.build()?)
    }
}

/// Does a command; false where something disagrees.
pub(crate) async fn run(billing: &Billing, command: &Command, json: bool) -> Result<bool, Failure> {
    match command {
        Command::Verify => verify(billing, json).await,
        Command::Reconcile => reconcile(billing, json).await,
        Command::Rebuild(repair) => rebuild::run(billing, repair, json).await,
        Command::Explain(place) => {
            let (account, entries) = read(billing, place).await?;
            print!("{}", explain(&account, &entries));
            Ok(true)
        }
        Command::Export(place) => {
            let (_, entries) = read(billing, place).await?;
            print!("{}", csv(&entries));
            Ok(true)
        }
        Command::Replay(replay, by) => replay::run(billing, replay, by, json).await,
        Command::Event(change, id, by) => orders::about_event(billing, *change, id, by, json).await,
        Command::Payload(id) => orders::payload(billing, id).await,
        Command::Redeliver(key, by) => {
            orders::give(billing, Verb::Redeliver { key: key.clone() }, by, json).await
        }
        Command::Pause(by) => orders::give(billing, Verb::Pause, by, json).await,
        Command::Resume(by) => orders::give(billing, Verb::Resume, by, json).await,
        Command::Queue => orders::queue(billing, json).await,
        Command::Mails(mails) => crate::mails::preview(mails, json),
        Command::Stats => {
            let stats = billing.store().stats(billing.clock().now()).await?;
            println!("{}", serde_json::to_string_pretty(&stats)?);
            Ok(true)
        }
    }
}

/// Shows how far a long run is, where somebody looks.
pub(crate) fn counter(what: &'static str) -> impl FnMut(&LedgerKey) + Send {
    let (mut done, shown) = (0_u64, std::io::stderr().is_terminal());
    move |_| {
        done += 1;
        if shown && done.is_multiple_of(100) {
            let mut err = std::io::stderr().lock();
            // Nobody looking any more is fine.
            let _ = write!(err, "\r{what}: {done} accounts");
        }
    }
}

async fn verify(billing: &Billing, json: bool) -> Result<bool, Failure> {
    let proof = billing.verify_ledger(counter("verified")).await?;
    if json {
        println!("{}", serde_json::to_string(&proof)?);
        return Ok(proof.ok);
    }
    for broken in &proof.violations {
        println!(
            "{} [{}]: {} at {}: {} expected, {} found",
            broken.account,
            broken.unit,
            broken.invariant,
            broken.place,
            broken.expected,
            broken.found
        );
    }
    let verdict = if proof.ok { "every balance is proven" } else { "NOT PROVEN" };
    println!("{verdict}: {} accounts, {} entries", proof.accounts, proof.entries);
    Ok(proof.ok)
}

async fn reconcile(billing: &Billing, json: bool) -> Result<bool, Failure> {
    let found = billing.reconcile_ledger(counter("reconciled")).await?;
    if json {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(found.ok);
    }
    for one in &found.differences {
        println!(
            "{} [{}]: {} {}: {} expected, {} found",
            one.account, one.unit, one.about, one.what, one.expected, one.found
        );
    }
    println!(
        "{} differences: {} accounts, {} payments, {} of them asked of Stripe",
        found.differences.len(),
        found.accounts,
        found.sources,
        found.asked
    );
    Ok(found.ok)
}

/// An account with its whole history.
async fn read(billing: &Billing, place: &Place) -> Result<(Account, Vec<Entry>), Failure> {
    let key = key(billing, place).await?;
    history(billing, &key).await
}

/// The same of a ledger account.
pub(crate) async fn history(
    billing: &Billing,
    key: &LedgerKey,
) -> Result<(Account, Vec<Entry>), Failure> {
    let account = billing.store().account(key, Scope::All).await?;
    let account = account.ok_or_else(|| {
        format!("{} has no {} in {} mode", key.owner.account, key.unit.0, mode(key.livemode))
    })?;
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let seq = entries.last().map_or(0, |entry| entry.seq);
        let page = billing.store().entries(&EntryQuery::after(key.clone(), seq, PAGE)).await?;
        if page.is_empty() {
            return Ok((account, entries));
        }
        entries.extend(page);
    }
}

pub(crate) async fn key(billing: &Billing, place: &Place) -> Result<LedgerKey, Failure> {
    let owner = AccountKey::platform(&place.account);
    let accounts = billing.store().accounts_of(&owner, place.livemode).await?;
    let fits =
        |account: &&Account| place.unit.as_ref().is_none_or(|unit| *unit == account.key.unit.0);
    let mut fitting = accounts.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(account), None) => Ok(account.key.clone()),
        (None, _) => Err(format!("{} has no such credits", place.account).into()),
        (Some(_), Some(_)) => {
            let names = accounts.iter().map(|account| {
                format!("{} in {} mode", account.key.unit.0, mode(account.key.livemode))
            });
            let names: Vec<String> = names.collect();
            let names = names.join(", ");
            Err(format!("{} has {names}: say --unit and --livemode", place.account).into())
        }
    }
}

fn mode(live: bool) -> &'static str {
    if live { "live" } else { "test" }
}
