//! Billing notices as mail: true, once, and in the reader's language.
//!
//! [`EmailNotifier`] is a [`Notifier`](stripe_billing_core::Notifier). A notice comes out of the outbox
//! when it has just been found true, with what is known of it; here it becomes a mail of two parts,
//! text and HTML, that say the same.
//!
//! ```
//! use stripe_billing_core::notice::NoticeKind;
//! use stripe_billing_email::{EmailNotifier, TestMode};
//!
//! # fn main() -> Result<(), stripe_billing_email::EmailError> {
//! let mail = EmailNotifier::smtp("smtps://user:secret@mail.acme.test", "Acme <billing@acme.test>")
//!     .operators("ops@acme.test")
//!     .reply_to("help@acme.test")
//!     .time_zone("Europe/Berlin")
//!     .billing_page("https://acme.test/billing")
//!     .without(NoticeKind::Receipt) // Stripe sends those
//!     .test_mode(TestMode::Redirect("dev@acme.test".to_owned()))
//!     .build()?; // names every mistake at once
//! // Billing::builder(store).notifier(mail)
//! # drop(mail);
//! # Ok(()) }
//! ```
//!
//! # What can be relied on
//!
//! - A mail has the same `Message-ID` whenever it is sent, and a process does not send it twice. Where a
//!   crash leaves open whether the server took it, it is sent again under that name.
//! - Later mails about one invoice or dispute answer the first (`In-Reply-To`).
//! - A 4xx, a time-out, a connection that fails and a certificate that proves nothing are tried again;
//!   a 5xx is not, and one that says that there is no such mailbox suppresses the address
//!   ([`Suppression`]). What is refused for good shows among the outbox's dead messages.
//! - Mail about test mode has `[TEST]` in its subject, and reaches nobody who is not named
//!   ([`TestMode`]).
//! - Mail about money and access has no `List-Unsubscribe`; `credits_granted`, `credits_low` and `credits_expiring` have
//!   it, with one click, where [`unsubscribe`](EmailNotifierBuilder::unsubscribe) makes the link. Of these
//!   the core hands over three within any 24 hours (the catalog's `notifications_per_day`), to an
//!   account and all of its customers; one of which no mail is written does not count.
//! - Nothing prints an address, a name or a password: not `Debug`, an error or the log.
//!
//! A customer whose address Stripe never said, a guest for instance, gets no mail, nor later when it is known.
//!
//! # Words and looks
//!
//! Six languages ([`Language`]) are chosen by the customer's `preferred_locales`. A folder
//! ([`templates`](EmailNotifierBuilder::templates)) replaces what is embedded, file by file:
//!
//! | file | what it replaces |
//! |---|---|
//! | `en.toml`, `pt-BR.toml`, ... | single messages of a language: `[receipt]` `subject = "Paid: {product}"` |
//! | `<kind>.html`, `<kind>.txt` | the mail of a kind; usually `{% extends "layout.html" %}` and a block |
//! | `layout.html`, `layout.txt` | the looks of all mails |
//! | `_<name>.html`, `_<name>.txt` | parts to include |
//!
//! Templates are Jinja (`minijinja`), and know `mail` (`subject`, `preheader`, `greeting`, `paragraphs`,
//! `facts` of `name`, `label`, `value`, `button` of `label`, `url`), `values` (every fact by the names
//! that messages use, or `none`), `labels`, `kind`, `class`, `key`, `lang`, `dir`, `test`, `sender`,
//! `address` and `unsubscribe`. An unknown name is a mistake; all of them are found at start, since
//! [`build`](EmailNotifierBuilder::build) renders every kind in every language. Look at the result with
//! [`EmailNotifier::preview`], or `billing-ops mail preview --out DIR`.

mod builder;
mod clean;
mod content;
mod error;
mod language;
mod mail;
mod mailbox;
mod money;
mod notifier;
mod preview;
mod sample;
mod smtp;
mod suppression;
mod templates;
mod values;
mod words;

pub use builder::{EmailNotifierBuilder, TestMode};
pub use error::EmailError;
pub use language::Language;
pub use mail::Mail;
pub use mailbox::Mailbox;
pub use notifier::EmailNotifier;
pub use suppression::{InMemorySuppression, Suppression};
