//! What servers do, and what follows.

use std::time::Duration;

use stripe_billing_core::notice::{CreditDetails, NoticeKind};
use stripe_billing_core::{Notified, Notifier, NotifyError};
use stripe_billing_email::{EmailNotifier, EmailNotifierBuilder, TestMode};

use crate::notice::{ADA, details, notice, receipt};
use crate::scripted::{At, Scripted};

pub(crate) fn to(server: &Scripted) -> EmailNotifierBuilder {
    EmailNotifier::smtp(server.url(), "Acme <billing@acme.test>")
        .operators("ops@acme.test")
        .timeout(Duration::from_secs(5))
}

pub(crate) fn header<'a>(mail: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = mail.split_once("\n\n")?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Neither the error nor what it prints of itself names the customer.
fn discreet(error: &NotifyError) {
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(!shown.contains(ADA) && !shown.contains("Ada"), "{shown}");
    }
}

#[tokio::test]
async fn a_mail_is_taken_with_the_headers_that_it_should_have() {
    let server = Scripted::start(&[]).await;
    let mail =
        to(&server).unsubscribe(|_| Some("https://acme.test/u?t=1".to_owned())).build().unwrap();
    mail.notify(&receipt("in_1")).await.unwrap();
    let taken = server.mails().pop().unwrap();
    assert_eq!(header(&taken, "From"), Some("Acme <billing@acme.test>"));
    assert_eq!(header(&taken, "To"), Some("Ada <ada@example.test>"));
    assert_eq!(header(&taken, "Subject"), Some("Your receipt for Pro"));
    assert_eq!(header(&taken, "Auto-Submitted"), Some("auto-generated"));
    assert_eq!(header(&taken, "X-Auto-Response-Suppress"), Some("All"));
    assert_eq!(header(&taken, "MIME-Version"), Some("1.0"));
    assert!(header(&taken, "Date").is_some());
    assert!(header(&taken, "Message-ID").unwrap().ends_with("@acme.test>"));
    let kind = header(&taken, "Content-Type").unwrap();
    assert!(kind.starts_with("multipart/alternative"), "{kind}");
    let (text, html) = (taken.find("text/plain").unwrap(), taken.find("text/html").unwrap());
    assert!(text < html, "the text comes first");
    for absent in ["List-Unsubscribe", "List-Unsubscribe-Post", "In-Reply-To", "References", "Bcc"]
    {
        assert_eq!(header(&taken, absent), None, "{absent}");
    }
}

#[tokio::test]
async fn only_notifications_can_be_unsubscribed_from_and_with_one_click() {
    let server = Scripted::start(&[]).await;
    let mail = to(&server)
        .unsubscribe(|told| Some(format!("https://acme.test/u?for={}", told.subject.id)))
        .build()
        .unwrap();
    let mut low = details();
    let unit = "credits".to_owned();
    low.credits = Some(CreditDetails { unit, amount: None, available: Some(3) });
    mail.notify(&notice(NoticeKind::CreditsLow, "low:1", true, low)).await.unwrap();
    mail.notify(&notice(NoticeKind::PaymentFailed, "in_1", true, details())).await.unwrap();
    let [low, failed] = server.mails().try_into().unwrap();
    assert_eq!(header(&low, "List-Unsubscribe"), Some("<https://acme.test/u?for=cus_1>"));
    assert_eq!(header(&low, "List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"));
    assert_eq!(header(&low, "List-Id"), Some("<credits_low.acme.test>"));
    assert_eq!((header(&failed, "List-Unsubscribe"), header(&failed, "List-Id")), (None, None));
    assert!(!failed.contains("/u?for="));
}

#[tokio::test]
async fn a_notice_has_one_name_and_is_sent_once_by_a_process() {
    let server = Scripted::start(&[]).await;
    let first = to(&server).build().unwrap();
    first.notify(&receipt("in_1")).await.unwrap();
    // The settlement failed: it is handed over again.
    assert_eq!(first.notify(&receipt("in_1")).await.unwrap(), Notified::Told, "it was before");
    assert_eq!(server.mails().len(), 1);
    // Another process does not know that; its mail has the same name.
    to(&server).build().unwrap().notify(&receipt("in_1")).await.unwrap();
    first.notify(&receipt("in_2")).await.unwrap();
    let ids: Vec<String> =
        server.mails().iter().map(|mail| header(mail, "Message-ID").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn the_mails_of_one_case_are_one_thread() {
    let server = Scripted::start(&[]).await;
    let mail = to(&server).build().unwrap();
    let with = |kind, id: &str, detail: &str| {
        let mut told = notice(kind, id, true, details());
        detail.clone_into(&mut told.notice.detail);
        told.key = told.notice.key();
        told
    };
    for told in [
        with(NoticeKind::PaymentFailed, "in_1", "1"),
        with(NoticeKind::PaymentFailed, "in_1", "2"),
        with(NoticeKind::PaymentRecovered, "in_1", ""),
        with(NoticeKind::PaymentFailed, "in_2", "1"),
        with(NoticeKind::DisputeOpened, "pi_1", "dp_1"),
        with(NoticeKind::DisputeWon, "pi_1", "dp_1"),
    ] {
        mail.notify(&told).await.unwrap();
    }
    let mails = server.mails();
    let of =
        |name: &str| -> Vec<Option<&str>> { mails.iter().map(|mail| header(mail, name)).collect() };
    let ids = of("Message-ID");
    assert_eq!(of("In-Reply-To"), [None, ids[0], ids[0], None, None, ids[4]]);
    assert_eq!(of("References"), of("In-Reply-To"));
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let busy = At::Answer("RCPT", "450 4.2.0 <ada@example.test> is busy");
    let full = At::Answer(".", "452 4.3.1 no space");
    let server = Scripted::start(&[busy, full, At::Answer("MAIL", "421 4.3.2 later")]).await;
    let mail = to(&server).build().unwrap();
    for _ in 0..3 {
        let error = mail.notify(&receipt("in_1")).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        discreet(&error);
    }
    mail.notify(&receipt("in_1")).await.unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_never_written_to_again() {
    let gone = At::Answer("RCPT", "550 5.1.1 <ada@example.test>: no such user");
    let server = Scripted::start(&[gone]).await;
    let mail = to(&server).build().unwrap();
    let error = mail.notify(&receipt("in_1")).await.unwrap_err();
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("550: 5.1.1"), "{error}");
    discreet(&error);
    let connections = server.connections();
    let error = mail.notify(&receipt("in_2")).await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("suppressed"), "{error}");
    assert_eq!((server.connections(), server.mails().len()), (connections, 0));
    // Others are.
    let mut other = details();
    other.recipient.email = Some("ben@example.test".to_owned());
    mail.notify(&notice(NoticeKind::Receipt, "in_3", true, other)).await.unwrap();
}

#[tokio::test]
async fn a_refusal_that_may_be_the_senders_fault_suppresses_nobody() {
    let sender = At::Answer("MAIL", "550 you again");
    let spam = At::Answer(".", "554 5.7.1 spam");
    let server =
        Scripted::start(&[sender, spam, At::Nothing, At::Answer("RCPT", "550 who?")]).await;
    let mail = to(&server).build().unwrap();
    for id in ["in_1", "in_2"] {
        assert!(!mail.notify(&receipt(id)).await.unwrap_err().is_retryable());
    }
    mail.notify(&receipt("in_3")).await.unwrap();
    // Now the sender is known to be taken.
    mail.notify(&receipt("in_4")).await.unwrap_err();
    let error = mail.notify(&receipt("in_5")).await.unwrap_err();
    assert!(error.to_string().contains("suppressed"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_does_not_hold_anybody_up() {
    for at in ["EHLO", "RCPT", "."] {
        let server = Scripted::start(&[At::Silence(at)]).await;
        // The first connection says EHLO before any plan is made.
        let mail = to(&server).timeout(Duration::from_millis(300)).build().unwrap();
        let begun = std::time::Instant::now();
        let result = mail.notify(&receipt("in_1")).await;
        if at == "EHLO" {
            result.unwrap();
            continue;
        }
        let error = result.unwrap_err();
        assert!(error.is_retryable(), "{at}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{at}");
        mail.notify(&receipt("in_1")).await.unwrap();
        assert_eq!(server.mails().len(), 1, "{at}");
    }
}

#[tokio::test]
async fn a_line_that_drops_after_the_mail_leaves_it_to_be_sent_again_under_its_name() {
    let server = Scripted::start(&[At::Drop("."), At::Drop("DATA")]).await;
    let mail = to(&server).build().unwrap();
    for _ in 0..2 {
        let error = mail.notify(&receipt("in_1")).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    mail.notify(&receipt("in_1")).await.unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn no_mail_goes_to_a_server_that_cannot_prove_who_it_is() {
    let server = Scripted::start_tls().await;
    let error = to(&server).build().unwrap().notify(&receipt("in_1")).await.unwrap_err();
    assert!(error.is_retryable(), "somebody may mend it: {error}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    assert!(server.mails().is_empty());
    let pem = server.certificate.clone().unwrap();
    to(&server).trust_certificates(pem).build().unwrap().notify(&receipt("in_1")).await.unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn over_smtp_test_mode_reaches_nobody_unless_it_is_said_whom() {
    let server = Scripted::start(&[]).await;
    let told = notice(NoticeKind::Receipt, "in_1", false, details());
    to(&server).build().unwrap().notify(&told).await.unwrap();
    assert_eq!((server.connections(), server.mails().len()), (0, 0));
    let redirected = to(&server).test_mode(TestMode::Redirect("dev@acme.test".to_owned()));
    redirected.build().unwrap().notify(&told).await.unwrap();
    let mail = server.mails().pop().unwrap();
    assert_eq!(header(&mail, "To"), Some("dev@acme.test"));
    assert_eq!(header(&mail, "Subject"), Some("[TEST] Your receipt for Pro"));
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_again() {
    let mail = EmailNotifier::smtp("smtp://127.0.0.1:1", "billing@acme.test").build().unwrap();
    let error = mail.notify(&receipt("in_1")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    discreet(&error);
}

#[test]
fn it_may_be_built_and_dropped_outside_of_the_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mail = EmailNotifier::smtp("smtp://127.0.0.1:1", "billing@acme.test").build().unwrap();
    runtime().block_on(async { mail.notify(&receipt("in_1")).await.unwrap_err() });
    drop(mail);
}
