//! A mail server that others wrote, and a reader of mail that others wrote: Python's.

use std::process::Stdio;

use serde_json::Value;
use stripe_billing_core::Notifier;
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_email::EmailNotifier;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::notice::{details, notice};

/// Prints its port, and what it reads in each mail that it takes.
const SERVER: &str = r#"
import asyncio, email, email.policy, json
from aiosmtpd.smtp import SMTP

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone"):
            return "550 5.1.1 no such user"
        if address.startswith("busy"):
            return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [(p.get_content_type(), p.get_content()) for p in mail.iter_parts()]
        print(json.dumps({"rcpt": envelope.rcpt_tos, "from": envelope.mail_from, "parts": parts,
            "defects": [str(d) for d in mail.defects], "to": str(mail["to"]), "subject": str(mail["subject"]),
            "names": [a.display_name for a in mail["to"].addresses], "id": str(mail["message-id"])}), flush=True)
        return "250 taken"

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), enable_SMTPUTF8=True), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()

asyncio.run(main())
"#;

/// A Python that has aiosmtpd.
async fn python() -> Option<&'static str> {
    for python in ["/usr/bin/python3", "python3"] {
        let mut command = Command::new(python);
        command.args(["-c", "import aiosmtpd"]).stderr(Stdio::null());
        if command.status().await.is_ok_and(|status| status.success()) {
            return Some(python);
        }
    }
    let required = std::env::var_os("STRIPE_BILLING_REQUIRE_SERVICES").is_some();
    assert!(!required, "python3-aiosmtpd is not installed");
    println!("skipped: python3-aiosmtpd is not installed");
    None
}

#[tokio::test]
async fn a_real_server_takes_mails_and_a_real_reader_reads_them() {
    let Some(python) = python().await else { return };
    let mut child = Command::new(python)
        .args(["-c", SERVER])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().unwrap();
    let mail = EmailNotifier::smtp(format!("smtp://127.0.0.1:{port}"), "Acmé <billing@acme.test>")
        .build()
        .unwrap();
    let to = |email: &str, name: &str, locale: &str| {
        let mut told = details();
        told.recipient.email = Some(email.to_owned());
        told.recipient.name = Some(name.to_owned());
        told.recipient.locales = vec![locale.to_owned()];
        notice(NoticeKind::Receipt, email, true, told)
    };
    for (email, name, locale, subject) in [
        ("ada@example.test", "Ada, Countess \"of\" Lovelace", "en", "Your receipt for Pro"),
        ("ada+1@example.test", "עדה 👩🏽‍💻", "ja", "Pro の領収のお知らせ"),
        ("bob@example.test", "Bob\r\nBcc: eve@evil.test", "fr", "Votre reçu pour Pro"),
    ] {
        mail.notify(&to(email, name, locale)).await.unwrap();
        let read: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(read["rcpt"], serde_json::json!([email]), "one recipient, whatever the name");
        assert_eq!(read["from"], "billing@acme.test");
        assert_eq!(read["subject"], subject);
        assert_eq!(read["defects"], serde_json::json!([]));
        let name = name.replace("\r\n", " ");
        assert_eq!(read["names"], serde_json::json!([name]));
        assert_eq!(
            (&read["parts"][0][0], &read["parts"][1][0]),
            (&"text/plain".into(), &"text/html".into())
        );
        let text = read["parts"][0][1].as_str().unwrap();
        assert!(text.contains("https://invoice.stripe.test/i/1?s=ap&x=1"), "{text}");
        assert!(read["parts"][1][1].as_str().unwrap().contains("</html>"));
    }
    assert!(mail.notify(&to("busy@example.test", "B", "en")).await.unwrap_err().is_retryable());
    assert!(!mail.notify(&to("gone@example.test", "G", "en")).await.unwrap_err().is_retryable());
    let again = mail.notify(&to("gone@example.test", "G", "en")).await.unwrap_err();
    assert!(again.to_string().contains("suppressed"), "{again}");
    child.kill().await.unwrap();
}
