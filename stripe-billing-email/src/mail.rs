use std::fmt;
use std::fmt::Write as _;

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use sha2::{Digest, Sha256};
use stripe_billing_core::notice::{Notice, NoticeKind};
use stripe_billing_core::{Notification, Tenant};

use crate::content::Class;
use crate::language::Language;

/// A mail as it is handed over. `Debug` shows neither addresses nor what it says.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// The notice's key.
    pub key: String,
    /// What it says.
    pub kind: NoticeKind,
    /// The language it is written in.
    pub language: Language,
    /// The app's account that it is about.
    pub account: Option<String>,
    /// The addresses it goes to.
    pub to: Vec<String>,
    /// The subject line.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The same for the same notice, whenever and wherever it is sent: `<...@domain>`.
    pub message_id: String,
    /// The mail that began the case that this one is part of.
    pub in_reply_to: Option<String>,
    /// Where the reader unsubscribes with one click; of notifications only.
    pub unsubscribe: Option<String>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("key", &self.key)
            .field("language", &self.language)
            .field("recipients", &self.to.len())
            .field("message_id", &self.message_id)
            .finish_non_exhaustive()
    }
}

/// The names under which threads of mail are kept.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    /// The domain of the sender.
    pub(crate) domain: String,
}

impl Ids {
    /// Stable: a mail that is sent twice is one mail for whoever reads it.
    pub(crate) fn of(&self, tenant: &Tenant, key: &str) -> String {
        let hash = Sha256::digest(format!("{tenant}\n{key}"));
        let mut id = String::from("<");
        for byte in hash.iter().take(16) {
            // Writing to a string cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        id + "@" + &self.domain + ">"
    }

    /// The mail that began the case: the first failed attempt of an invoice, the opening of a
    /// dispute or its ticket. It may never have been sent; readers then thread by the common name.
    pub(crate) fn case_of(&self, notification: &Notification) -> Option<String> {
        let Notice { kind, object, detail } = &notification.notice;
        let root = match kind {
            NoticeKind::PaymentFailed
            | NoticeKind::PaymentReminder
            | NoticeKind::PaymentFinalNotice
            | NoticeKind::PaymentRecovered
            | NoticeKind::ActionRequired => Notice {
                kind: NoticeKind::PaymentFailed,
                object: object.clone(),
                detail: "1".to_owned(),
            },
            NoticeKind::DisputeOpened | NoticeKind::DisputeWon | NoticeKind::DisputeLost => {
                Notice {
                    kind: NoticeKind::DisputeOpened,
                    object: object.clone(),
                    detail: detail.clone(),
                }
            }
            NoticeKind::DisputeDeadline => Notice {
                kind: NoticeKind::TicketOpened,
                object: None,
                detail: format!("dispute:{}", notification.notice.dispute().unwrap_or(detail)),
            },
            NoticeKind::FraudWarning => Notice {
                kind: NoticeKind::TicketOpened,
                object: None,
                detail: format!("fraud_warning:{detail}"),
            },
            _ => return None,
        };
        let key = root.key();
        (key != notification.key).then(|| self.of(&notification.subject.tenant, &key))
    }
}

/// The mail in the form in which servers take it.
pub(crate) fn message(
    mail: &Mail,
    from: &Mailbox,
    reply_to: Option<&Mailbox>,
    to: &[Mailbox],
    domain: &str,
) -> Result<Message, lettre::error::Error> {
    let mut builder = Message::builder()
        .from(from.clone())
        .message_id(Some(mail.message_id.clone()))
        .subject(mail.subject.clone())
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"));
    if let Some(reply_to) = reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    if let Some(root) = &mail.in_reply_to {
        builder = builder.in_reply_to(root.clone()).references(root.clone());
    }
    if Class::of(mail.kind) == Class::Notification {
        builder =
            builder.raw_header(header("List-Id", &format!("<{}.{domain}>", mail.kind.as_str())));
        if let Some(url) = &mail.unsubscribe {
            builder = builder
                .raw_header(header("List-Unsubscribe", &format!("<{url}>")))
                .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
        }
    }
    builder.multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
