//! Receivers over TLS: one of an authority that is trusted, and those that are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use stripe_billing_core::EventHandler;
use stripe_billing_hooks::{Endpoint, Hooks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::receiver::{SECRET, builder, clock, fact};

/// An authority of one's own: its certificate, and what it signs with.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A receiver with a certificate for a name.
    async fn receiver(&self, name: &str) -> Receiver {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a pair");
        Receiver::start(TlsAcceptor::from(Arc::new(config))).await
    }
}

/// A server that answers 204 to whatever it gets over TLS.
struct Receiver {
    port: u16,
    /// Requests that came through.
    got: Arc<AtomicUsize>,
}

impl Receiver {
    async fn start(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let got = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, got) = (acceptor.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let mut request = Vec::new();
                    // The signed message ends with the fact's JSON.
                    while !request.ends_with(b"}") {
                        if stream.read_buf(&mut request).await.ok()? == 0 {
                            return None;
                        }
                    }
                    got.fetch_add(1, Ordering::SeqCst);
                    let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                    stream.write_all(answer).await.ok()?;
                    stream.shutdown().await.ok()
                });
            }
        });
        Self { port, got }
    }

    fn hooks(&self, trusted: Option<&Authority>) -> Hooks {
        let url = format!("https://localhost:{}/hooks", self.port);
        let hooks = builder(&clock()).timeout(std::time::Duration::from_secs(5));
        let hooks = hooks.endpoint(Endpoint::new(url, SECRET).named("crm"));
        let hooks = match trusted {
            Some(authority) => hooks.trust_certificates(authority.pem.as_str()),
            None => hooks,
        };
        hooks.build().expect("good")
    }

    fn got(&self) -> usize {
        self.got.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_receiver_of_a_trusted_authority_gets_its_facts() {
    let authority = Authority::new();
    let receiver = authority.receiver("localhost").await;
    receiver.hooks(Some(&authority)).handle(&fact("sub_1")).await.expect("taken");
    assert_eq!(receiver.got(), 1);
}

#[tokio::test]
async fn nothing_is_said_to_whoever_cannot_prove_who_they_are() {
    let (authority, other) = (Authority::new(), Authority::new());
    let known = authority.receiver("localhost").await;
    let elsewhere = authority.receiver("elsewhere.test").await;
    for (receiver, trusted) in
        [(&known, None), (&known, Some(&other)), (&elsewhere, Some(&authority))]
    {
        let error = receiver.hooks(trusted).handle(&fact("sub_1")).await.expect_err("refused");
        assert!(error.is_retryable(), "a certificate may be renewed: {error}");
        assert!(error.to_string().contains("crm"), "{error}");
        assert_eq!(receiver.got(), 0);
    }
}

#[test]
fn a_certificate_that_cannot_be_read_is_a_mistake() {
    let endpoint = || Endpoint::new("https://acme.test/hooks", SECRET);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "no certificate", broken] {
        let hooks = Hooks::builder().endpoint(endpoint()).trust_certificates(pem);
        let error = hooks.build().expect_err("a mistake");
        assert_eq!(error.mistakes().len(), 1, "{error}");
        assert!(error.mistakes()[0].starts_with("a certificate"), "{error}");
    }
}
