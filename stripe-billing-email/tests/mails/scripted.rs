//! An SMTP server that does as it is told: one line of a script per connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What happens at a point of the conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// Everything is taken.
    Nothing,
    /// This is answered to a command (`MAIL`, `RCPT`, `DATA`, or `.` for the end of the mail).
    Answer(&'static str, &'static str),
    /// No answer ever comes to a command.
    Silence(&'static str),
    /// The line is dropped at a command.
    Drop(&'static str),
}

#[derive(Debug, Default)]
struct Seen {
    mails: Vec<String>,
    connections: usize,
}

/// The server; it ends with the test's runtime.
#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    /// Of a server that speaks TLS.
    pub(crate) certificate: Option<String>,
}

impl Scripted {
    /// Of each mail, one line; when they are used up, everything is taken.
    pub(crate) async fn start(script: &[At]) -> Self {
        Self::serve(script, None).await
    }

    /// The same over TLS, with a certificate that nobody knows.
    pub(crate) async fn start_tls() -> Self {
        Self::serve(
            &[],
            Some(rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()),
        )
        .await
    }

    async fn serve(script: &[At], tls: Option<rcgen::CertifiedKey<rcgen::KeyPair>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let script = Arc::new(Mutex::new(script.iter().copied().collect::<VecDeque<At>>()));
        let certificate = tls.as_ref().map(|tls| tls.cert.pem());
        let acceptor = tls.map(|tls| {
            let key =
                PrivateKeyDer::from(PrivatePkcs8KeyDer::from(tls.signing_key.serialize_der()));
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![tls.cert.der().clone()], key)
                .unwrap();
            TlsAcceptor::from(Arc::new(config))
        });
        let server = Self { port, seen: Arc::clone(&seen), certificate };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.lock().unwrap().connections += 1;
                let (seen, script, acceptor) =
                    (Arc::clone(&seen), Arc::clone(&script), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => talk(stream, &script, &seen).await,
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => talk(stream, &script, &seen).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        match self.certificate {
            None => format!("smtp://127.0.0.1:{}", self.port),
            Some(_) => format!("smtps://localhost:{}", self.port),
        }
    }

    /// The mails that were taken whole, as they came.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.seen.lock().unwrap().mails.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

/// One connection, until it ends.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &Mutex<VecDeque<At>>,
    seen: &Mutex<Seen>,
) -> Option<()> {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 scripted\r\n").await.ok()?;
    let mut plan = At::Nothing;
    let mut mail: Option<String> = None;
    while let Some(line) = lines.next_line().await.ok()? {
        let word = match &mut mail {
            Some(text) if line != "." => {
                text.push_str(line.strip_prefix('.').unwrap_or(&line));
                text.push('\n');
                continue;
            }
            Some(_) => ".".to_owned(),
            None => line.split([' ', ':']).next().unwrap_or_default().to_uppercase(),
        };
        if word == "MAIL" {
            plan = script.lock().unwrap().pop_front().unwrap_or(At::Nothing);
        }
        let answer = match plan {
            At::Silence(at) if at == word => std::future::pending().await,
            At::Drop(at) if at == word => return None,
            At::Answer(at, answer) if at == word => {
                mail = None;
                answer.to_owned()
            }
            _ => match word.as_str() {
                "EHLO" => "250-scripted\r\n250-8BITMIME\r\n250 SMTPUTF8".to_owned(),
                "DATA" => {
                    mail = Some(String::new());
                    "354 go on".to_owned()
                }
                "." => {
                    seen.lock().unwrap().mails.extend(mail.take());
                    "250 taken".to_owned()
                }
                _ => "250 fine".to_owned(),
            },
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}
