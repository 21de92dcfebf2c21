use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono_tz::Tz;
use lettre::message::Mailbox as Address;
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::{Notification, Notified, Notifier, NotifyError, Secret};

use crate::builder::{EmailNotifierBuilder, TestMode};
use crate::clean;
use crate::content::{Class, Content, Pages};
use crate::language::Language;
use crate::mail::{Ids, Mail, message};
use crate::mailbox::Mailbox;
use crate::sample;
use crate::smtp::{Smtp, Verdict};
use crate::suppression::Suppression;
use crate::templates::{Frame, Templates};
use crate::values::values;

/// Makes the link by which somebody unsubscribes.
pub(crate) type Unsubscribe = Arc<dyn Fn(&Notification) -> Option<String> + Send + Sync>;

/// Mails that were handed over lately and are not sent again by this process.
const REMEMBERED: usize = 4_096;

/// What is counted of notices that nobody is told.
const LEFT_OUT: &str = "left_out";
const NO_RECIPIENT: &str = "no_recipient";

/// Sends notices as mail. Clones share connections.
///
/// A notice is handed over when the server has taken the mail, or when it is in the [`Mailbox`]. It is
/// left out ([`Notified::LeftOut`]) if its kind is, or if there is nobody to write to. Failures that pass
/// (a 4xx, no answer, no connection) are transient and tried again with the outbox's back-off; a refusal is permanent, and one that says that there is
/// no such mailbox suppresses the address.
#[derive(Clone)]
pub struct EmailNotifier {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) from: Address,
    /// What the sender is called.
    pub(crate) sender: String,
    pub(crate) ids: Ids,
    pub(crate) reply_to: Option<Address>,
    pub(crate) operators: Vec<Address>,
    pub(crate) without: HashSet<NoticeKind>,
    pub(crate) templates: Templates,
    pub(crate) language: Language,
    pub(crate) operator_language: Language,
    pub(crate) zone: Tz,
    pub(crate) address: Option<String>,
    pub(crate) pages: Pages,
    pub(crate) unsubscribe: Option<Unsubscribe>,
    /// None where nothing leaves.
    pub(crate) test_mode: Option<TestMode>,
    pub(crate) suppression: Arc<dyn Suppression>,
    pub(crate) carrier: Carrier,
    /// Names of mails that the server took: a settlement that fails afterwards hands the notice over
    /// again.
    pub(crate) sent: Mutex<VecDeque<String>>,
}

/// Where mail goes out.
#[derive(Debug)]
pub(crate) enum Carrier {
    Smtp(Box<Smtp>),
    Memory(Mailbox),
}

impl fmt::Debug for EmailNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailNotifier")
            .field("carrier", &self.inner.carrier)
            .field("operators", &self.inner.operators.len())
            .field("without", &self.inner.without)
            .field("language", &self.inner.language)
            .field("test_mode", &self.inner.test_mode)
            .finish_non_exhaustive()
    }
}

impl EmailNotifier {
    /// Every kind that a mail is written for.
    pub const KINDS: [NoticeKind; 22] = [
        NoticeKind::Receipt,
        NoticeKind::PaymentFailed,
        NoticeKind::PaymentReminder,
        NoticeKind::PaymentFinalNotice,
        NoticeKind::PaymentRecovered,
        NoticeKind::ActionRequired,
        NoticeKind::Refund,
        NoticeKind::DisputeOpened,
        NoticeKind::DisputeWon,
        NoticeKind::DisputeLost,
        NoticeKind::SubscriptionCanceled,
        NoticeKind::TrialEnding,
        NoticeKind::CardExpiring,
        NoticeKind::PlanChanged,
        NoticeKind::RenewalUpcoming,
        NoticeKind::CreditsGranted,
        NoticeKind::CreditsLow,
        NoticeKind::CreditsExpiring,
        NoticeKind::TicketOpened,
        NoticeKind::DisputeDeadline,
        NoticeKind::EventDead,
        NoticeKind::FraudWarning,
    ];

    /// Mail over SMTP. The URL is `smtps://user:password@host` (TLS from the start),
    /// `smtp://user:password@host?tls=required` (STARTTLS), or `smtp://host` for a server on this
    /// machine or in this network; a port may follow the host. The sender is
    /// `Acme <billing@acme.test>`. Nothing is checked before
    /// [`build`](EmailNotifierBuilder::build).
    pub fn smtp(url: impl Into<Secret>, from: impl Into<String>) -> EmailNotifierBuilder {
        EmailNotifierBuilder::smtp(url.into(), from.into())
    }

    /// Mail that is kept in memory, rendered as it would be sent: for development and tests.
    pub fn in_memory(mailbox: &Mailbox, from: impl Into<String>) -> EmailNotifierBuilder {
        EmailNotifierBuilder::memory(mailbox.clone(), from.into())
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Renders each kind in each language, once with everything known and once with nothing.
    pub(crate) fn check(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for (kind, language) in
            Self::KINDS.iter().flat_map(|kind| Language::ALL.map(|it| (*kind, it)))
        {
            for sample in [sample::full(kind, language), sample::bare(kind)] {
                if let Err(mistake) = self.compose(&sample, language) {
                    mistakes.push(format!("{} in {language}: {mistake}", kind.as_str()));
                }
            }
        }
        mistakes
    }

    /// Writes a notice's mail, to nobody yet.
    pub(crate) fn compose(&self, told: &Notification, language: Language) -> Result<Mail, String> {
        let inner = &*self.inner;
        let kind = told.notice.kind;
        let livemode = told.subject.tenant.livemode;
        let words = inner.templates.words(language).ok_or("there are no words of that language")?;
        let values = values(told, words, inner.zone, &inner.sender);
        let mut content = Content::of(told, words, &values, &inner.pages)
            .ok_or("there are no words for that kind of notice")?;
        if !livemode {
            content.subject.insert_str(0, "[TEST] ");
        }
        let unsubscribe =
            inner.unsubscribe.as_ref().filter(|_| Class::of(kind) == Class::Notification);
        let unsubscribe = unsubscribe.and_then(|link| clean::link(&link(told)?, livemode));
        let frame = Frame {
            kind,
            key: &told.key,
            livemode,
            address: inner.address.as_deref(),
            has_reply: inner.reply_to.is_some(),
            unsubscribe: unsubscribe.as_deref(),
            values: &values,
        };
        let [text, html] = inner.templates.render(&content, words, &frame)?;
        Ok(Mail {
            key: told.key.clone(),
            kind,
            language,
            account: told.account.clone(),
            to: Vec::new(),
            subject: content.subject,
            text,
            html,
            message_id: inner.ids.of(&told.subject.tenant, &told.key),
            in_reply_to: inner.ids.case_of(told),
            unsubscribe,
        })
    }

    /// The language that a notice is told in.
    fn language_for(&self, told: &Notification) -> Language {
        match Class::of(told.notice.kind) {
            Class::Internal => self.inner.operator_language,
            _ => {
                Language::negotiate(&told.details.recipient.locales).unwrap_or(self.inner.language)
            }
        }
    }

    /// Who is told; nobody where no address is known, or test mode keeps it from them.
    fn recipients(&self, told: &Notification) -> Result<Vec<Address>, NotifyError> {
        let recipients = match Class::of(told.notice.kind) {
            Class::Internal => self.inner.operators.clone(),
            _ => match &told.details.recipient.email {
                None => Vec::new(),
                Some(email) => {
                    let email = email.trim().parse().map_err(|_| {
                        NotifyError::permanent("the customer's address is no mail address")
                    })?;
                    let name = told.details.recipient.name.as_deref().and_then(clean::header);
                    vec![Address::new(name, email)]
                }
            },
        };
        if told.subject.tenant.livemode || recipients.is_empty() {
            return Ok(recipients);
        }
        Ok(match &self.inner.test_mode {
            None => recipients,
            Some(TestMode::Drop) => Vec::new(),
            Some(TestMode::Redirect(to)) => to.parse().into_iter().collect(),
            Some(TestMode::AllowList(allowed)) => recipients
                .into_iter()
                .filter(|address| is_allowed(address.email.as_ref(), allowed))
                .collect(),
        })
    }

    async fn hand_over(&self, mail: Mail, to: &[Address]) -> Result<&'static str, NotifyError> {
        let inner = &*self.inner;
        let smtp = match &inner.carrier {
            Carrier::Memory(mailbox) => {
                mailbox.put(mail);
                return Ok("sent");
            }
            Carrier::Smtp(smtp) => smtp,
        };
        let message = message(&mail, &inner.from, inner.reply_to.as_ref(), to, &inner.ids.domain)
            .map_err(|_| NotifyError::permanent("the mail cannot be put together"))?;
        let Err(error) = smtp.send(&message).await else {
            self.remember(mail.message_id);
            return Ok("sent");
        };
        match error.verdict {
            Verdict::Later => return Err(NotifyError::transient(error)),
            Verdict::Never => {}
            // The operators' address is in the configuration, and the test mode's.
            Verdict::NoMailbox if Class::of(mail.kind) == Class::Internal => {}
            Verdict::NoMailbox => {
                for address in to {
                    let code = error.code.unwrap_or_default();
                    inner.suppression.suppress(address.email.as_ref(), code).await?;
                }
            }
        }
        Err(NotifyError::permanent(error))
    }

    fn was_sent(&self, id: &str) -> bool {
        let sent = self.inner.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().any(|known| known == id)
    }

    fn remember(&self, id: String) {
        let mut sent = self.inner.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= REMEMBERED {
            sent.pop_front();
        }
        sent.push_back(id);
    }

    async fn tell(&self, told: &Notification) -> Result<&'static str, NotifyError> {
        if self.inner.without.contains(&told.notice.kind) {
            return Ok(LEFT_OUT);
        }
        let to = self.recipients(told)?;
        if to.is_empty() {
            return Ok(NO_RECIPIENT);
        }
        if Class::of(told.notice.kind) != Class::Internal {
            for address in &to {
                if self.inner.suppression.is_suppressed(address.email.as_ref()).await? {
                    return Err(NotifyError::permanent("the customer's address is suppressed"));
                }
            }
        }
        let mut mail = self.compose(told, self.language_for(told)).map_err(|mistake| {
            NotifyError::permanent(format!("the mail cannot be written: {mistake}"))
        })?;
        if self.was_sent(&mail.message_id) {
            return Ok("known");
        }
        mail.to = to.iter().map(|address| address.email.to_string()).collect();
        self.hand_over(mail, &to).await
    }
}

fn is_allowed(address: &str, allowed: &[String]) -> bool {
    let address = address.to_lowercase();
    allowed.iter().map(|allowed| allowed.trim().to_lowercase()).any(|allowed| {
        match allowed.starts_with('@') {
            true => address.ends_with(&allowed),
            false => address == allowed,
        }
    })
}

#[async_trait]
impl Notifier for EmailNotifier {
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
        let told = self.tell(notification).await;
        let result = match &told {
            Ok(result) => result,
            Err(error) if error.is_retryable() => "retry",
            Err(_) => "refused",
        };
        let kind = notification.notice.kind.as_str();
        metrics::counter!("stripe_billing_mails_total", "kind" => kind, "result" => result)
            .increment(1);
        if told.is_ok() {
            tracing::info!(key = notification.key, result, "billing mail");
        }
        told.map(|result| match result {
            LEFT_OUT | NO_RECIPIENT => Notified::LeftOut,
            _ => Notified::Told,
        })
    }
}
