//! Who is told, and who is not.

use std::path::Path;

use stripe_billing_core::notice::{NoticeDetails, NoticeKind};
use stripe_billing_core::{Notification, Notified, Notifier};
use stripe_billing_email::{EmailNotifier, EmailNotifierBuilder, Mail, Mailbox, TestMode};

use crate::notice::{ADA, details, notice, receipt};

fn kept(
    configure: impl Fn(EmailNotifierBuilder) -> EmailNotifierBuilder,
) -> (EmailNotifier, Mailbox) {
    let mailbox = Mailbox::default();
    let builder = EmailNotifier::in_memory(&mailbox, "Acme <billing@acme.test>");
    (configure(builder).build().unwrap(), mailbox)
}

async fn tell(
    told: &Notification,
    configure: impl Fn(EmailNotifierBuilder) -> EmailNotifierBuilder,
) -> Option<Mail> {
    let (mail, mailbox) = kept(configure);
    let notified = mail.notify(told).await.unwrap();
    let sent = mailbox.mails().pop();
    assert_eq!(notified, if sent.is_some() { Notified::Told } else { Notified::LeftOut });
    sent
}

#[tokio::test]
async fn test_mode_reaches_nobody_who_is_not_named() {
    let told = notice(NoticeKind::Receipt, "in_1", false, details());
    assert!(tell(&told, |it| it.test_mode(TestMode::Drop)).await.is_none());
    assert!(tell(&told, |it| it).await.is_some(), "what is kept in memory reaches nobody");

    let redirected =
        tell(&told, |it| it.test_mode(TestMode::Redirect("dev@acme.test".into()))).await;
    let mail = redirected.unwrap();
    assert_eq!(mail.to, ["dev@acme.test"]);
    assert_eq!(mail.subject, "[TEST] Your receipt for Pro");
    assert!(mail.text.contains("This is a test. No money has moved."));
    assert!(mail.html.contains("This is a test. No money has moved."));

    let list =
        |names: &[&str]| TestMode::AllowList(names.iter().map(|name| (*name).to_owned()).collect());
    for (names, reached) in [
        (&["ben@example.test"][..], false),
        (&["ADA@example.test"], true),
        (&["@example.test"], true),
        (&["@ample.test"], false),
        (&[], false),
    ] {
        let sent = tell(&told, |it| it.test_mode(list(names))).await;
        assert_eq!(sent.map(|mail| mail.to), reached.then(|| vec![ADA.to_owned()]), "{names:?}");
    }
    // Live mail goes where it should, whatever is said of test mode.
    let live = receipt("in_1");
    let live = tell(&live, |it| it.test_mode(TestMode::Redirect("dev@acme.test".into())));
    let live = live.await.unwrap();
    assert_eq!((live.to, live.subject), (vec![ADA.to_owned()], "Your receipt for Pro".to_owned()));
}

#[tokio::test]
async fn operators_are_told_what_is_for_them_and_customers_never() {
    for kind in [
        NoticeKind::TicketOpened,
        NoticeKind::DisputeDeadline,
        NoticeKind::EventDead,
        NoticeKind::FraudWarning,
    ] {
        let told = notice(kind, "dispute:dp_1", true, details());
        assert!(tell(&told, |it| it).await.is_none(), "{kind:?} goes to nobody");
        let sent = tell(&told, |it| it.operators("ops@acme.test").operators("Eve <eve@acme.test>"));
        let mail = sent.await.unwrap();
        assert_eq!(mail.to, ["ops@acme.test", "eve@acme.test"]);
        assert!(!mail.text.contains("Ada") && !mail.html.contains("Ada"), "{}", mail.text);
        let test = notice(kind, "dispute:dp_1", false, details());
        let dropped = tell(&test, |it| it.operators("ops@acme.test").test_mode(TestMode::Drop));
        assert!(dropped.await.is_none());
    }
    let mail = tell(&receipt("in_1"), |it| it.operators("ops@acme.test")).await.unwrap();
    assert_eq!(mail.to, [ADA]);
}

#[tokio::test]
async fn a_kind_that_is_left_out_and_a_guest_without_an_address_get_none() {
    assert!(tell(&receipt("in_1"), |it| it.without(NoticeKind::Receipt)).await.is_none());
    assert!(tell(&receipt("in_1"), |it| it.without(NoticeKind::Refund)).await.is_some());
    let guest = notice(NoticeKind::Receipt, "cs_1", true, NoticeDetails::default());
    assert!(tell(&guest, |it| it).await.is_none());
    let mut odd = details();
    odd.recipient.email = Some("not an address".to_owned());
    let (mail, _) = kept(|it| it);
    let error = mail.notify(&notice(NoticeKind::Receipt, "in_1", true, odd)).await.unwrap_err();
    assert!(!error.is_retryable() && !error.to_string().contains("not an address"), "{error}");
}

#[tokio::test]
async fn every_mistake_of_a_configuration_is_named_at_once_and_no_secret_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("recipt.html", "x");
    write("de.toml", "[receipt]\nsubjekt = 'x'");
    let error = EmailNotifier::smtp("smtp://u:hunter2@mail.test", "billing at acme")
        .operators("hunter3")
        .reply_to("hunter4")
        .time_zone("Mars/Olympus")
        .billing_page("http://acme.test")
        .test_mode(TestMode::Redirect("hunter5".into()))
        .templates(folder.path())
        .build()
        .unwrap_err();
    assert_eq!(error.mistakes().len(), 9, "{error}");
    assert!(!error.to_string().contains("hunter"), "{error}");
    for part in [
        "unencrypted",
        "the sender",
        "operators",
        "answers",
        "Mars/Olympus",
        "billing page",
        "redirected",
        "recipt.html",
        "receipt.subjekt",
    ] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let missing = EmailNotifier::in_memory(&Mailbox::default(), "a@b.test").templates("/nowhere");
    assert!(missing.build().unwrap_err().to_string().contains("/nowhere"));
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[tokio::test]
async fn templates_and_messages_are_replaced_one_by_one() {
    let own = folder(&[
        (
            "receipt.html",
            "{% extends 'layout.html' %}{% block greeting %}{% include '_hi.html' %}{% endblock %}",
        ),
        ("_hi.html", "<p>Hi {{ values.name }}, {{ values.amount }}</p>"),
        (
            "refund.txt",
            "{{ mail.subject }}: {{ values.amount }}{% if values.card %} {{ values.card }}{% endif %}",
        ),
        ("en.toml", "[receipt]\nsubject = 'Paid: {product}'"),
        ("README.md", "not ours"),
    ]);
    let with = |path: &Path| {
        let path = path.to_owned();
        move |it: EmailNotifierBuilder| it.templates(path.clone())
    };
    let mut ada = details();
    ada.recipient.name = Some("<b>Ada</b>".to_owned());
    let told = notice(NoticeKind::Receipt, "in_1", true, ada);
    let mail = tell(&told, with(own.path())).await.unwrap();
    assert_eq!(mail.subject, "Paid: Pro");
    assert!(mail.html.contains("<p>Hi &lt;b&gt;Ada&lt;/b&gt;, $19.00</p>"), "{}", mail.html);
    assert!(mail.html.contains("Thank you."), "the rest is as it was");
    assert!(mail.text.contains("Hello <b>Ada</b>,"), "the text is as it was: {}", mail.text);
    let refund = notice(NoticeKind::Refund, "pi_1", true, details());
    let mail = tell(&refund, with(own.path())).await.unwrap();
    assert_eq!(mail.text, "Your refund from Acme: $19.00");
}

#[test]
fn a_template_that_cannot_be_rendered_is_a_mistake_at_start() {
    for (name, text, part) in [
        ("receipt.html", "{{ values.amuont }}", "receipt.html"),
        ("receipt.txt", "{{ misspelled }}", "receipt.txt"),
        ("layout.txt", "{% if %}", "layout.txt"),
        ("refund.html", "{% include '_gone.html' %}", "_gone.html"),
    ] {
        let own = folder(&[(name, text)]);
        let built =
            EmailNotifier::in_memory(&Mailbox::default(), "a@b.test").templates(own.path()).build();
        let error = built.unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn nothing_prints_an_address_or_a_secret() {
    let mailbox = Mailbox::default();
    let builder = EmailNotifier::smtp("smtp://u:hunter2@localhost", "Acme <billing@acme.test>")
        .operators("ops@acme.test")
        .test_mode(TestMode::Redirect("dev@acme.test".into()));
    let mut shown = format!("{builder:?}");
    shown.push_str(&format!("{:?}", builder.build().unwrap()));
    let (mail, _) = kept(|it| it);
    mail.notify(&receipt("in_1")).await.unwrap();
    let kept = EmailNotifier::in_memory(&mailbox, "a@b.test").build().unwrap();
    kept.notify(&receipt("in_1")).await.unwrap();
    let more = format!("{mailbox:?} {kept:?} {:?} {:?}", mailbox.mails(), receipt("in_1"));
    for secret in ["hunter2", "ops@", "dev@", ADA, "Ada", "invoice.stripe.test"] {
        assert!(!shown.contains(secret) && !more.contains(secret), "{secret}: {shown} {more}");
    }
}
