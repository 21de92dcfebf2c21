//! The command line, read.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, Value, ValueExt};

pub(crate) const HELP: &str = "\
Operators' tools for a database of stripe-billing.

USAGE: billing-ops COMMAND [OPTIONS]

  ledger verify                 recompute every balance from its entries; exit code 1 if any disagrees
  ledger rebuild --account A    recompute one account from its entries and print what differs
  ledger explain --account A    an account's history as a person can read it
  ledger export  --account A    an account's entries as a table (CSV)
  ledger reconcile              compare with what was paid, and with Stripe where a key is set; exit code 1
                                if anything differs
  events replay [--apply]       what deciding on stored events again would change; with --apply, do it
  mail preview --out DIR        every mail in every language, as HTML and text; needs no database
  stats                         counts and ages of the queues

OPTIONS
  --account A        the app's account
  --unit U           the unit of credit; needed where the catalog has several
  --livemode BOOL    live or test mode
  --status S, --type T, --customer C, --limit N
                     which events to replay
  --out DIR          where mails are written
  --templates DIR    the app's own messages and templates for them
  --json             machine-readable output

ENVIRONMENT
  DATABASE_URL       sqlite://, postgres:// or mysql://; default sqlite://billing.db
  BILLING_CATALOG    the app's catalog file; without it only units that have entries are known
  STRIPE_SECRET_KEY, STRIPE_API_BASE
                     Stripe, for reconcile

EXIT CODES: 0 all is well, 1 something disagrees, 2 the command is wrong, 3 it could not be done.
";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Verify,
    Reconcile,
    Rebuild(Place),
    Explain(Place),
    Export(Place),
    Replay(Replay),
    Stats,
    Mails(Mails),
}

/// Where mails are written, and with which templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mails {
    pub(crate) out: PathBuf,
    pub(crate) templates: Option<PathBuf>,
}

/// One ledger account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) unit: Option<String>,
    pub(crate) livemode: Option<bool>,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) apply: bool,
    pub(crate) status: Option<String>,
    pub(crate) event_type: Option<String>,
    pub(crate) customer: Option<String>,
    pub(crate) limit: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Help,
    Run { command: Command, json: bool },
}

/// What is wrong with the command line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Mistake {
    #[error("{0}")]
    Syntax(#[from] lexopt::Error),
    #[error("`{0}` is no command")]
    Unknown(String),
    #[error("--out is needed: the folder to write to")]
    NoFolder,
    #[error("--account is needed: the app's id of the account")]
    NoAccount,
}

pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, Mistake> {
    let mut parser = lexopt::Parser::from_args(args);
    let (mut words, mut json) = (Vec::new(), false);
    let (mut place, mut replay) = (Place::default(), Replay::default());
    let mut mails = Mails::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Parsed::Help),
            Long("json") => json = true,
            Long("apply") => replay.apply = true,
            Long("account") => place.account = parser.value()?.string()?,
            Long("unit") => place.unit = Some(parser.value()?.string()?),
            Long("livemode") => place.livemode = Some(parser.value()?.parse()?),
            Long("status") => replay.status = Some(parser.value()?.string()?),
            Long("type") => replay.event_type = Some(parser.value()?.string()?),
            Long("customer") => replay.customer = Some(parser.value()?.string()?),
            Long("limit") => replay.limit = Some(parser.value()?.parse()?),
            Long("out") => mails.out = parser.value()?.into(),
            Long("templates") => mails.templates = Some(parser.value()?.into()),
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let place =
        || if place.account.is_empty() { Err(Mistake::NoAccount) } else { Ok(place.clone()) };
    let command = match words.as_slice() {
        [] => return Ok(Parsed::Help),
        ["ledger", "verify"] => Command::Verify,
        ["ledger", "reconcile"] => Command::Reconcile,
        ["ledger", "rebuild"] => Command::Rebuild(place()?),
        ["ledger", "explain"] => Command::Explain(place()?),
        ["ledger", "export"] => Command::Export(place()?),
        ["events", "replay"] => Command::Replay(replay),
        ["stats"] => Command::Stats,
        ["mail", "preview"] if mails.out.as_os_str().is_empty() => return Err(Mistake::NoFolder),
        ["mail", "preview"] => Command::Mails(mails),
        other => return Err(Mistake::Unknown(other.join(" "))),
    };
    Ok(Parsed::Run { command, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, Mistake> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn commands_and_their_options_are_read() {
        let Ok(Parsed::Run { command, json }) = parsed("ledger explain --account a --unit credits")
        else {
            panic!("it is a command");
        };
        let unit = Some("credits".to_owned());
        let place = Place { account: "a".to_owned(), unit, livemode: None };
        assert_eq!((command, json), (Command::Explain(place), false));
        let run = parsed("ledger verify --json").expect("a command");
        assert_eq!(run, Parsed::Run { command: Command::Verify, json: true });
        assert_eq!(parsed("").expect("help"), Parsed::Help);
    }

    #[test]
    fn mistakes_say_what_is_wrong() {
        let told = |line: &str| parsed(line).expect_err(line).to_string();
        assert_eq!(told("ledger vrify"), "`ledger vrify` is no command");
        assert!(told("ledger explain").contains("--account"));
        assert!(told("mail preview").contains("--out"));
        assert!(told("stats --what").contains("--what"));
        assert!(told("events replay --limit many").contains("many"));
    }
}
