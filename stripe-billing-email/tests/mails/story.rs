//! Histories as Stripe makes them, and the mails that they end in.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use serde_json::Value;
use stripe_billing_core::catalog::{Catalog, Pack, Plan, PlanPrice, Policy};
use stripe_billing_core::ledger::{Command, Grant, LedgerKey};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{Billing, Clock, ManualClock, MemoryStore};
use stripe_billing_email::{EmailNotifier, Mail, Mailbox, TestMode};
use stripe_billing_testing::event::histories::{
    self, ACCOUNT, ACCOUNT_KEY, History, MONTH, PACK, START,
};
use stripe_billing_testing::event::{
    CustomerObject, EventBuilder, InvoiceObject, PaymentMethodObject, Shape, SubscriptionObject,
};

use crate::parts::agree;

pub(crate) const SECRET: &str = "whsec_mails";

pub(crate) fn catalog() -> Catalog {
    let pro = Plan::new("pro").price(PlanPrice::new("price_pro").amount(1_500, "usd"));
    let team = Plan::new("team").price(PlanPrice::new("price_team"));
    Catalog::builder()
        .plan(pro)
        .plan(team)
        .pack(Pack::new(PACK, "price_pack").credits("credits", 1_000))
        .policy(Policy { credits_low: [("credits".to_owned(), 50)].into(), ..Policy::default() })
        .build()
        .unwrap()
}

/// A month that ends with a renewal, paid with a card that expires in it.
fn announced(shape: Shape) -> Vec<Bytes> {
    let event = |kind: &str, number: u32, object| {
        let event = EventBuilder::new(kind).id(format!("evt_announced_{number}")).shape(shape);
        event.created(START).object(object).build()
    };
    let subscription =
        SubscriptionObject::new("sub_1", "cus_1").metadata(&[(ACCOUNT_KEY, ACCOUNT)]);
    let card = PaymentMethodObject::new("pm_1", Some("cus_1")).expires((1, 2026));
    let mut renewal = InvoiceObject::upcoming("cus_1", "sub_1").render(shape);
    renewal["period_end"] = (START + MONTH).into();
    vec![
        event("customer.subscription.created", 1, subscription.render(shape)),
        event("payment_method.attached", 2, card.render(shape)),
        event("invoice.upcoming", 3, renewal),
    ]
}

/// The mails of a history whose events are processed as they come, the oldest first.
async fn mails(history: History) -> Vec<Mail> {
    Stage::after(history).await.mails()
}

/// Billing after a history, and its mails.
struct Stage {
    billing: Billing,
    clock: Arc<ManualClock>,
    mailbox: Mailbox,
}

impl Stage {
    fn mails(&self) -> Vec<Mail> {
        let mut mails = self.mailbox.mails();
        mails.reverse();
        mails
    }

    /// The text of the last mail of a kind, and to whom it went.
    fn last(&self, kind: &str) -> (String, Vec<String>) {
        let mails = self.mails().into_iter().rev();
        let mut of_kind = mails.filter(|mail| mail.kind.as_str() == kind);
        let mail = of_kind.next().unwrap_or_else(|| panic!("no mail of {kind}"));
        (mail.text, mail.to)
    }

    async fn after(history: History) -> Self {
        let mailbox = Mailbox::keeping(1_000);
        let (billing, clock) = played(history, &mailbox).await;
        Self { billing, clock, mailbox }
    }
}

/// The events of a history; not every one begins with the customer.
pub(crate) fn with_customer(history: History) -> Vec<Bytes> {
    let newest = Shape::ALL.into_iter().next_back().unwrap();
    let ada = CustomerObject::new("cus_1").name(Some("Ada")).metadata(&[(ACCOUNT_KEY, ACCOUNT)]);
    let created = EventBuilder::new("customer.created").id("evt_customer").shape(newest);
    let created = created.created(START - 1).object(ada.render(newest)).build();
    [created].into_iter().chain(history(newest)).collect()
}

async fn played(history: History, mailbox: &Mailbox) -> (Billing, Arc<ManualClock>) {
    let notifier = EmailNotifier::in_memory(mailbox, "Acme <billing@acme.test>")
        .operators("ops@acme.test")
        .test_mode(TestMode::AllowList(vec!["@example.test".into(), "@acme.test".into()]))
        .build()
        .unwrap();
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(START, 0).unwrap()));
    let billing = Billing::builder(MemoryStore::default())
        .catalog(catalog())
        .webhook_secrets([SECRET])
        .notifier(notifier)
        .clock(Arc::clone(&clock))
        .build()
        .unwrap();
    let secret = WebhookSecret::new(SECRET).unwrap();
    for body in with_customer(history) {
        let event: Value = serde_json::from_slice(&body).unwrap();
        let created = DateTime::from_timestamp(event["created"].as_i64().unwrap(), 0).unwrap();
        clock.set(created.max(clock.now()));
        billing.receive(&sign(&body, &secret, clock.now()), body).await.unwrap();
        billing.process_due().await.unwrap();
    }
    clock.advance(TimeDelta::hours(1));
    billing.process_due().await.unwrap();
    (billing, clock)
}

#[tokio::test]
async fn credits_say_how_many_and_go_to_the_accounts_customer() {
    let stage = Stage::after(histories::pack_by_card).await;
    let (granted, to) = stage.last("credits_granted");
    assert!(granted.contains("We added 1,000 credits to your account."), "{granted}");
    assert!(granted.contains("You can spend 1,000 credits now."), "{granted}");

    stage.billing.spend(ACCOUNT, 960).now().await.unwrap();
    stage.billing.process_due().await.unwrap();
    let (low, customer) = stage.last("credits_low");
    assert!(low.contains("You have 40 credits left."), "{low}");
    assert_eq!(customer, to);

    let end = stage.clock.now() + TimeDelta::days(8);
    let gift = Command::Grant(Grant::new("bought elsewhere", 70).until(end));
    stage.billing.ledger_execute(&LedgerKey::new(ACCOUNT, "credits"), gift).await.unwrap();
    stage.clock.advance(TimeDelta::days(1));
    assert_eq!(stage.billing.process_due().await.unwrap().swept, 1);
    let (expiring, customer) = stage.last("credits_expiring");
    assert!(
        expiring.contains("Of what you paid for, 70 credits expire on 9 January 2026."),
        "{expiring}"
    );
    assert_eq!(customer, to);
}

/// The mails of a kind.
async fn of_kind(history: History, kind: &str) -> Vec<Mail> {
    let mails = mails(history).await;
    mails.into_iter().filter(|mail| mail.kind.as_str() == kind).collect()
}

#[tokio::test]
async fn every_history_ends_in_mails_that_read_well_and_are_told_once() {
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    let own: (&str, History) = ("announced", announced);
    for (name, history) in histories::ALL.into_iter().chain([own]) {
        let mails = mails(history).await;
        let mut keys: Vec<&str> = mails.iter().map(|mail| mail.key.as_str()).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count, "{name}: {keys:?}");
        for mail in &mails {
            agree(mail);
            *kinds.entry(mail.kind.as_str()).or_default() += 1;
        }
    }
    for kind in [
        "receipt",
        "payment_failed",
        "payment_recovered",
        "action_required",
        "refund",
        "dispute_opened",
        "dispute_won",
        "dispute_lost",
        "subscription_canceled",
        "trial_ending",
        "card_expiring",
        "plan_changed",
        "renewal_upcoming",
        "ticket_opened",
        "fraud_warning",
    ] {
        assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
    }
}

#[tokio::test]
async fn a_failed_renewal_says_how_much_how_long_and_what_happens_next() {
    let failed = of_kind(histories::renewal_recovers, "payment_failed").await;
    let first = &failed[0].text;
    assert!(first.contains("Your payment of $15.00 for Pro did not go through."), "{first}");
    // Tried at 01:00 on the first of February; three days of grace, and the next attempt then.
    assert!(first.contains("until 4 February 2026, 01:00 UTC"), "{first}");
    assert!(first.contains("We will try again on 4 February 2026."), "{first}");
    assert_eq!(failed[0].in_reply_to, None);
    let second = &failed[1];
    // Grace has ended, and is not promised again.
    assert!(!second.text.contains("Your access stays"), "{}", second.text);
    assert_eq!(second.in_reply_to.as_ref(), Some(&failed[0].message_id));
    let recovered = of_kind(histories::renewal_recovers, "payment_recovered").await;
    assert_eq!(recovered.len(), 1);
    assert!(recovered[0].text.contains("We received your payment of $15.00 for Pro."));
    assert_eq!(recovered[0].in_reply_to.as_ref(), Some(&failed[0].message_id));
}

#[tokio::test]
async fn each_refund_is_told_with_its_own_amount() {
    let refunds = of_kind(histories::partial_refunds, "refund").await;
    let [first, second] = refunds.try_into().unwrap();
    assert!(
        first.text.contains("We refunded $5.00.") && !first.text.contains("In all"),
        "{}",
        first.text
    );
    assert!(second.text.contains("We refunded $4.00."), "{}", second.text);
    assert!(second.text.contains("In all, $9.00 of this payment"), "{}", second.text);
}

#[tokio::test]
async fn disputes_packs_trials_and_renewals_say_what_they_are_about() {
    let says = async |history: History, kind: &str, words: &str| {
        let mails = of_kind(history, kind).await;
        let texts: Vec<&str> = mails.iter().map(|mail| mail.text.as_str()).collect();
        assert!(texts.iter().any(|text| text.contains(words)), "{kind}: {words}: {texts:#?}");
    };
    says(histories::pack_by_card, "receipt", "We received your payment of $15.00").await;
    says(histories::dispute_lost, "dispute_opened", "the payment of $15.00 made on").await;
    says(histories::dispute_inquiry, "dispute_opened", "Your bank asks us about the payment").await;
    says(histories::dispute_lost, "ticket_opened", "a payment is disputed (dp_1)").await;
    says(histories::upgrade, "plan_changed", "from Pro to Team").await;
    says(histories::trial_to_paid, "trial_ending", "After that it costs $15.00 per month").await;
    says(
        announced,
        "card_expiring",
        "The card that pays for Pro, Visa ending in 4242, expires at the end of 01/2026.",
    )
    .await;
    says(announced, "renewal_upcoming", "1 February 2026. It will cost $15.00.").await;
    says(
        histories::renewal_unpaid_canceled,
        "subscription_canceled",
        "because a payment did not go through",
    )
    .await;
    says(histories::cancel, "subscription_canceled", "Your subscription to Pro ended on").await;
}
