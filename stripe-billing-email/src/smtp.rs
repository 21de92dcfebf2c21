//! The way to the server, and what its answers mean.

use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{self, AsyncSmtpTransportBuilder, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use stripe_billing_core::Secret;
use url::Url;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// How much longer than one answer a whole mail may take.
const WHOLE: u32 = 3;

/// A server, with connections that are kept.
pub(crate) struct Smtp {
    builder: AsyncSmtpTransportBuilder,
    timeout: Duration,
    /// Made at the first mail: it needs the runtime.
    transport: OnceLock<Transport>,
    /// Whether the server has taken a mail, so that it takes the sender.
    accepted: AtomicBool,
}

/// What is to be done about a mail that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try again later.
    Later,
    /// Never try this mail again.
    Never,
    /// Never write to this address again.
    NoMailbox,
}

/// Why the server did not take a mail. Addresses are taken out of what it said.
#[derive(Debug)]
pub(crate) struct SendError {
    pub(crate) verdict: Verdict,
    /// The server's code; none if it did not answer.
    pub(crate) code: Option<u16>,
    said: String,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "the mail server answered {code}: {}", self.said),
            None => write!(f, "the mail server could not be asked: {}", self.said),
        }
    }
}

impl std::error::Error for SendError {}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Smtp {
    /// Reads `smtp://`, `smtps://`, with `?tls=required` or `?tls=opportunistic`.
    pub(crate) fn new(
        url: &Secret,
        timeout: Duration,
        connections: u32,
        certificates: &[Vec<u8>],
    ) -> Result<Self, Vec<String>> {
        let parsed = Url::parse(url.expose())
            .map_err(|error| vec![format!("the SMTP URL is no URL: {error}")])?;
        let mut mistakes = mistakes(&parsed);
        let mut trusted = Vec::new();
        for pem in certificates {
            match Certificate::from_pem(pem) {
                Ok(certificate) => trusted.push(certificate),
                Err(_) => mistakes.push("a certificate to trust is not in PEM form".to_owned()),
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        // What it says of a URL may hold its password.
        let builder = Transport::from_url(parsed.as_str());
        let mut builder = builder.map_err(|_| vec!["the SMTP URL is not understood".to_owned()])?;
        if let (false, Some(host)) = (trusted.is_empty(), parsed.host_str()) {
            let parameters = trusted
                .into_iter()
                .fold(TlsParameters::builder(host.to_owned()), |parameters, certificate| {
                    parameters.add_root_certificate(certificate)
                });
            let parameters = parameters
                .build()
                .map_err(|_| vec!["the certificates to trust cannot be used".to_owned()])?;
            builder = match (parsed.scheme(), tls(&parsed).as_deref()) {
                ("smtps", _) => builder.tls(Tls::Wrapper(parameters)),
                (_, Some("required")) => builder.tls(Tls::Required(parameters)),
                (_, Some("opportunistic")) => builder.tls(Tls::Opportunistic(parameters)),
                _ => builder,
            };
        }
        let pool = PoolConfig::new().max_size(connections);
        let builder = builder.timeout(Some(timeout)).pool_config(pool);
        let accepted = AtomicBool::new(false);
        Ok(Self { builder, timeout, transport: OnceLock::new(), accepted })
    }

    /// Hands a mail over.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let transport = self.transport.get_or_init(|| self.builder.clone().build());
        let raw = message.formatted();
        let sending = transport.send_raw(message.envelope(), &raw);
        match tokio::time::timeout(self.timeout * WHOLE, sending).await {
            Ok(Ok(_)) => {
                self.accepted.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(error)) => Err(SendError::of(&error, self.accepted.load(Ordering::Relaxed))),
            Err(_) => Err(SendError {
                verdict: Verdict::Later,
                code: None,
                said: "it took too long".to_owned(),
            }),
        }
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        // Closing connections needs the runtime; the operating system closes what is left.
        if let Some(transport) = self.transport.take()
            && tokio::runtime::Handle::try_current().is_err()
        {
            std::mem::forget(transport);
        }
    }
}

fn tls(url: &Url) -> Option<String> {
    url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned())
}

/// What is wrong with a URL; nothing of it is shown.
fn mistakes(url: &Url) -> Vec<String> {
    let mut mistakes = Vec::new();
    if !matches!(url.scheme(), "smtp" | "smtps") {
        mistakes.push("the SMTP URL has to begin with smtp:// or smtps://".to_owned());
    }
    let tls = tls(url);
    if tls.as_deref().is_some_and(|tls| !matches!(tls, "required" | "opportunistic")) {
        mistakes.push("`tls` in the SMTP URL is neither required nor opportunistic".to_owned());
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        mistakes.push("the SMTP URL names no server".to_owned());
        return mistakes;
    };
    if url.username().is_empty() != url.password().is_none() {
        mistakes.push("the SMTP URL has a user without a password, or the other way".to_owned());
    }
    let here = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let plain = url.scheme() == "smtp" && tls.as_deref() != Some("required");
    if plain && !here && url.password().is_some() {
        mistakes.push(
            "the SMTP password would be sent unencrypted: use smtps://, or add ?tls=required"
                .to_owned(),
        );
    }
    mistakes
}

impl SendError {
    fn of(error: &smtp::Error, accepted: bool) -> Self {
        let code = error.status().and_then(|code| code.to_string().parse().ok());
        let said = match (code, std::error::Error::source(error)) {
            (Some(_), Some(source)) => source.to_string(),
            _ => error.to_string(),
        };
        let verdict = match code {
            Some(code) => verdict(code, enhanced(&said), accepted),
            // A mail that the client cannot put into words, and a server that cannot take it.
            None if error.is_client() => Verdict::Never,
            None => Verdict::Later,
        };
        Self { verdict, code, said: without_addresses(&said) }
    }
}

/// What a code means (RFC 5321), and an enhanced one (RFC 3463) beside it. A refusal that says no more
/// may be one of the sender; it is one of the mailbox only where the sender was taken before.
fn verdict(code: u16, enhanced: Option<[u16; 2]>, accepted: bool) -> Verdict {
    match (code, enhanced) {
        (..500, _) => Verdict::Later,
        // Who may send is a matter of the account, and somebody mends it.
        (530 | 534 | 535 | 538, _) => Verdict::Later,
        // A quota of the sender; trouble of the server.
        (_, Some([4, 5] | [3, _])) => Verdict::Later,
        // The sender's address; what the policy forbids.
        (_, Some([1, 7 | 8] | [7, _])) => Verdict::Never,
        (_, Some([1, 1..=6 | 10] | [2, 1])) => Verdict::NoMailbox,
        (550 | 551 | 553, None | Some([0, _])) if accepted => Verdict::NoMailbox,
        _ => Verdict::Never,
    }
}

/// The subject and detail of an enhanced code: `5.1.1`.
fn enhanced(said: &str) -> Option<[u16; 2]> {
    said.split_whitespace().find_map(|word| {
        let mut parts = word.trim_matches(|char: char| !char.is_ascii_digit()).split('.');
        let class = parts.next()?;
        let (subject, detail) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (matches!(class, "4" | "5") && parts.next().is_none()).then_some([subject, detail])
    })
}

/// What a server said, without addresses, in one line.
fn without_addresses(said: &str) -> String {
    let words =
        said.split_whitespace().map(|word| if word.contains('@') { "[address]" } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().filter(|char| !char.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_verdict() {
        use Verdict::{Later, Never, NoMailbox};
        let table = [
            (421, "4.3.0 going down", Later),
            (450, "mailbox busy", Later),
            (451, "4.7.1 greylisted", Later),
            (452, "4.2.2 full", Later),
            (530, "5.7.0 must issue STARTTLS first", Later),
            (535, "5.7.8 bad credentials", Later),
            (550, "5.4.5 daily quota exceeded", Later),
            (550, "5.1.1 no such user", NoMailbox),
            (550, "5.2.1 disabled", NoMailbox),
            (550, "no such user", NoMailbox),
            (551, "user not local", NoMailbox),
            (553, "5.1.3 bad address", NoMailbox),
            (501, "5.1.3 bad address", NoMailbox),
            (550, "5.7.1 looks like spam", Never),
            (550, "5.1.8 bad sender", Never),
            (552, "5.2.2 mailbox full", Never),
            (552, "5.3.4 too big", Later),
            (554, "transaction failed", Never),
            (500, "what?", Never),
        ];
        for (code, said, expected) in table {
            assert_eq!(verdict(code, enhanced(said), true), expected, "{code} {said}");
        }
        // Nobody knows yet whether it was the sender that it refused.
        assert_eq!(verdict(550, enhanced("no"), false), Never);
        assert_eq!(verdict(550, enhanced("5.1.1 no"), false), NoMailbox);
    }

    #[test]
    fn addresses_are_taken_out_of_what_a_server_says() {
        let said = "5.1.1 <ada@example.test>: Recipient\r\naddress ada@example.test rejected";
        assert_eq!(without_addresses(said), "5.1.1 [address] Recipient address [address] rejected");
    }

    #[test]
    fn each_mistake_in_a_url_is_named_and_nothing_of_it_shown() {
        let wrong = |url: &str| {
            let built = Smtp::new(&Secret::from(url), Duration::from_secs(1), 1, &[]);
            built.err().unwrap_or_default().join("\n")
        };
        for good in [
            "smtp://127.0.0.1:2525",
            "smtp://user:pw@localhost",
            "smtp://user:p%40w@mail.test?tls=required",
            "smtps://user:pw@mail.test:465",
        ] {
            assert_eq!(wrong(good), "", "{good}");
        }
        assert!(wrong("smtp://user:hunter2@mail.test").contains("unencrypted"));
        assert!(wrong("smtp://user:hunter2@mail.test?tls=opportunistic").contains("unencrypted"));
        assert!(wrong("smtp://mail.test?tls=yes").contains("neither"));
        assert!(wrong("http://mail.test").contains("begin with"));
        assert!(wrong("smtp://user@mail.test").contains("without a password"));
        assert!(wrong("hunter2").contains("no URL"));
        for url in ["smtp://user:hunter2@mail.test", "http://hunter2:x@mail.test?tls=hunter2"] {
            assert!(!wrong(url).contains("hunter2"), "{}", wrong(url));
        }
    }
}
