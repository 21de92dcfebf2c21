//! The command line.

use crate::Outcome;

pub(crate) const USAGE: &str = "\
load intake|process|history|depth|ledger|renewals [options]

  --database URL     postgres://user@host/postgres: a server in which databases are made and dropped
                     again, best one that nobody else uses; `sqlite` (the default): a new file
  --events N         events of one run (intake 40000, process 20000, history 1800, depth 3200,
                     ledger: spends of each side, 20000)
  --connections N    intake: keep-alive connections that send (32);
                     ledger: clients at the same time (16; 32 on SQLite)
  --workers N        process, renewals, history: workers (4, 4, 1)
  --batch N          process, renewals, history, depth: events that a worker takes at once (32)
  --sizes A,B,C      history: objects of a customer's past (10,1000,100000);
                     depth: settled rows in the inbox (10000,10000000);
                     renewals: accounts (10000,100000)
  --runs N           runs of each side, in turns; the least of each counts (3; depth,
                     renewals: 1)
  --only ours|bare   leaves the other side out, for a profiler";

/// What this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Intake,
    Process,
    History,
    Depth,
    Ledger,
    Renewals,
    /// The children: what is measured.
    Serve,
    ServeBare,
    Work,
    WorkBare,
    WorkCredits,
}

impl Mode {
    pub(crate) const ALL: [Self; 11] = [
        Self::Intake,
        Self::Process,
        Self::History,
        Self::Depth,
        Self::Ledger,
        Self::Renewals,
        Self::Serve,
        Self::ServeBare,
        Self::Work,
        Self::WorkBare,
        Self::WorkCredits,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Process => "process",
            Self::History => "history",
            Self::Depth => "depth",
            Self::Ledger => "ledger",
            Self::Renewals => "renewals",
            Self::Serve => "serve",
            Self::ServeBare => "serve-bare",
            Self::Work => "work",
            Self::WorkBare => "work-bare",
            Self::WorkCredits => "work-credits",
        }
    }

    pub(crate) fn is_harness(self) -> bool {
        !matches!(
            self,
            Self::Serve | Self::ServeBare | Self::Work | Self::WorkBare | Self::WorkCredits
        )
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) mode: Mode,
    pub(crate) database: String,
    pub(crate) events: usize,
    pub(crate) connections: usize,
    pub(crate) workers: usize,
    pub(crate) batch: u32,
    pub(crate) runs: usize,
    pub(crate) sizes: Vec<usize>,
    only: Option<String>,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let word = words.next().ok_or("what shall be measured?")?;
        let mode = Mode::ALL
            .into_iter()
            .find(|mode| mode.name() == word)
            .ok_or_else(|| format!("`{word}` cannot be measured"))?;
        let mut args = Self {
            mode,
            database: "sqlite".to_owned(),
            events: match mode {
                Mode::Intake => 40_000,
                Mode::History => 1_800,
                Mode::Depth => 3_200,
                _ => 20_000,
            },
            connections: if mode == Mode::Ledger { 16 } else { 32 },
            workers: if mode == Mode::History { 1 } else { 4 },
            batch: 32,
            runs: if matches!(mode, Mode::Depth | Mode::Renewals) { 1 } else { 3 },
            sizes: match mode {
                Mode::Depth => vec![10_000, 10_000_000],
                Mode::Renewals => vec![10_000, 100_000],
                _ => vec![10, 1_000, 100_000],
            },
            only: None,
        };
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{option}` needs a value"))?;
            match option.as_str() {
                "--database" => args.database = value,
                "--events" => args.events = value.parse()?,
                "--connections" => args.connections = value.parse::<usize>()?.max(1),
                "--workers" => args.workers = value.parse::<usize>()?.max(1),
                "--batch" => args.batch = value.parse()?,
                "--runs" => args.runs = value.parse::<usize>()?.max(1),
                "--sizes" => {
                    args.sizes = value.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                "--only" => args.only = Some(value),
                _ => return Err(format!("`{option}` is no option").into()),
            }
        }
        Ok(args)
    }

    /// Whether a side (`ours`, `bare`) is measured.
    pub(crate) fn wants(&self, side: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == side)
    }
}
