//! Both parts of a mail say the same, whatever is in it.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use stripe_billing_core::Notifier;
use stripe_billing_core::notice::{CardDetails, Decline, Money, NoticeDetails, NoticeKind};
use stripe_billing_email::{EmailNotifier, Language, Mail, Mailbox};

use crate::notice::{details, notice};

/// What a browser shows of the HTML, without what is hidden.
fn visible(html: &str) -> String {
    let body = html.split_once("<body").unwrap().1;
    let hidden = body.find("<div style=\"display:none").unwrap();
    let end = hidden + body[hidden..].find("</div>").unwrap();
    let shown = format!("{}{}", &body[..hidden], &body[end..]);
    let mut out = String::new();
    let mut inside = true;
    for char in shown.chars() {
        match char {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            char if !inside => out.push(char),
            _ => {}
        }
    }
    unescaped(&out)
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&nbsp;", " ")
        .replace("&amp;", "&")
}

pub(crate) fn links(html: &str) -> BTreeSet<String> {
    html.split("href=\"").skip(1).map(|rest| unescaped(rest.split('"').next().unwrap())).collect()
}

fn links_of_text(text: &str) -> BTreeSet<String> {
    text.split_whitespace().filter(|word| word.starts_with("http")).map(str::to_owned).collect()
}

/// Everything with a digit: amounts, dates, numbers.
fn figures(text: &str) -> BTreeSet<String> {
    text.split(|char: char| char.is_whitespace() || "（）()：:、。".contains(char))
        .map(|word| word.trim_matches(['.', ',', ';']))
        .filter(|word| word.chars().any(|char| char.is_ascii_digit()) && !word.starts_with("//"))
        .map(str::to_owned)
        .collect()
}

pub(crate) fn agree(mail: &Mail) {
    let (shown, text) = (visible(&mail.html), &mail.text);
    let words: String = text
        .split_whitespace()
        .filter(|word| !word.starts_with("http"))
        .collect::<Vec<_>>()
        .join(" ");
    let of_text = figures(&format!("{words} {}", mail.subject));
    assert_eq!(figures(&shown), of_text, "{}\n{text}\n{shown}", mail.key);
    assert_eq!(links(&mail.html), links_of_text(text), "{}\n{text}", mail.key);
    assert!(mail.html.len() <= 100_000);
    for both in [&shown, text, &mail.subject] {
        for left in ["{", "}", "None", "undefined", "  ,", " .", "()", "（）", "\u{fffd}"] {
            assert!(!both.contains(left), "{}: `{left}` in {both}", mail.key);
        }
    }
}

/// Checking a configuration renders every mail; once is enough.
fn notifier() -> &'static (EmailNotifier, Mailbox) {
    static KEPT: OnceLock<(EmailNotifier, Mailbox)> = OnceLock::new();
    KEPT.get_or_init(|| {
        let mailbox = Mailbox::keeping(1_000);
        let mail = EmailNotifier::in_memory(&mailbox, "Acme <billing@acme.test>")
            .operators("ops@acme.test")
            .billing_page("https://acme.test/billing?a=1&b=2")
            .operator_page("https://acme.test/operator")
            .unsubscribe(|_| Some("https://acme.test/u?t=1&u=2".to_owned()))
            .build()
            .unwrap();
        (mail, mailbox)
    })
}

async fn written(kind: NoticeKind, details: NoticeDetails) -> Mail {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let id = format!("in_x{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let (mail, mailbox) = notifier();
    let told = notice(kind, &id, true, details);
    mail.notify(&told).await.unwrap();
    let mail = mailbox.mails().into_iter().find(|mail| mail.key == told.key).unwrap();
    agree(&mail);
    mail
}

#[tokio::test]
async fn both_parts_carry_the_same_figures_and_links_in_every_language_whatever_is_known() {
    for kind in EmailNotifier::KINDS {
        for language in Language::ALL {
            let locales = vec![language.tag().to_owned()];
            let mut known = details();
            known.recipient.locales = locales.clone();
            known.at = Some(1_795_266_300);
            known.paid_at = Some(1_795_266_300);
            known.grace_end = Some(1_795_266_300);
            let mut bare = NoticeDetails::default();
            bare.recipient.email = known.recipient.email.clone();
            bare.recipient.locales = locales;
            for details in [known, bare] {
                let mail = written(kind, details).await;
                assert!(
                    mail.html.contains(&format!("<html lang=\"{}\" dir=\"ltr\">", mail.language))
                );
                assert!(!mail.subject.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn names_of_any_kind_do_no_harm() {
    for (name, text) in [
        ("Ada\r\nBcc: eve@evil.test", "Hello Ada Bcc: eve@evil.test,"),
        ("<script>alert('x')</script>&amp;", "Hello <script>alert('x')</script>&amp;,"),
        ("{{ 7*7 }}{% raw %}", "Hello {{ 7*7 }}{% raw %},"),
        ("עדה לאבלייס", "Hello \u{2068}עדה לאבלייס\u{2069},"),
        ("👩🏽‍💻 Ada", "Hello 👩🏽‍💻 Ada,"),
        ("\u{202e}evil\0", "Hello evil,"),
        (" \r\n ", "Hello,"),
    ] {
        let mailbox = Mailbox::default();
        let mail = EmailNotifier::in_memory(&mailbox, "Acme <billing@acme.test>").build().unwrap();
        let mut details = details();
        details.recipient.name = Some(name.to_owned());
        details.products = vec![name.to_owned()];
        mail.notify(&notice(NoticeKind::Receipt, "in_1", true, details)).await.unwrap();
        let mail = mailbox.mails().pop().unwrap();
        assert_eq!(mail.text.lines().next(), Some(text), "{}", mail.text);
        assert!(!mail.subject.contains(['\r', '\n', '\0']));
        assert!(!mail.html.contains("<script") && !mail.html.contains("49"), "{}", mail.html);
        assert!(visible(&mail.html).contains(text));
    }
    let mut long = details();
    long.recipient.name = Some("Ada ".repeat(10_000));
    long.products = (0..500).map(|number| format!("{number} {}", "x".repeat(10_000))).collect();
    let mail = written(NoticeKind::Receipt, long).await;
    assert!(mail.subject.chars().count() < 200, "{}", mail.subject.len());
}

#[tokio::test]
async fn amounts_have_the_decimals_of_their_currency_and_the_looks_of_the_language() {
    for (amount, currency, locale, shown) in [
        (1_900, "jpy", "en", "¥1,900"),
        (1_900, "jpy", "ja", "¥1,900"),
        (12_345, "kwd", "en", "KWD\u{a0}12.345"),
        (12_345, "kwd", "de", "12,345\u{a0}KWD"),
        (190_000, "isk", "en", "ISK\u{a0}1,900.00"),
        (500, "ugx", "fr", "5,00\u{a0}UGX"),
        (123_450, "eur", "de-AT", "1.234,50\u{a0}€"),
    ] {
        let mut told = details();
        told.amount = Some(Money { amount, currency: currency.to_owned() });
        told.recipient.locales = vec![locale.to_owned()];
        let mail = written(NoticeKind::Receipt, told).await;
        assert!(mail.text.contains(shown) && mail.html.contains(shown), "{shown}: {}", mail.text);
        assert!(!mail.subject.contains(shown), "no amounts in subjects");
    }
}

#[tokio::test]
async fn what_cannot_help_is_not_offered() {
    let mut soft = details();
    soft.next_attempt = Some(1_795_266_300);
    soft.decline = Some(Decline::of("insufficient_funds"));
    let mail = written(NoticeKind::PaymentFailed, soft.clone()).await;
    assert!(mail.text.contains("We will try again on 21 November 2026."), "{}", mail.text);
    soft.decline = Some(Decline::of("stolen_card"));
    let mail = written(NoticeKind::PaymentFailed, soft).await;
    assert!(mail.text.contains("Trying this card again will not help."), "{}", mail.text);
    assert!(!mail.text.contains("try again on") && !mail.text.contains("stolen"), "{}", mail.text);
}

#[tokio::test]
async fn a_card_shows_its_brand_and_last_digits_and_no_more() {
    let mut told = details();
    let mut card = CardDetails::default();
    card.brand = Some("amex".to_owned());
    card.last4 = Some("0005".to_owned());
    card.expires = Some((2026, 3));
    told.card = Some(card);
    let mail = written(NoticeKind::CardExpiring, told).await;
    assert_eq!(mail.subject, "Your card ending in 0005 expires soon");
    assert!(
        mail.text.contains("American Express ending in 0005, expires at the end of 03/2026."),
        "{}",
        mail.text
    );
}
