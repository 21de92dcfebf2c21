//! Mails: what writing one costs, and many of them through the outbox and a worker to a server on
//! this machine.
//!
//! `mails render`, or `mails send COUNT [URL]`: the URL is `sqlite`, or a new database's.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use stripe_billing_core::catalog::Catalog;
use stripe_billing_core::notice::{Money, Notice, NoticeDetails};
use stripe_billing_core::state::{ObjectKind, ObjectRef};
use stripe_billing_core::store::{EventStore, Inspect, ReceivedEvent, Verb};
use stripe_billing_core::webhook::EventKind;
use stripe_billing_core::{
    Billing, Clock, EventKey, Notification, Notified, Notifier, NotifyError, SubjectKey,
    SystemClock, Tenant,
};
use stripe_billing_email::{EmailNotifier, Language, Mailbox};
use stripe_billing_seaorm::SeaOrmStore;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["render"] => tokio::runtime::Builder::new_current_thread().build()?.block_on(render()),
        ["send", count] => threaded()?.block_on(send(count.parse()?, "sqlite")),
        ["send", count, url] => threaded()?.block_on(send(count.parse()?, url)),
        _ => Err("mails render, or mails send COUNT [URL]".into()),
    }
}

fn threaded() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// The longest that sending may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// This thread's CPU time, from `/proc` (Linux).
fn cpu() -> Outcome<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_ascii_whitespace().next().ok_or("no figure in /proc")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// Every kind in every language, text and HTML, with much known: the least CPU time of three rounds.
async fn render() -> Outcome {
    // The kernel counts in steps of some milliseconds.
    const TURNS: u32 = 500;
    let mailbox = Mailbox::keeping(1);
    let mail = EmailNotifier::in_memory(&mailbox, "Acme <billing@acme.test>")
        .operators("ops@acme.test")
        .billing_page("https://acme.test/billing")
        .operator_page("https://acme.test/operator")
        .build()?;
    let mut costs = Vec::new();
    for kind in EmailNotifier::KINDS {
        for language in Language::ALL {
            let mut details = NoticeDetails::default();
            details.recipient.email = Some("ada@example.test".to_owned());
            details.recipient.name = Some("Ada Lovelace".to_owned());
            details.recipient.locales = vec![language.tag().to_owned()];
            details.products = vec!["Pro".to_owned(), "Seats".to_owned()];
            details.amount = Some(Money { amount: 1_900, currency: "eur".to_owned() });
            details.invoice_number = Some("ACME-0042".to_owned());
            details.paid_at = Some(1_795_266_300);
            details.period_end = Some(1_797_266_300);
            details.at = Some(1_796_266_300);
            let object = Some(ObjectRef::new(ObjectKind::Invoice, "in_1"));
            let subject = SubjectKey { tenant: Tenant::platform(true), id: "cus_1".to_owned() };
            let notice = Notice { kind, object, detail: String::new() };
            let told = Notification::new(subject, Some("acme".to_owned()), notice, details);
            let mut least = Duration::MAX;
            for _ in 0..3 {
                let before = cpu()?;
                for _ in 0..TURNS {
                    mail.notify(&told).await?;
                }
                least = least.min((cpu()? - before) / TURNS);
            }
            costs.push((least, kind.as_str(), language.tag(), mailbox.mails().len()));
        }
    }
    costs.sort();
    let all: Duration = costs.iter().map(|(cost, ..)| *cost).sum();
    let (first, last) = (costs[0], costs[costs.len() - 1]);
    println!(
        "{} mails: mean {:?}, median {:?}",
        costs.len(),
        all / costs.len() as u32,
        costs[costs.len() / 2].0
    );
    println!(
        "least {:?} ({}, {}), most {:?} ({}, {})",
        first.0, first.1, first.2, last.0, last.1, last.2
    );
    Ok(())
}

/// How many mails and connections the sink has taken.
#[derive(Debug, Default)]
struct Seen {
    mails: watch::Sender<usize>,
    connections: AtomicUsize,
}

/// A server that takes every mail and keeps none.
async fn sink() -> Outcome<(u16, Arc<Seen>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let counts: Arc<Seen> = Arc::default();
    let seen = Arc::clone(&counts);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(talk(stream, Arc::clone(&seen)));
        }
    });
    Ok((port, counts))
}

async fn talk(stream: TcpStream, seen: Arc<Seen>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let (mut line, mut in_mail) = (Vec::new(), false);
    write.write_all(b"220 sink\r\n").await?;
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match (in_mail, line.as_slice()) {
            (true, b".\r\n") => {
                in_mail = false;
                seen.mails.send_modify(|mails| *mails += 1);
                b"250 taken\r\n"
            }
            (true, _) => continue,
            (false, line) if line.starts_with(b"DATA") => {
                in_mail = true;
                b"354 go on\r\n"
            }
            (false, line) if line.starts_with(b"EHLO") => b"250-sink\r\n250 8BITMIME\r\n",
            (false, _) => b"250 fine\r\n",
        };
        write.write_all(answer).await?;
    }
}

/// Refuses every notice for good, so that all of them can be handed over later at once.
#[derive(Debug)]
struct Refusing;

#[async_trait]
impl Notifier for Refusing {
    async fn notify(&self, _: &Notification) -> Result<Notified, NotifyError> {
        Err(NotifyError::permanent("not yet"))
    }
}

fn event(id: String, event_type: &str, object: &serde_json::Value, now: i64) -> ReceivedEvent {
    let body = json!({
        "id": id, "object": "event", "created": now, "livemode": true, "type": event_type,
        "api_version": "2026-10-28", "data": {"object": object},
    });
    ReceivedEvent {
        key: EventKey { tenant: Tenant::platform(true), id },
        kind: EventKind::Snapshot,
        event_type: event_type.to_owned(),
        api_version: None,
        created: now,
        received_at: SystemClock.now(),
        payload: body.to_string().into(),
    }
}

fn builder(store: &SeaOrmStore) -> stripe_billing_core::BillingBuilder {
    Billing::builder(store.clone()).catalog(Catalog::default()).webhook_secrets(["whsec_bench"])
}

/// Resident memory in kB: now, or the most since it was reset.
fn resident(field: &str) -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with(field)).ok_or("no such field")?;
    Ok(line.split_ascii_whitespace().nth(1).ok_or("no figure")?.parse()?)
}

/// So many customers pay an invoice each; then their receipts are sent.
async fn send(count: usize, url: &str) -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("mails.db").display());
    let store = SeaOrmStore::connect(if url == "sqlite" { file.as_str() } else { url }).await?;
    let now = SystemClock.now().timestamp();
    for n in 0..count {
        let customer = json!({
            "id": format!("cus_{n}"), "object": "customer", "name": "Ada Lovelace",
            "email": format!("ada+{n}@example.test"), "metadata": {"account": format!("acc_{n}")},
        });
        store.receive(event(format!("evt_c{n}"), "customer.created", &customer, now)).await?;
        let invoice = json!({
            "id": format!("in_{n}"), "object": "invoice", "customer": format!("cus_{n}"),
            "status": "paid", "billing_reason": "manual", "currency": "usd", "total": 1_900,
            "amount_due": 1_900, "amount_paid": 1_900, "amount_remaining": 0,
            "number": format!("ACME-{n}"), "status_transitions": {"paid_at": now},
        });
        store.receive(event(format!("evt_i{n}"), "invoice.paid", &invoice, now)).await?;
    }
    builder(&store).notifier(Refusing).build()?.process_due().await?;
    let stats = store.stats(SystemClock.now()).await?;
    println!("{count} invoices: events {:?}, messages {:?}", stats.events, stats.outbox);

    let (port, counts) = sink().await?;
    let mail = EmailNotifier::smtp(format!("smtp://127.0.0.1:{port}"), "Acme <billing@acme.test>")
        .operators("ops@acme.test")
        .billing_page("https://acme.test/billing")
        .build()?;
    let billing = builder(&store).notifier(mail).build()?;
    let due = billing.order(Verb::Redeliver { key: None }, "bench", "again", None).await?.changed;
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (before, started) = (resident("VmRSS")?, Instant::now());
    let workers = billing.spawn_workers();
    let mut mails = counts.mails.subscribe();
    let all = mails.wait_for(|mails| *mails >= due as usize);
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        return Err(format!("only {} came", *counts.mails.borrow()).into());
    }
    let took = started.elapsed();
    workers.shutdown().await;
    let (peak, connections) = (resident("VmHWM")?, counts.connections.load(Ordering::Relaxed));
    println!(
        "{due} mails in {:.1} s, {:.0} a second, over {connections} connections; resident {before} \
         kB before, {peak} kB at most",
        took.as_secs_f64(),
        due as f64 / took.as_secs_f64()
    );
    let stats = store.stats(SystemClock.now()).await?;
    println!("messages {:?}", stats.outbox);
    Ok(())
}
