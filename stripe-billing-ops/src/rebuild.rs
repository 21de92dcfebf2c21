//! Accounts made anew from their entries.

use serde_json::json;
use stripe_billing_core::Billing;
use stripe_billing_core::ledger::{LedgerKey, Rebuild, Recounted, recount};

use crate::args::Repair;
use crate::run::{Failure, counter, history, key};

/// Accounts read at once.
const PAGE: u32 = 500;
/// How often an account that is written to meanwhile is read again.
const TRIES: u32 = 10;

/// What came of it all.
#[derive(Default)]
struct Tally {
    accounts: u64,
    differences: usize,
    /// Accounts that nothing can be made of.
    hopeless: u64,
}

/// Rebuilds one account or all of them; false where anything differs still.
pub(crate) async fn run(billing: &Billing, repair: &Repair, json: bool) -> Result<bool, Failure> {
    let (mut tally, mut progress) = (Tally::default(), counter("recomputed"));
    if let Some(place) = &repair.place {
        one(billing, &key(billing, place).await?, repair, json, &mut tally).await?;
    } else {
        let mut last: Option<LedgerKey> = None;
        loop {
            let keys = billing.store().ledger_keys(last.as_ref(), PAGE).await?;
            let Some(end) = keys.last() else { break };
            last = Some(end.clone());
            for key in &keys {
                progress(key);
                one(billing, key, repair, json, &mut tally).await?;
            }
        }
    }
    let Tally { accounts, differences, hopeless } = tally;
    let is_right = hopeless == 0 && (differences == 0 || repair.apply);
    if json {
        let applied = repair.apply;
        println!(
            "{}",
            json!({ "accounts": accounts, "differences": differences, "applied": applied, "ok": is_right })
        );
    } else {
        let what = if repair.apply { "set right" } else { "found, nothing written" };
        println!("{differences} differences {what}: {accounts} accounts");
    }
    Ok(is_right)
}

async fn one(
    billing: &Billing,
    key: &LedgerKey,
    repair: &Repair,
    json: bool,
    tally: &mut Tally,
) -> Result<(), Failure> {
    tally.accounts += 1;
    let differences = match repair.apply {
        false => differences(billing, key).await?,
        true => {
            let by = Rebuild {
                actor: repair.by.clone().unwrap_or_else(|| "billing-ops".to_owned()),
                reason: "set to what the entries make of it".to_owned(),
                now: billing.clock().now(),
            };
            match billing.store().rebuild(key, &by).await? {
                Ok(differences) => differences,
                Err(refusal) => {
                    tally.hopeless += 1;
                    eprintln!("{} [{}]: {refusal}", key.owner.account, key.unit.0);
                    return Ok(());
                }
            }
        }
    };
    tally.differences += differences.len();
    for Recounted { place, recounted, stored } in &differences {
        let (account, unit) = (&key.owner.account, &key.unit.0);
        if json {
            let line = json!({
                "account": account, "stripe_account": key.owner.stripe_account, "unit": unit,
                "livemode": key.livemode, "place": place, "recounted": recounted, "stored": stored,
            });
            println!("{line}");
        } else {
            println!("{account} [{unit}]: {place}: {recounted} by its entries, {stored} stored");
        }
    }
    Ok(())
}

/// What differs, of an account and its entries as of one instant.
async fn differences(billing: &Billing, key: &LedgerKey) -> Result<Vec<Recounted>, Failure> {
    for _ in 0..TRIES {
        let (account, entries) = history(billing, key).await?;
        let differences = recount(&account, &entries);
        if differences.is_empty() || history(billing, key).await? == (account, entries) {
            return Ok(differences);
        }
    }
    Err(format!("{} is written to all the time: --apply locks it", key.owner.account).into())
}
