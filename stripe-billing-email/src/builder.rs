use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use lettre::message::Mailbox as Address;
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::{Notification, Secret};

use crate::clean;
use crate::content::Pages;
use crate::error::EmailError;
use crate::language::Language;
use crate::mail::Ids;
use crate::mailbox::Mailbox;
use crate::notifier::{Carrier, EmailNotifier, Inner, Unsubscribe};
use crate::smtp::Smtp;
use crate::suppression::{InMemorySuppression, Suppression};
use crate::templates::Templates;

/// What happens to mail about test mode. It never reaches an address that is not named here.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TestMode {
    /// It is not sent.
    #[default]
    Drop,
    /// All of it goes to this address.
    Redirect(String),
    /// It goes to those of its recipients that are named here, by address or as `@domain`.
    AllowList(Vec<String>),
}

impl fmt::Debug for TestMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "Drop",
            Self::Redirect(_) => "Redirect",
            Self::AllowList(_) => "AllowList",
        })
    }
}

/// Where mail goes out.
enum Way {
    Smtp(Secret),
    Memory(Mailbox),
}

/// Puts an [`EmailNotifier`] together.
#[must_use]
pub struct EmailNotifierBuilder {
    way: Way,
    from: String,
    reply_to: Option<String>,
    operators: Vec<String>,
    without: HashSet<NoticeKind>,
    templates: Option<PathBuf>,
    language: Language,
    operator_language: Option<Language>,
    zone: String,
    address: Option<String>,
    billing_page: Option<String>,
    operator_page: Option<String>,
    unsubscribe: Option<Unsubscribe>,
    test_mode: Option<TestMode>,
    suppression: Arc<dyn Suppression>,
    timeout: Duration,
    connections: u32,
    certificates: Vec<Vec<u8>>,
}

impl fmt::Debug for EmailNotifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailNotifierBuilder")
            .field("language", &self.language)
            .field("zone", &self.zone)
            .field("test_mode", &self.test_mode)
            .finish_non_exhaustive()
    }
}

impl EmailNotifierBuilder {
    fn new(way: Way, from: String) -> Self {
        Self {
            way,
            from,
            reply_to: None,
            operators: Vec::new(),
            without: HashSet::new(),
            templates: None,
            language: Language::default(),
            operator_language: None,
            zone: "UTC".to_owned(),
            address: None,
            billing_page: None,
            operator_page: None,
            unsubscribe: None,
            test_mode: None,
            suppression: Arc::new(InMemorySuppression::default()),
            timeout: Duration::from_secs(20),
            connections: 4,
            certificates: Vec::new(),
        }
    }

    pub(crate) fn smtp(url: Secret, from: String) -> Self {
        Self::new(Way::Smtp(url), from)
    }

    pub(crate) fn memory(mailbox: Mailbox, from: String) -> Self {
        Self::new(Way::Memory(mailbox), from)
    }

    /// An address that is told what is for operators; may be called for several. Without one, that
    /// is logged only.
    pub fn operators(mut self, address: impl Into<String>) -> Self {
        self.operators.push(address.into());
        self
    }

    /// Where answers go; to the sender unless set, and then the mails do not invite any.
    pub fn reply_to(mut self, address: impl Into<String>) -> Self {
        self.reply_to = Some(address.into());
        self
    }

    /// Leaves a kind out, because Stripe sends its own mail about it, or nobody should be told.
    pub fn without(mut self, kind: NoticeKind) -> Self {
        self.without.insert(kind);
        self
    }

    /// A folder of files that replace what is embedded, one by one: `<kind>.html`, `<kind>.txt`,
    /// `layout.html`, `layout.txt`, and `<language>.toml` with the messages that should read
    /// otherwise. See the crate's docs.
    pub fn templates(mut self, folder: impl Into<PathBuf>) -> Self {
        self.templates = Some(folder.into());
        self
    }

    /// The language of customers who prefer none that there is; English unless set.
    pub fn language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// The language of operators; that of [`language`](Self::language) unless set.
    pub fn operator_language(mut self, language: Language) -> Self {
        self.operator_language = Some(language);
        self
    }

    /// The zone of dates and times (`Europe/Berlin`), which each mail names; UTC unless set.
    pub fn time_zone(mut self, name: impl Into<String>) -> Self {
        self.zone = name.into();
        self
    }

    /// The sender's postal address, for the foot of each mail.
    pub fn postal_address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The app's page on which customers see to their billing: where buttons lead that have no page
    /// of Stripe's. It should open a portal session when it is visited; those do not last.
    pub fn billing_page(mut self, url: impl Into<String>) -> Self {
        self.billing_page = Some(url.into());
        self
    }

    /// The operators' page.
    pub fn operator_page(mut self, url: impl Into<String>) -> Self {
        self.operator_page = Some(url.into());
        self
    }

    /// Makes the link by which a customer unsubscribes from notifications (`credits_granted`,
    /// `credits_low`, `credits_expiring`) with one click: a POST to it has to work without a login (RFC 8058). Mail
    /// about money and access cannot be unsubscribed from.
    pub fn unsubscribe(
        mut self,
        link: impl Fn(&Notification) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.unsubscribe = Some(Arc::new(link));
        self
    }

    /// What happens to mail about test mode; it is not sent unless this says so. What is kept in
    /// memory reaches nobody, and is kept unless this says otherwise.
    pub fn test_mode(mut self, mode: TestMode) -> Self {
        self.test_mode = Some(mode);
        self
    }

    /// Where addresses without a mailbox are remembered; in memory unless set.
    pub fn suppression(mut self, suppression: impl Suppression) -> Self {
        self.suppression = Arc::new(suppression);
        self
    }

    /// How long the server may take to answer; 20 seconds unless set. A whole mail may take three
    /// times as long, which has to be well under the lease of
    /// [`BillingBuilder::lease`](stripe_billing_core::BillingBuilder::lease).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many connections are open at most; 4 unless set.
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Trusts the certificates in a PEM file besides the public ones: for a server of one's own.
    pub fn trust_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.push(pem.into());
        self
    }

    /// Checks everything: URL, addresses, zone, links, and each template with samples of its kind.
    ///
    /// # Errors
    /// An [`EmailError`] that names every mistake.
    pub fn build(self) -> Result<EmailNotifier, EmailError> {
        let mut mistakes = Vec::new();
        let (from, reply_to, operators) = self.addresses(&mut mistakes);
        let zone = self.settings(&mut mistakes);
        let leaves = matches!(self.way, Way::Smtp(_));
        let test_mode = self.test_mode.or_else(|| leaves.then(TestMode::default));
        let carrier = match self.way {
            Way::Memory(mailbox) => Some(Carrier::Memory(mailbox)),
            Way::Smtp(url) => {
                let smtp = Smtp::new(&url, self.timeout, self.connections, &self.certificates);
                smtp.map_err(|wrong| mistakes.extend(wrong)).ok().map(Box::new).map(Carrier::Smtp)
            }
        };
        let templates = Templates::load(self.templates.as_deref());
        let templates = templates.map_err(|wrong| mistakes.extend(wrong)).ok();
        let (Some(from), Some(zone), Some(carrier), Some(templates), true) =
            (from, zone, carrier, templates, mistakes.is_empty())
        else {
            return Err(EmailError::new(mistakes));
        };
        let sender = from.name.as_deref().and_then(clean::header);
        let notifier = EmailNotifier::new(Inner {
            sender: sender.unwrap_or_else(|| from.email.domain().to_owned()),
            ids: Ids { domain: from.email.domain().to_owned() },
            from,
            reply_to,
            operators,
            without: self.without,
            templates,
            language: self.language,
            operator_language: self.operator_language.unwrap_or(self.language),
            zone,
            address: self.address.as_deref().and_then(clean::line),
            pages: Pages { billing: self.billing_page, operator: self.operator_page },
            unsubscribe: self.unsubscribe,
            test_mode,
            suppression: self.suppression,
            carrier,
            sent: std::sync::Mutex::default(),
        });
        let mistakes = notifier.check();
        if mistakes.is_empty() { Ok(notifier) } else { Err(EmailError::new(mistakes)) }
    }

    /// The sender, where answers go, and the operators; what is none may be somebody's all the same,
    /// and is not shown.
    fn addresses(
        &self,
        mistakes: &mut Vec<String>,
    ) -> (Option<Address>, Option<Address>, Vec<Address>) {
        let mut address = |what: &str, text: &String| {
            let parsed = text.parse::<Address>().ok();
            if parsed.is_none() {
                mistakes.push(format!("{what} is no mail address"));
            }
            parsed
        };
        if let Some(TestMode::Redirect(to)) = &self.test_mode {
            address("the address that test mode is redirected to", to);
        }
        (
            address("the sender", &self.from),
            self.reply_to.as_ref().and_then(|it| address("the address for answers", it)),
            self.operators.iter().filter_map(|it| address("an address of operators", it)).collect(),
        )
    }

    /// The zone; and whether the pages and numbers can be used.
    fn settings(&self, mistakes: &mut Vec<String>) -> Option<Tz> {
        let zone = self.zone.parse::<Tz>().ok();
        if zone.is_none() {
            let shown = clean::line(&self.zone).unwrap_or_default();
            mistakes.push(format!("`{shown}` is no time zone: name one such as Europe/Berlin"));
        }
        for (what, page) in [("billing", &self.billing_page), ("operators'", &self.operator_page)] {
            if page.as_ref().is_some_and(|page| !clean::is_page(page)) {
                mistakes.push(format!("the {what} page is no https:// link"));
            }
        }
        if self.timeout.is_zero() || self.connections == 0 {
            mistakes.push("the time-out and the number of connections cannot be 0".to_owned());
        }
        zone
    }
}
