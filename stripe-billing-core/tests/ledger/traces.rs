//! Traces: what is asked and what comes of it, one line per operation. The golden ones were compared
//! with an independent model of the same rules; rules that change on purpose change them.
//!
//! A line is `second request = reply | entries | available held frozen debt | lots`. Lots are in the
//! order of their granting, seven buckets each. Booking repayments, extensions and limits makes
//! entries, too, which are left out here.

use std::fmt::Write as _;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stripe_billing_core::ledger::{
    Answer, Bucket, Command, EntryKind, LateCapture, LedgerPolicy, LotId, Refusal, Reply, Request,
    Residual,
};

use crate::bench::t;
use crate::streams::{Stream, model_steps, set_limit};

/// Streams of operations from one seed, as text.
fn traces(seed: u8, operations: usize, longest: usize) -> String {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = (0_u8..6, 0_i64..500, model_steps(longest));
    let (mut text, mut done) = (String::new(), 0);
    while done < operations {
        let (kind, max, steps) = strategy.new_tree(&mut runner).expect("makes one").current();
        let mut policy = LedgerPolicy::default();
        policy.late_capture = LateCapture::Reject;
        if kind % 3 == 2 {
            policy.refund.residual = Residual::WriteOff;
            policy.dispute.residual = Residual::WriteOff;
        }
        let (overdraft, limited) = (if kind == 1 { 50 } else { 0 }, kind % 2 == 0);
        // The model owes for what ran out, too.
        policy.claw_expired = false;
        let mut stream = Stream::new(policy);
        stream.crowded = false;
        stream.bench.reply(Command::SetOverdraft { limit: overdraft });
        if limited {
            stream.bench.reply(set_limit(max));
        }
        let limit = if limited { max.to_string() } else { "-".to_owned() };
        let residual = if kind % 3 == 2 { "writeoff" } else { "debt" };
        writeln!(text, "account {overdraft} {residual} {limit}").unwrap();
        let mut before = stream.bench.entries().len();
        for step in steps {
            if let Some((request, answer)) = stream.step(step) {
                done += 1;
                line(&mut text, &stream, &request, &answer, before);
                before = stream.bench.entries().len();
            }
        }
    }
    text
}

fn line(
    text: &mut String,
    stream: &Stream,
    request: &Request,
    answer: &Result<Answer, Refusal>,
    before: usize,
) {
    write!(text, "{} ", stream.seconds).unwrap();
    ask(text, stream, request);
    text.push_str(" = ");
    match answer {
        Err(Refusal::NegativeBalance { .. }) => text.push_str("insufficient"),
        Err(refusal) => text.push_str(refusal.code()),
        Ok(answer) => said(text, stream, answer),
    }
    text.push_str(" |");
    for entry in &stream.bench.entries()[before..] {
        let kind = match entry.kind {
            EntryKind::Settle | EntryKind::Extend | EntryKind::Overdraft => continue,
            kind => serde_json::to_value(kind).unwrap(),
        };
        let kind = kind.as_str().unwrap();
        write!(text, " {kind}:{}:{}", entry.delta_available, entry.delta_held).unwrap();
    }
    let balance = &stream.bench.account().balance;
    write!(text, " | {} {} ", balance.available, balance.held).unwrap();
    write!(text, "{} {} |", balance.frozen, balance.debt).unwrap();
    for lot in stream.bench.account().lots.values() {
        let buckets = Bucket::ALL.map(|bucket| lot.bucket(bucket).to_string());
        write!(text, " {}", buckets.join(",")).unwrap();
    }
    text.push('\n');
}

fn place(stream: &Stream, lot: LotId) -> usize {
    stream.bench.account().lots.keys().position(|id| *id == lot).expect("is there")
}

fn ask(text: &mut String, stream: &Stream, request: &Request) {
    let seconds = |at: chrono::DateTime<chrono::Utc>| (at - t(0)).num_seconds();
    let member = request.actor.as_deref().unwrap_or("-");
    match &request.command {
        Command::Grant(grant) => {
            let end = grant.expires_at.map_or("-".to_owned(), |at| seconds(at).to_string());
            let funding = grant.funding.as_ref().expect("is paid for");
            write!(
                text,
                "grant {} {} {:?} {} {:?} {end} {} {}",
                grant.key,
                grant.amount,
                grant.kind,
                grant.priority,
                grant.category,
                funding.source,
                funding.paid
            )
        }
        Command::Spend { key, amount } => write!(text, "spend {key} {amount} {member}"),
        Command::Reserve { id, amount, ttl } => {
            write!(text, "reserve {id} {amount} {} {member}", ttl.num_seconds())
        }
        Command::Capture { id, amount } => write!(text, "capture {id} {amount}"),
        Command::Release { id } => write!(text, "release {id}"),
        Command::MoneyBack { source, id, amount, status } => {
            write!(text, "back {source} {id} {amount} {status:?}")
        }
        Command::Renew { previous, grant, rollover, .. } => {
            let previous = previous.map_or("-".to_owned(), |lot| place(stream, lot).to_string());
            let end = grant.expires_at.map_or(0, seconds);
            let rolled_end = rollover.expires_at.map_or(0, seconds);
            let (key, amount, max) = (&grant.key, grant.amount, rollover.max);
            write!(text, "renew {key} {previous} {amount} {end} {max} {rolled_end}")
        }
        other => panic!("{other:?} is beyond the model"),
    }
    .unwrap();
}

fn said(text: &mut String, stream: &Stream, answer: &Answer) {
    text.push_str(if answer.replayed { "replayed" } else { "done" });
    match &answer.reply {
        Reply::Granted { lot: Some(lot) } | Reply::Renewed { lot, .. } => {
            write!(text, " {}", place(stream, *lot)).unwrap();
        }
        Reply::Spent { allocation, .. } => {
            for (lot, part) in allocation {
                write!(text, " {}:{part}", place(stream, *lot)).unwrap();
            }
        }
        Reply::MoneyBack { clawed, .. } => write!(text, " {clawed}").unwrap(),
        _ => {}
    }
}

/// The rules decide what they decided when the golden traces were compared. With
/// `LEDGER_TRACES=<seed>:<operations>:<longest stream>:<file>` it writes traces instead, for another comparison.
#[test]
fn golden_traces_are_repeated_to_the_letter() {
    if let Ok(wish) = std::env::var("LEDGER_TRACES") {
        let mut wish = wish.splitn(4, ':');
        let seed = wish.next().and_then(|seed| seed.parse().ok()).expect("a seed");
        let count = wish.next().and_then(|count| count.parse().ok()).expect("a count");
        let longest = wish.next().and_then(|most| most.parse().ok()).expect("a length");
        let file = wish.next().expect("a file");
        std::fs::write(file, traces(seed, count, longest)).unwrap();
        return;
    }
    let golden = include_str!("golden.txt");
    let found = traces(1, 300, 30);
    for (number, (golden, found)) in golden.lines().zip(found.lines()).enumerate() {
        assert_eq!(golden, found, "line {}", number + 1);
    }
    assert_eq!(golden.lines().count(), found.lines().count());
}
