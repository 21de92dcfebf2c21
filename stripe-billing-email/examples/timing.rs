//! How long it takes to write a mail: `cargo run --release -p stripe-billing-email --example timing`.

use std::error::Error;
use std::time::Instant;

use stripe_billing_core::notice::{Money, Notice, NoticeDetails, NoticeKind};
use stripe_billing_core::state::{ObjectKind, ObjectRef};
use stripe_billing_core::{Notification, Notifier, SubjectKey, Tenant};
use stripe_billing_email::{EmailNotifier, Mailbox};

const MAILS: u32 = 20_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let mailbox = Mailbox::keeping(1);
    let mail = EmailNotifier::in_memory(&mailbox, "Acme <billing@acme.test>").build()?;
    println!("to check every mail at start: {:?}", begun.elapsed());
    let mut details = NoticeDetails::default();
    details.recipient.email = Some("ada@example.test".to_owned());
    details.recipient.name = Some("Ada".to_owned());
    details.products = vec!["Pro".to_owned()];
    details.amount = Some(Money { amount: 1_900, currency: "usd".to_owned() });
    details.paid_at = Some(1_795_266_300);
    details.period_end = Some(1_797_858_300);
    let subject = SubjectKey { tenant: Tenant::platform(true), id: "cus_1".to_owned() };
    let object = Some(ObjectRef::new(ObjectKind::Invoice, "in_1"));
    let notice = Notice { kind: NoticeKind::Receipt, object, detail: String::new() };
    let told = Notification::new(subject, Some("acme".to_owned()), notice, details);
    let begun = Instant::now();
    for _ in 0..MAILS {
        mail.notify(&told).await?;
    }
    println!("to write one: {:?}", begun.elapsed() / MAILS);
    Ok(())
}
