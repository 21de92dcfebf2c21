use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::future::join_all;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use stripe_billing_core::{Clock, EventHandler, Fact, NotifyError, SystemClock};

use crate::answer::Answer;
use crate::endpoint::Endpoint;
use crate::error::{HooksError, NotTaken};
use crate::message::Message;
use crate::taken::{Ended, Taken};
use crate::target::Target;

/// Posts facts to endpoints, as [`EventHandler`] of a [`Billing`](stripe_billing_core::Billing). The
/// outbox keeps what was not taken, tries again, and sets aside what was refused.
#[derive(Clone, Debug)]
pub struct Hooks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    targets: Vec<Target>,
    taken: Taken,
    clock: Arc<dyn Clock>,
}

/// Configures [`Hooks`].
#[derive(Clone)]
pub struct HooksBuilder {
    endpoints: Vec<Endpoint>,
    timeout: Duration,
    connect_timeout: Duration,
    clock: Arc<dyn Clock>,
    certificates: Vec<Vec<u8>>,
}

impl Hooks {
    /// Without endpoints, with ten seconds for an answer.
    pub fn builder() -> HooksBuilder {
        HooksBuilder {
            endpoints: Vec::new(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
            certificates: Vec::new(),
        }
    }
}

impl HooksBuilder {
    /// One more endpoint that gets every fact.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// How long an endpoint may take to answer. Keep it well below the workers' lease: what is
    /// handed over when that ran out is handed over again.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long connecting may take; part of the whole.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Another clock than the machine's. Receivers compare the time-stamp with theirs.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Trusts the certificates in a PEM file besides the public ones: for receivers in a network of
    /// one's own.
    pub fn trust_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.push(pem.into());
        self
    }

    /// # Errors
    /// Every mistake at once: a certificate that cannot be read, a URL that is none or not https, a secret that is not of the scheme,
    /// two endpoints of one name, no endpoint, no time.
    pub fn build(self) -> Result<Hooks, HooksError> {
        let mut mistakes = Vec::new();
        let mut targets: Vec<Target> = Vec::new();
        if self.endpoints.is_empty() {
            mistakes.push("there is no endpoint".to_owned());
        }
        if self.timeout.is_zero() || self.connect_timeout.is_zero() {
            mistakes.push("a time-out is zero".to_owned());
        }
        let roots = trusted(&self.certificates).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            RootCertStore::empty()
        });
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let number = index + 1;
            let checked = match endpoint.check(number) {
                Ok(checked) => checked,
                Err(found) => {
                    mistakes.extend(found);
                    continue;
                }
            };
            if targets.iter().any(|target| target.name() == checked.name) {
                let name = &checked.name;
                mistakes.push(format!("endpoint {number}: another one is called {name}: name it"));
            }
            match Target::new(checked, self.timeout, self.connect_timeout, roots.clone()) {
                Ok(target) => targets.push(target),
                Err(error) => mistakes.push(format!("endpoint {number}: {error}")),
            }
        }
        if !mistakes.is_empty() {
            return Err(HooksError::new(mistakes));
        }
        let inner = Inner { targets, taken: Taken::default(), clock: self.clock };
        Ok(Hooks { inner: Arc::new(inner) })
    }
}

/// The public roots, and what is trusted besides.
fn trusted(certificates: &[Vec<u8>]) -> Result<RootCertStore, String> {
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    for pem in certificates {
        let public = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| format!("a certificate: {error}"))?;
            roots.add(certificate).map_err(|error| format!("a certificate: {error}"))?;
        }
        if roots.len() == public {
            return Err("a certificate: there is none in the PEM".to_owned());
        }
    }
    Ok(roots)
}

impl fmt::Debug for HooksBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HooksBuilder").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventHandler for Hooks {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        let message = Message::of(fact).map_err(NotifyError::permanent)?;
        let Inner { targets, taken, clock } = &*self.inner;
        let now = clock.now();
        let mut ended = taken.recall(&message.id);
        ended.resize(targets.len(), None);
        let waiting = targets.iter().zip(&ended).map(|(target, ended)| async {
            match ended {
                Some(_) => None,
                None => Some(target.post(&message, now).await),
            }
        });
        let answers = join_all(waiting).await;
        let mut later = Later::default();
        for ((target, ended), answer) in targets.iter().zip(&mut ended).zip(answers) {
            match answer {
                None => {}
                Some(Answer::Taken) => *ended = Some(Ok(())),
                Some(Answer::Refused(why) | Answer::Gone(why)) => {
                    *ended = Some(Err(format!("{} {why}", target.name())));
                }
                Some(Answer::Later(why, wait)) => later.add(target.name(), &why, wait),
            }
        }
        if let Some(error) = later.into_error() {
            taken.remember(&message.id, ended);
            return Err(error);
        }
        taken.forget(&message.id);
        match refusals(ended) {
            None => Ok(()),
            Some(refusals) => Err(NotifyError::permanent(NotTaken(refusals))),
        }
    }
}

fn refusals(ended: Vec<Option<Ended>>) -> Option<String> {
    let refusals: Vec<String> = ended.into_iter().flatten().filter_map(Result::err).collect();
    (!refusals.is_empty()).then(|| refusals.join("; "))
}

/// The endpoints that have not taken it yet.
#[derive(Default)]
struct Later {
    why: Vec<String>,
    /// How long to wait for the one that asked for the least: the others can be asked by then.
    wait: Option<TimeDelta>,
}

impl Later {
    fn add(&mut self, name: &str, why: &str, wait: Option<TimeDelta>) {
        let wait = wait.unwrap_or_default();
        self.wait = Some(self.wait.map_or(wait, |least| least.min(wait)));
        self.why.push(format!("{name} {why}"));
    }

    fn into_error(self) -> Option<NotifyError> {
        let wait = self.wait?;
        let error = NotifyError::transient(NotTaken(self.why.join("; ")));
        Some(if wait > TimeDelta::zero() { error.with_retry_after(wait) } else { error })
    }
}
