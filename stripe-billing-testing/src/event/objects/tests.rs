use serde_json::{Value, json};
use stripe_billing_core::stripe::objects::{CheckoutSession, Customer, Invoice, Subscription};

use super::*;
use crate::event::Shape;
use crate::event::histories::{MONTH, START};

/// The top-level keys that only the first, and only the second have.
fn moved(old: &Value, new: &Value) -> (Vec<String>, Vec<String>) {
    let keys = |a: &Value, b: &Value| {
        let (a, b) = (a.as_object().unwrap(), b.as_object().unwrap());
        let mut keys: Vec<String> = a.keys().filter(|k| !b.contains_key(*k)).cloned().collect();
        keys.sort();
        keys
    };
    (keys(old, new), keys(new, old))
}

fn differ(old: &Value, new: &Value, only_old: &[&str], only_new: &[&str]) {
    assert_eq!(moved(old, new), (to_owned(only_old), to_owned(only_new)));
}

fn to_owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

#[test]
fn all_shapes_mean_the_same() {
    let notes = [("app_user", "acme")];
    let subscription = SubscriptionObject::new("sub_1", "cus_1")
        .quantity(Some(3))
        .trial(Some((START, START + 7)))
        .metadata(&notes);
    let invoice = InvoiceObject::new("in_1", "cus_1", Some("sub_1"))
        .status("paid")
        .paid_at(Some(START + 5))
        .proration(true)
        .line(LineObject::new("il_2", -200).proration(true).invoice_item(Some("ii_2")))
        .metadata(&notes);
    let manual = InvoiceObject::new("in_2", "cus_1", None);
    let checkout =
        CheckoutObject::new("cs_live_1", Some("cus_1")).subscription("sub_1").metadata(&notes);
    let customer = CustomerObject::new("cus_1").metadata(&notes);
    let new = Shape::New;
    for old in Shape::ALL {
        let views = |shape| {
            (
                Subscription::from_json(&subscription.render(shape)),
                // Since basil an invoice in an event does not name its payment.
                [&invoice, &manual].map(|invoice| {
                    let mut view = Invoice::from_json(&invoice.render(shape)).unwrap();
                    (view.payment_intent, view.charge) = (None, None);
                    view
                }),
                CheckoutSession::from_json(&checkout.render(shape)),
                Customer::from_json(&customer.render(shape)),
            )
        };
        assert_eq!(views(old), views(new), "{old:?}");
    }
    let view = Subscription::from_json(&subscription.render(new)).unwrap();
    assert_eq!(view.period_end(), Some(START + MONTH));
    assert_eq!(view.items[0].quantity, Some(3));
    let view = Invoice::from_json(&invoice.render(new)).unwrap();
    assert_eq!(view.subscription.as_deref(), Some("sub_1"));
    assert_eq!(view.subscription_metadata["app_user"], "acme");
    assert!(view.lines[0].proration);
    assert_eq!(Invoice::from_json(&manual.render(new)).unwrap().subscription, None);
}

#[test]
fn a_subscription_moves_its_periods_onto_its_items() {
    let subscription = SubscriptionObject::new("sub_1", "cus_1").paused("pause_requested", START);
    let render = |shape| subscription.render(shape);
    let (old, new) = (render(Shape::Old), render(Shape::New));
    differ(
        &old,
        &new,
        &["current_period_end", "current_period_start", "discount"],
        &["billing_mode", "customer_account", "discounts", "status_details"],
    );
    assert!(old["current_period_end"].is_i64());
    assert!(old["items"]["data"][0].get("current_period_end").is_none());
    assert!(new["items"]["data"][0]["current_period_end"].is_i64());
    let both = render(Shape::OldExtended);
    assert_eq!(both["current_period_end"], both["items"]["data"][0]["current_period_end"]);
    let since = |key: &str| Shape::ALL.into_iter().find(|shape| render(*shape).get(key).is_some());
    assert_eq!(since("discounts"), Some(Shape::Autumn2023));
    assert_eq!(since("billing_mode"), Some(Shape::OldExtended));
    assert_eq!(since("customer_account"), Some(Shape::Clover));
    assert_eq!(since("status_details"), Some(Shape::Endive));
    assert!(render(Shape::Basil).get("billing_thresholds").is_none(), "removed for two months");
    assert!(render(Shape::BasilAugust).get("billing_thresholds").is_some());
    let why = &new["status_details"]["paused"];
    assert_eq!(why["subscription"]["type"], "pause_requested");
    assert_eq!(why["transitioned_at"], START);
}

#[test]
fn several_items_have_no_mirror_and_the_old_period_is_the_first_to_end() {
    let yearly = SubscriptionItemObject::new("si_2", "price_support")
        .interval(("year", 1))
        .period(Some((START, START + 12 * MONTH)));
    let metered = SubscriptionItemObject::new("si_3", "price_calls").metered();
    let subscription = SubscriptionObject::new("sub_1", "cus_1").item(yearly).item(metered);
    for shape in Shape::ALL {
        let object = subscription.render(shape);
        assert_eq!(object["plan"], Value::Null, "{shape:?}");
        assert!(object.get("quantity").is_none());
        let metered = &object["items"]["data"][2];
        assert!(metered.get("quantity").is_none());
        assert_eq!(metered["price"]["unit_amount"], Value::Null);
        assert_eq!(metered["price"]["unit_amount_decimal"], "0.25");
        assert_eq!(metered["price"]["recurring"]["usage_type"], "metered");
        let view = Subscription::from_json(&object).unwrap();
        assert_eq!(view.period_end(), Some(START + MONTH));
    }
}

#[test]
fn the_states_of_a_subscription_show_what_stripe_shows() {
    let base = SubscriptionObject::new("sub_1", "cus_1");
    let draft = base.clone().pause_collection(Some(("keep_as_draft", Some(START + 7))));
    let object = draft.render(Shape::New);
    assert_eq!(object["status"], "active", "pausing collection leaves the status alone");
    assert_eq!(
        object["pause_collection"],
        json!({"behavior": "keep_as_draft", "resumes_at": START + 7})
    );
    let next = SubscriptionItemObject::new("si_sub_1", "price_team");
    let pending = base.clone().pending_update(Some((next, START + 82_800))).render(Shape::New);
    assert_eq!(pending["items"]["data"][0]["price"]["id"], "price_pro");
    assert_eq!(pending["pending_update"]["subscription_items"][0]["price"]["id"], "price_team");
    let gone = base.clone().canceled_at(Some(START)).cancel_reason(Some("payment_failed"));
    assert_eq!(gone.render(Shape::Old)["cancellation_details"]["reason"], "payment_failed");
    let by_mail = base.send_invoice(30).render(Shape::Old);
    assert_eq!(
        (&by_mail["collection_method"], &by_mail["days_until_due"]),
        (&json!("send_invoice"), &json!(30))
    );
}

#[test]
fn an_invoice_moves_its_subscription_into_its_parent_and_loses_its_payment() {
    let payment = InvoicePaymentObject::new("inpay_1", "in_1", "pi_9", 1_500);
    let invoice = InvoiceObject::new("in_1", "cus_1", Some("sub_1"))
        .status("paid")
        .payment_intent(Some("pi_9"))
        .charge(Some("ch_9"))
        .payments(&[payment]);
    let (old, new) = (invoice.render(Shape::Old), invoice.render(Shape::New));
    differ(
        &old,
        &new,
        &[
            "charge",
            "discount",
            "paid",
            "paid_out_of_band",
            "payment_intent",
            "quote",
            "rendering_options",
            "subscription",
            "subscription_details",
            "tax",
            "total_tax_amounts",
        ],
        &[
            "amount_overpaid",
            "amount_paid_off_stripe",
            "customer_account",
            "parent",
            "payments",
            "rendering",
            "total_taxes",
        ],
    );
    assert_eq!((&old["payment_intent"], &old["charge"]), (&json!("pi_9"), &json!("ch_9")));
    assert_eq!(old["subscription"], "sub_1");
    assert_eq!(new["parent"]["subscription_details"]["subscription"], "sub_1");
    assert_eq!(new["payments"]["data"][0]["payment"]["payment_intent"], "pi_9");
    let (old, new) = (&old["lines"]["data"][0], &new["lines"]["data"][0]);
    differ(
        old,
        new,
        &[
            "plan",
            "price",
            "proration",
            "proration_details",
            "subscription",
            "subscription_item",
            "tax_amounts",
            "tax_rates",
            "type",
        ],
        &["parent", "pricing", "quantity_decimal", "taxes"],
    );
    assert_eq!(old["price"]["id"], new["pricing"]["price_details"]["price"]);
    let acacia = invoice.render(Shape::Acacia);
    assert!(acacia.get("rendering").is_some() && acacia.get("rendering_options").is_none());
}

#[test]
fn an_invoice_adds_up() {
    let upgrade = InvoiceObject::new("in_1", "cus_1", Some("sub_1"))
        .lines(&[
            LineObject::new("il_1", -700).proration(true),
            LineObject::new("il_2", 2_100).proration(true).price("price_team"),
        ])
        .discount(Some(("HALF", 700)));
    for shape in Shape::ALL {
        let object = upgrade.render(shape);
        assert_eq!(object["subtotal"], 1_400);
        assert_eq!(object["total"], 700);
        assert_eq!(object["amount_due"], 700);
        assert_eq!(object["discounts"], json!(["di_1"]));
        assert_eq!(object["lines"]["data"].as_array().unwrap().len(), 2);
    }
    assert_eq!(upgrade.render(Shape::Old)["discount"]["coupon"]["id"], "HALF");
    let credit = InvoiceObject::new("in_2", "cus_1", Some("sub_1")).total(-300);
    let object = credit.render(Shape::New);
    assert_eq!((&object["total"], &object["amount_due"]), (&json!(-300), &json!(0)));
    let free = InvoiceObject::new("in_3", "cus_1", Some("sub_1")).total(0).status("paid");
    let object = free.render(Shape::Old);
    assert_eq!((&object["paid"], &object["amount_paid"]), (&json!(true), &json!(0)));
    assert_eq!(object["payment_intent"], Value::Null, "nothing was paid");
}

#[test]
fn the_states_of_an_invoice_show_what_stripe_shows() {
    let base = InvoiceObject::new("in_1", "cus_1", Some("sub_1"));
    let outside = base.clone().status("paid").paid_out_of_band(true);
    assert_eq!(outside.render(Shape::Old)["amount_paid"], 0, "only what Stripe took");
    assert_eq!(outside.render(Shape::Old)["paid_out_of_band"], true);
    assert_eq!(outside.render(Shape::New)["amount_paid"], 1_500);
    assert_eq!(outside.render(Shape::New)["amount_paid_off_stripe"], 1_500);
    let lost = base.clone().uncollectible("max_payment_attempts", START + 9);
    assert_eq!(
        lost.render(Shape::New)["status_details"]["uncollectible"]["reason"],
        "max_payment_attempts"
    );
    assert!(lost.render(Shape::Dahlia).get("status_details").is_none());
    assert_eq!(lost.render(Shape::Old)["status_transitions"]["marked_uncollectible_at"], START + 9);
    let void = base.clone().voided(START + 3).render(Shape::New);
    assert_eq!((&void["status"], &void["auto_advance"]), (&json!("void"), &json!(false)));
    let mailed = base.send_invoice(START + MONTH).render(Shape::New);
    assert_eq!(mailed["due_date"], START + MONTH);
    assert_eq!(mailed["next_payment_attempt"], Value::Null);
    let draft = InvoiceObject::new("in_2", "cus_1", None).status("draft").render(Shape::New);
    assert_eq!((&draft["hosted_invoice_url"], &draft["number"]), (&Value::Null, &Value::Null));
    assert_eq!(draft["parent"], Value::Null);
    let upcoming = InvoiceObject::upcoming("cus_1", "sub_1").render(Shape::New);
    assert!(upcoming.get("id").is_none());
    assert_eq!(upcoming["billing_reason"], "upcoming");
}

#[test]
fn a_payment_loses_its_invoice_and_a_refund_learns_its_customer() {
    let intent =
        PaymentIntentObject::new("pi_1", 900).invoice(Some("in_1")).latest_charge(Some("ch_1"));
    let (old, new) = (intent.render(Shape::Old), intent.render(Shape::New));
    differ(&old, &new, &["invoice"], &["customer_account"]);
    assert_eq!(intent.render(Shape::Acacia)["invoice"], "in_1");
    assert!(intent.render(Shape::Basil).get("invoice").is_none());
    assert_eq!(
        (&old["capture_method"], &new["capture_method"]),
        (&json!("automatic"), &json!("automatic_async"))
    );

    let refund = RefundObject::new("re_1", "ch_1", 300).customer(Some("cus_1"));
    let charge = ChargeObject::new("ch_1", Some("pi_1"), 900)
        .invoice(Some("in_1"))
        .amount_refunded(300)
        .dispute("dp_1")
        .refunds(std::slice::from_ref(&refund));
    let (old, new) = (charge.render(Shape::Old), charge.render(Shape::New));
    differ(&old, &new, &["invoice", "refunds"], &[]);
    assert_eq!(old["refunds"]["data"][0]["id"], "re_1");
    assert_eq!((&old["dispute"], &new["dispute"]), (&json!("dp_1"), &Value::Null));
    assert_eq!((&old["disputed"], &new["disputed"]), (&json!(true), &json!(true)));
    assert_eq!((&new["refunded"], &new["amount_refunded"]), (&json!(false), &json!(300)));
    let whole = charge.amount_refunded(900).render(Shape::New);
    assert_eq!(whole["refunded"], true);

    let (old, new) = (refund.render(Shape::Dahlia), refund.render(Shape::New));
    differ(&old, &new, &[], &["customer", "customer_account", "payment_method"]);
    assert!(new.get("livemode").is_none(), "a refund names no mode");
    let failed = refund.status("failed").failure_reason(Some("expired_or_canceled_card"));
    assert_eq!(failed.render(Shape::New)["failure_reason"], "expired_or_canceled_card");
}

#[test]
fn a_dispute_moves_money_only_when_it_is_real() {
    let inquiry = DisputeObject::new("dp_1", "ch_1", 900).status("warning_needs_response");
    let object = inquiry.render(Shape::New);
    assert_eq!(object["balance_transactions"], json!([]));
    assert_eq!(object["is_charge_refundable"], true);
    assert_eq!(object["payment_method_details"]["card"]["case_type"], "inquiry");
    let won = inquiry.status("won").withdrawn(true).reinstated(true);
    let amounts: Vec<Value> = won.render(Shape::New)["balance_transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["amount"].clone())
        .collect();
    assert_eq!(amounts, [json!(-900), json!(900)]);
    assert_eq!(won.render(Shape::Old), won.render(Shape::New));
}

#[test]
fn what_has_no_id_and_what_never_changes() {
    let features: Vec<String> = (1..=12).map(|number| format!("feature_{number}")).collect();
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    let summary = EntitlementSummaryObject::new("cus_1").features(&features);
    let warning = FraudWarningObject::new("issfr_1", "ch_1");
    let payment = InvoicePaymentObject::new("inpay_1", "in_1", "ch_1", 900);
    let card = PaymentSourceObject::new("card_1", "cus_1");
    for shape in Shape::ALL {
        let object = summary.render(shape);
        assert!(object.get("id").is_none());
        assert_eq!(object["entitlements"]["data"].as_array().unwrap().len(), 10);
        assert_eq!(object["entitlements"]["has_more"], true);
        assert_eq!(warning.render(shape), warning.render(Shape::New));
        assert_eq!(payment.render(shape)["payment"], json!({"type": "charge", "charge": "ch_1"}));
        assert_eq!(card.render(shape)["object"], "card");
    }
    assert_eq!(summary.entitlements().len(), 12);
    let few = summary.features(&["a"]).render(Shape::New);
    assert_eq!(few["entitlements"]["has_more"], false);
    let source = PaymentSourceObject::new("src_1", "cus_1").render(Shape::New);
    assert_eq!((&source["object"], &source["card"]["exp_month"]), (&json!("source"), &json!(1)));
    let method = PaymentMethodObject::new("pm_1", None).expires((3, 2027)).render(Shape::New);
    assert_eq!((&method["customer"], &method["card"]["exp_year"]), (&Value::Null, &json!(2027)));
}

#[test]
fn a_guest_has_no_customer_and_a_free_order_no_payment() {
    let guest = CheckoutObject::new("cs_live_1", None).payment_intent(Some("pi_1"));
    let (old, new) = (guest.render(Shape::Old), guest.render(Shape::New));
    differ(&old, &new, &["shipping_details"], &["collected_information", "customer_account"]);
    assert_eq!(
        (&new["customer"], &new["customer_creation"]),
        (&Value::Null, &json!("if_required"))
    );
    assert_eq!(guest.render(Shape::Clover)["ui_mode"], "hosted");
    assert_eq!(new["ui_mode"], "hosted_page");
    let free = guest.payment_intent(None).payment_status("no_payment_required");
    let free = free.amount_total(0).amount_discount(1_500).render(Shape::New);
    assert_eq!((&free["amount_total"], &free["amount_subtotal"]), (&json!(0), &json!(1_500)));
    assert_eq!(free["payment_intent"], Value::Null);
    let gone = CustomerObject::new("cus_1").render_deleted();
    assert_eq!(gone, json!({"id": "cus_1", "object": "customer", "deleted": true}));
}
