//! Writes every mail in every language to a folder: `cargo run -p stripe-billing-email --example
//! preview -- DIR [TEMPLATES]`.

use std::error::Error;
use std::path::Path;

use stripe_billing_email::{EmailNotifier, Mailbox};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder to write to")?;
    let mut notifier = EmailNotifier::in_memory(&Mailbox::default(), "Acme <billing@acme.test>")
        .reply_to("help@acme.test")
        .postal_address("Acme GmbH, Lindenstraße 1, 10969 Berlin")
        .time_zone("Europe/Berlin")
        .billing_page("https://acme.test/billing")
        .operator_page("https://acme.test/operator")
        .unsubscribe(|_| Some("https://acme.test/unsubscribe?token=sample".to_owned()));
    if let Some(templates) = arguments.next() {
        notifier = notifier.templates(templates);
    }
    let index = notifier.build()?.preview(Path::new(&folder))?;
    println!("{}", index.display());
    Ok(())
}
