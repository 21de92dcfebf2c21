//! Mails to look at, without a database and without sending any.

use serde_json::json;
use stripe_billing_email::{EmailNotifier, Mailbox};

use crate::args::Mails;
use crate::run::Failure;

/// Writes a sample of every mail in every language, with the app's templates if it has any.
pub(crate) fn preview(mails: &Mails, json: bool) -> Result<bool, Failure> {
    let mut notifier = EmailNotifier::in_memory(&Mailbox::default(), "Acme <billing@acme.test>")
        .reply_to("help@acme.test")
        .postal_address("Acme GmbH, Lindenstraße 1, 10969 Berlin")
        .billing_page("https://acme.test/billing")
        .operator_page("https://acme.test/operator")
        .unsubscribe(|_| Some("https://acme.test/unsubscribe?token=sample".to_owned()));
    if let Some(templates) = &mails.templates {
        notifier = notifier.templates(templates);
    }
    let index = notifier.build()?.preview(&mails.out)?;
    let index = index.display().to_string();
    if json {
        println!("{}", json!({ "index": index }));
    } else {
        println!("{index}");
    }
    Ok(true)
}
