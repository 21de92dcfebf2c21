use serde_json::{Map, Value, json};

use super::invoice_line::Of;
use super::{InvoicePaymentObject, LineObject, Notes, notes_of, owned, setters};
use crate::event::Shape;
use crate::event::histories::{MONTH, START};

/// An invoice, as in <https://docs.stripe.com/api/invoices/object>.
#[derive(Clone, Debug)]
pub struct InvoiceObject {
    id: Option<String>,
    customer: String,
    subscription: Option<String>,
    status: String,
    billing_reason: String,
    lines: Vec<LineObject>,
    more_lines: bool,
    total: Option<i64>,
    amount_paid: Option<i64>,
    discount: Option<(String, i64)>,
    currency: String,
    attempt_count: i64,
    attempted: Option<bool>,
    auto_advance: Option<bool>,
    next_payment_attempt: Option<i64>,
    created: i64,
    finalized_at: Option<i64>,
    paid_at: Option<i64>,
    voided_at: Option<i64>,
    uncollectible: Option<(String, i64)>,
    due_date: Option<i64>,
    paid_out_of_band: bool,
    payment_intent: Option<Option<String>>,
    charge: Option<Option<String>>,
    payments: Option<Vec<InvoicePaymentObject>>,
    from_invoice: Option<String>,
    livemode: bool,
    metadata: Notes,
    own_metadata: Notes,
}

impl InvoiceObject {
    /// A live, open invoice of 15.00 USD for a subscription's first month; `None` is one written
    /// by hand.
    pub fn new(id: &str, customer: &str, subscription: Option<&str>) -> Self {
        let reason = if subscription.is_some() { "subscription_create" } else { "manual" };
        Self {
            id: Some(id.to_owned()),
            customer: customer.to_owned(),
            subscription: owned(subscription),
            status: "open".to_owned(),
            billing_reason: reason.to_owned(),
            lines: vec![LineObject::new(&format!("il_{id}"), 1_500)],
            more_lines: false,
            total: None,
            amount_paid: None,
            discount: None,
            currency: "usd".to_owned(),
            attempt_count: 0,
            attempted: None,
            auto_advance: None,
            next_payment_attempt: None,
            created: START,
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            uncollectible: None,
            due_date: None,
            paid_out_of_band: false,
            payment_intent: None,
            charge: None,
            payments: None,
            from_invoice: None,
            livemode: true,
            metadata: Notes::new(),
            own_metadata: Notes::new(),
        }
    }

    /// What the next renewal will bill, for `invoice.upcoming`: it has no id yet.
    pub fn upcoming(customer: &str, subscription: &str) -> Self {
        let period = (START + MONTH, START + 2 * MONTH);
        let mut invoice = Self::new("upcoming", customer, Some(subscription))
            .status("draft")
            .billing_reason("upcoming")
            .period(period);
        invoice.id = None;
        invoice
    }

    setters! {
        /// `draft`, `open`, `paid`, `uncollectible` or `void`.
        status: &str => |status| status.to_owned();
        /// `subscription_create`, `subscription_cycle`, `subscription_update`, `manual`, ...
        billing_reason: &str => |reason| reason.to_owned();
        /// Every line, in place of the one; their sum less the discount is the total.
        lines: &[LineObject] => |lines| lines.to_vec();
        /// Whether there are lines that have to be fetched.
        more_lines: bool => |more| more;
        /// What was paid, minor units; by default all once it is paid, and nothing before.
        amount_paid: i64 => |paid| Some(paid);
        /// A coupon and what it took off, minor units.
        discount: Option<(&str, i64)> => |of| of.map(|(coupon, off)| (coupon.to_owned(), off));
        /// Three letters in lower case.
        currency: &str => |currency| currency.to_owned();
        /// How often collection was tried.
        attempt_count: i64 => |count| count;
        /// Whether it was tried at all; by default what the count says. A first payment in
        /// Checkout leaves the count at 0.
        attempted: bool => |attempted| Some(attempted);
        /// Whether Stripe collects it by itself; by default while it is a draft or open.
        auto_advance: bool => |advances| Some(advances);
        /// When it will be tried again, Unix seconds.
        next_payment_attempt: Option<i64> => |seconds| seconds;
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// When it was finalised, Unix seconds; by default when it was created.
        finalized_at: i64 => |seconds| Some(seconds);
        /// When it was paid, Unix seconds.
        paid_at: Option<i64> => |seconds| seconds;
        /// Whether it was paid without Stripe.
        paid_out_of_band: bool => |outside| outside;
        /// The payment that pays it. Only shapes before basil say so.
        payment_intent: Option<&str> => |id| Some(owned(id));
        /// The charge that paid it. Only shapes before basil say so.
        charge: Option<&str> => |id| Some(owned(id));
        /// Embeds the payments from basil on, as a fetched invoice can have them. Webhooks come
        /// without.
        payments: &[InvoicePaymentObject] => |payments| Some(payments.to_vec());
        /// The invoice that this one stands in for.
        from_invoice: Option<&str> => |id| owned(id);
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The subscription's metadata, as the invoice repeats them.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
        /// The invoice's own metadata.
        own_metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// What the first line bills and, without further lines, the total; minor units.
    #[must_use]
    pub fn total(mut self, total: i64) -> Self {
        if let [line] = self.lines.as_mut_slice() {
            line.amount = total;
        } else {
            self.total = Some(total);
        }
        self
    }

    /// The price of the first line.
    #[must_use]
    pub fn price(mut self, price: &str) -> Self {
        self.first(|line| price.clone_into(&mut line.price));
        self
    }

    /// Start and end of the service that the first line bills, Unix seconds.
    #[must_use]
    pub fn period(mut self, period: (i64, i64)) -> Self {
        self.first(|line| line.period = period);
        self
    }

    /// Whether the first line settles a change in the middle of a period.
    #[must_use]
    pub fn proration(mut self, proration: bool) -> Self {
        self.first(|line| line.proration = proration);
        self
    }

    /// One line more.
    #[must_use]
    pub fn line(mut self, line: LineObject) -> Self {
        self.lines.push(line);
        self
    }

    /// It is sent by mail and due at an instant, Unix seconds: Stripe does not collect it.
    #[must_use]
    pub fn send_invoice(mut self, due_date: i64) -> Self {
        self.due_date = Some(due_date);
        self.next_payment_attempt = None;
        self
    }

    /// Void since an instant, Unix seconds.
    #[must_use]
    pub fn voided(mut self, at: i64) -> Self {
        self.status = "void".to_owned();
        self.voided_at = Some(at);
        self
    }

    /// Given up at an instant, Unix seconds. Endive says why: `max_payment_attempts`,
    /// `payment_not_received`, `subscription_canceled`, `subscription_paused` or `user_forgiven`.
    #[must_use]
    pub fn uncollectible(mut self, reason: &str, at: i64) -> Self {
        self.status = "uncollectible".to_owned();
        self.uncollectible = Some((reason.to_owned(), at));
        self
    }

    fn first(&mut self, change: impl FnOnce(&mut LineObject)) {
        if let Some(line) = self.lines.first_mut() {
            change(line);
        }
    }

    fn subtotal(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }

    fn amount_due(&self) -> i64 {
        let off = self.discount.as_ref().map_or(0, |(_, off)| *off);
        self.total.unwrap_or(self.subtotal() - off).max(0)
    }

    /// What arrived: through Stripe alone before basil, all of it since.
    fn received(&self, shape: Shape) -> i64 {
        match self.amount_paid {
            Some(paid) => paid,
            None if self.status != "paid" => 0,
            None if self.paid_out_of_band && shape.is_old() => 0,
            None => self.amount_due(),
        }
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let mut invoice = self.basics(shape);
        if let Value::Object(map) = &mut invoice {
            if let Some(id) = &self.id {
                map.insert("id".to_owned(), json!(id));
            }
            if shape.is_old() {
                self.before_basil(map);
            } else {
                self.since_basil(map, shape);
            }
        }
        match shape {
            Shape::Old | Shape::Autumn2023 => invoice["rendering_options"] = Value::Null,
            _ => invoice["rendering"] = Value::Null,
        }
        invoice
    }

    fn basics(&self, shape: Shape) -> Value {
        let name = self.id.as_deref().unwrap_or("upcoming");
        let finalized = self.status != "draft";
        let open = matches!(self.status.as_str(), "draft" | "open");
        let (due, received) = (self.amount_due(), self.received(shape));
        let url = finalized.then(|| format!("https://invoice.stripe.test/i/{name}"));
        let off = self.discount.as_ref().map(|(_, off)| *off);
        let off: Vec<Value> =
            off.iter().map(|off| json!({"amount": off, "discount": "di_1"})).collect();
        let method = if self.due_date.is_some() { "send_invoice" } else { "charge_automatically" };
        json!({
            "object": "invoice", "account_country": "US", "amount_due": due,
            "amount_paid": received, "amount_remaining": due - received,
            "attempt_count": self.attempt_count,
            "attempted": self.attempted.unwrap_or(self.attempt_count > 0),
            "auto_advance": self.auto_advance.unwrap_or(open),
            "billing_reason": self.billing_reason, "collection_method": method,
            "created": self.created, "currency": self.currency, "customer": self.customer,
            "customer_email": "jane@example.test",
            "discounts": off.iter().map(|_| "di_1").collect::<Vec<_>>(),
            "due_date": self.due_date, "ending_balance": finalized.then_some(0),
            "from_invoice": self.from_invoice.as_ref()
                .map(|id| json!({"action": "revision", "invoice": id})),
            "hosted_invoice_url": url, "invoice_pdf": url.as_ref().map(|url| format!("{url}/pdf")),
            "lines": self.rendered_lines(shape, name),
            "livemode": self.livemode, "metadata": self.own_metadata,
            "next_payment_attempt": self.next_payment_attempt,
            "number": finalized.then(|| format!("8A1C3F2B-{name}")),
            "period_end": self.created, "period_start": self.created, "starting_balance": 0,
            "status": self.status, "status_transitions": self.transitions(finalized),
            "subtotal": self.subtotal(),
            "total": self.total.unwrap_or(self.subtotal() - off_of(self.discount.as_ref())),
            "total_discount_amounts": off,
        })
    }

    fn transitions(&self, finalized: bool) -> Value {
        let at = self.finalized_at.unwrap_or(self.created);
        json!({"finalized_at": finalized.then_some(at),
            "marked_uncollectible_at": self.uncollectible.as_ref().map(|(_, at)| *at),
            "paid_at": self.paid_at, "voided_at": self.voided_at})
    }

    fn rendered_lines(&self, shape: Shape, name: &str) -> Value {
        let of = Of {
            invoice: name,
            subscription: self.subscription.as_deref(),
            currency: &self.currency,
            livemode: self.livemode,
            metadata: &self.metadata,
        };
        let data: Vec<Value> = self.lines.iter().map(|line| line.render(shape, &of)).collect();
        json!({"object": "list", "data": data, "has_more": self.more_lines,
            "total_count": self.lines.len(), "url": format!("/v1/invoices/{name}/lines")})
    }

    fn before_basil(&self, invoice: &mut Map<String, Value>) {
        let id = self.id.as_deref().unwrap_or("upcoming");
        let (paid, moves) = (self.status == "paid", self.amount_due() > 0);
        let by_stripe = moves && !self.paid_out_of_band;
        let intent = (self.status != "draft" && moves).then(|| format!("pi_{id}"));
        let charge = (paid && by_stripe).then(|| format!("ch_{id}"));
        let discount = self.discount.as_ref().map(|(coupon, _)| {
            json!({"id": "di_1", "object": "discount", "coupon": {"id": coupon,
                "object": "coupon"}, "customer": self.customer, "start": self.created})
        });
        for (key, value) in [
            ("charge", json!(self.charge.clone().unwrap_or(charge))),
            ("discount", json!(discount)),
            ("paid", json!(paid)),
            ("paid_out_of_band", json!(self.paid_out_of_band)),
            ("payment_intent", json!(self.payment_intent.clone().unwrap_or(intent))),
            ("quote", Value::Null),
            ("subscription", json!(self.subscription)),
            ("subscription_details", json!({"metadata": self.metadata})),
            ("tax", Value::Null),
            ("total_tax_amounts", json!([])),
        ] {
            invoice.insert(key.to_owned(), value);
        }
    }

    fn since_basil(&self, invoice: &mut Map<String, Value>, shape: Shape) {
        let mut put = |key: &str, value: Value| invoice.insert(key.to_owned(), value);
        let parent = self.subscription.as_ref().map(|subscription| {
            json!({"quote_details": null, "type": "subscription_details",
                "subscription_details": {"metadata": self.metadata,
                    "subscription": subscription}})
        });
        put("parent", json!(parent));
        put("total_taxes", json!([]));
        put("amount_overpaid", json!(0));
        if let Some(payments) = &self.payments {
            let data: Vec<Value> = payments.iter().map(|payment| payment.render(shape)).collect();
            let url = "/v1/invoice_payments";
            put("payments", json!({"object": "list", "data": data, "has_more": false, "url": url}));
        }
        if shape >= Shape::Clover {
            put("customer_account", Value::Null);
        }
        if shape >= Shape::Endive {
            let outside = if self.paid_out_of_band { self.received(shape) } else { 0 };
            put("amount_paid_off_stripe", json!(outside));
            if let Some((reason, _)) = &self.uncollectible {
                put("status_details", json!({"uncollectible": {"reason": reason}}));
            }
        }
    }
}

fn off_of(discount: Option<&(String, i64)>) -> i64 {
    discount.map_or(0, |(_, off)| *off)
}
