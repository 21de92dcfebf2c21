//! Runs cases of the target `events` from a seeded generator, without coverage and without a
//! nightly toolchain: `soak [--mode deliver|read] [--runs N] [--seed N]`. A case that fails, or that
//! takes more than 30 seconds, is printed with its number, by which `--seed N --runs 1` repeats it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use stripe_billing_fuzz::Mode;

/// The longest that a case may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The case that runs.
static CASE: AtomicU64 = AtomicU64::new(0);
/// Panics that anything has caught or not.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// A stream of bytes that is the same for a case every time.
fn bytes_of(case: u64) -> Vec<u8> {
    let mut state = case.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let words = 8 + next() % 64;
    (0..words).flat_map(|_| next().to_le_bytes()).collect()
}

/// A figure of `/proc/self/status`, in KiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_ascii_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

fn main() -> ExitCode {
    let (mut mode, mut runs, mut seed) = (Mode::Deliver, 100_000_u64, 0_u64);
    let mut words = std::env::args().skip(1);
    while let Some(option) = words.next() {
        let value = words.next().unwrap_or_default();
        let known = match option.as_str() {
            "--mode" => Mode::named(&value).map(|named| mode = named),
            "--runs" => value.parse().ok().map(|number| runs = number),
            "--seed" => value.parse().ok().map(|number| seed = number),
            _ => None,
        };
        if known.is_none() {
            eprintln!("soak [--mode deliver|read] [--runs N] [--seed N]");
            return ExitCode::from(2);
        }
    }
    std::panic::set_hook(Box::new(|info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        eprintln!("case {}: {info}", CASE.load(Ordering::Relaxed));
    }));
    watch();
    let (started, mut events, mut failed) = (Instant::now(), 0_u64, 0_u64);
    for case in seed..seed.saturating_add(runs) {
        CASE.store(case, Ordering::Relaxed);
        let before = PANICS.load(Ordering::Relaxed);
        let bytes = bytes_of(case);
        let ran = catch_unwind(AssertUnwindSafe(|| mode.run(&bytes)));
        events += ran.map_or(0, |count| u64::try_from(count).unwrap_or(0));
        failed += u64::from(PANICS.load(Ordering::Relaxed) > before);
        if failed >= 20 {
            eprintln!("enough: {failed} cases failed");
            break;
        }
        if (case - seed) % 50_000 == 49_999 {
            report(case + 1 - seed, events, failed, started);
        }
    }
    report(CASE.load(Ordering::Relaxed) + 1 - seed, events, failed, started);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(cases: u64, events: u64, failed: u64, started: Instant) {
    println!(
        "{cases} cases, {events} events, {failed} failed, {:.0} s, peak memory {} KiB, now {} KiB",
        started.elapsed().as_secs_f64(),
        memory("VmHWM"),
        memory("VmRSS"),
    );
}

/// Ends the process when a case does not end.
fn watch() {
    thread::spawn(|| {
        let mut last = u64::MAX;
        loop {
            thread::sleep(LIMIT);
            let case = CASE.load(Ordering::Relaxed);
            if case == last {
                eprintln!("case {case} does not end");
                std::process::exit(3);
            }
            last = case;
        }
    });
}
