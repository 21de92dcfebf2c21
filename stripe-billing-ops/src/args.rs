//! The command line, read.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, Value, ValueExt};

pub(crate) const HELP: &str = "\
Operators' tools for a database of stripe-billing.

USAGE: billing-ops COMMAND [OPTIONS]

  ledger verify                 recompute every balance from its entries; exit code 1 if any disagrees
  ledger rebuild [--account A] [--apply]
                                recompute accounts from their entries and print what differs, all of
                                them or one; with --apply, set their balances and lots right, each in
                                one transaction, with an entry and a line of the audit log; exit code
                                1 if anything differs, or cannot be set right
  ledger explain --account A    an account's history as a person can read it
  ledger export  --account A    an account's entries as a table (CSV)
  ledger reconcile              compare with what was paid, and with Stripe where a key is set; exit code 1
                                if anything differs
  events replay [EVENT] [--apply]
                                what deciding on stored events again would change; with --apply, do it,
                                in batches of 100 and at a pace, up to 10,000 in one command; exit code 1
                                if more match. Interrupted, it says how to go on
  events resolve EVENT          an event that failed was dealt with elsewhere
  events dismiss EVENT          an event that failed does not matter (needs --reason)
  events release EVENT          an event's worker is gone: another may take it
  events payload EVENT          what was received, without personal data and secrets
  messages redeliver            hand dead messages over once more; --key K for one
  queue pause | resume          stop and start processing; what arrives is stored all the same
  queue status                  who paused it, and what is wrong; exit code 1 if anything
  mail preview --out DIR        every mail in every language, as HTML and text; needs no database
  stats                         counts and ages of the queues

OPTIONS
  --account A        the app's account
  --unit U           the unit of credit; needed where the catalog has several
  --livemode BOOL    live or test mode
  --status S, --type T, --customer C, --ticket K, --limit N, --from SEQ, --until SEQ
                     which events to replay: 1,000 unless there is a limit
  --pace N           events a second that a replay makes due: 10 unless given, 0 for no pause
  --apply            write; without it nothing is changed
  --reason R         why, for the audit log
  --actor A          who, for the audit log; the login name unless given
  --request ID       makes an order happen once; printed where none is given
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
    Rebuild(Repair),
    Explain(Place),
    Export(Place),
    Replay(Box<Replay>, By),
    Event(Change, String, By),
    Payload(String),
    Redeliver(Option<String>, By),
    Pause(By),
    Resume(By),
    Queue,
    Stats,
    Mails(Mails),
}

/// Where mails are written, and with which templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mails {
    pub(crate) out: PathBuf,
    pub(crate) templates: Option<PathBuf>,
}

/// What to do to one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Resolve,
    Dismiss,
    Release,
}

/// Who orders, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct By {
    pub(crate) actor: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) request: Option<String>,
}

/// One ledger account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) unit: Option<String>,
    pub(crate) livemode: Option<bool>,
}

/// What to rebuild.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repair {
    /// All accounts unless it is named.
    pub(crate) place: Option<Place>,
    pub(crate) apply: bool,
    pub(crate) by: Option<String>,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) apply: bool,
    pub(crate) status: Option<String>,
    pub(crate) event_type: Option<String>,
    pub(crate) customer: Option<String>,
    pub(crate) ticket: Option<String>,
    pub(crate) limit: Option<u32>,
    pub(crate) from: Option<i64>,
    pub(crate) until: Option<i64>,
    pub(crate) pace: Option<u32>,
    /// One event by its id.
    pub(crate) event: Option<String>,
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
    let (mut by, mut key) = (By::default(), None);
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
            Long("ticket") => replay.ticket = Some(parser.value()?.string()?),
            Long("reason") => by.reason = Some(parser.value()?.string()?),
            Long("actor") => by.actor = Some(parser.value()?.string()?),
            Long("request") => by.request = Some(parser.value()?.string()?),
            Long("key") => key = Some(parser.value()?.string()?),
            Long("limit") => replay.limit = Some(parser.value()?.parse()?),
            Long("from") => replay.from = Some(parser.value()?.parse()?),
            Long("until") => replay.until = Some(parser.value()?.parse()?),
            Long("pace") => replay.pace = Some(parser.value()?.parse()?),
            Long("out") => mails.out = parser.value()?.into(),
            Long("templates") => mails.templates = Some(parser.value()?.into()),
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let named =
        || if place.account.is_empty() { Err(Mistake::NoAccount) } else { Ok(place.clone()) };
    let command = match words.as_slice() {
        [] => return Ok(Parsed::Help),
        ["ledger", "verify"] => Command::Verify,
        ["ledger", "reconcile"] => Command::Reconcile,
        ["ledger", "rebuild"] => {
            let place = Some(place.clone()).filter(|place| *place != Place::default());
            if place.as_ref().is_some_and(|place| place.account.is_empty()) {
                return Err(Mistake::NoAccount);
            }
            Command::Rebuild(Repair { place, apply: replay.apply, by: by.actor })
        }
        ["ledger", "explain"] => Command::Explain(named()?),
        ["ledger", "export"] => Command::Export(named()?),
        ["events", "replay"] => Command::Replay(Box::new(replay), by),
        ["events", "replay", id] => {
            Command::Replay(Box::new(Replay { event: Some((*id).to_owned()), ..replay }), by)
        }
        ["events", "resolve", id] => Command::Event(Change::Resolve, (*id).to_owned(), by),
        ["events", "dismiss", id] => Command::Event(Change::Dismiss, (*id).to_owned(), by),
        ["events", "release", id] => Command::Event(Change::Release, (*id).to_owned(), by),
        ["events", "payload", id] => Command::Payload((*id).to_owned()),
        ["messages", "redeliver"] => Command::Redeliver(key, by),
        ["queue", "pause"] => Command::Pause(by),
        ["queue", "resume"] => Command::Resume(by),
        ["queue", "status"] => Command::Queue,
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
        let Ok(Parsed::Run { command, .. }) =
            parsed("events dismiss evt_1 --reason test --actor a")
        else {
            panic!("it is a command");
        };
        let text = |text: &str| Some(text.to_owned());
        let by = By { actor: text("a"), reason: text("test"), request: None };
        assert_eq!(command, Command::Event(Change::Dismiss, "evt_1".to_owned(), by));
        let all = Repair { place: None, apply: true, by: Some("eve".to_owned()) };
        let run = parsed("ledger rebuild --apply --actor eve").expect("a command");
        assert_eq!(run, Parsed::Run { command: Command::Rebuild(all), json: false });
        assert_eq!(parsed("").expect("help"), Parsed::Help);
    }

    #[test]
    fn mistakes_say_what_is_wrong() {
        let told = |line: &str| parsed(line).expect_err(line).to_string();
        assert_eq!(told("ledger vrify"), "`ledger vrify` is no command");
        assert!(told("ledger explain").contains("--account"));
        assert!(told("ledger rebuild --unit credits").contains("--account"));
        assert!(told("mail preview").contains("--out"));
        assert!(told("stats --what").contains("--what"));
        assert!(told("events replay --limit many").contains("many"));
    }
}
