"""Drives FakeStripe with Stripe's own Python library, and checks its webhooks with the library's verifier.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install stripe==16.1.0
    cargo run -p stripe-billing-testing --example fake_stripe -- \
        127.0.0.1:12111 http://127.0.0.1:12112/hook whsec_sdk_check &
    /tmp/venv/bin/python stripe-billing-testing/sdk-check/python.py

Exits with 0 and prints one line per check when all is well.
"""

import http.server
import queue
import sys
import threading
import urllib.parse
import urllib.request

import stripe

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:12111"
SECRET = "whsec_sdk_check"
deliveries: "queue.Queue[tuple[bytes, str]]" = queue.Queue()


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        deliveries.put((body, self.headers["Stripe-Signature"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def check(name, ok):
    print(("ok    " if ok else "FAIL  ") + name)
    if not ok:
        sys.exit(1)


def post_form(url, fields):
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    data = urllib.parse.urlencode(fields).encode()
    try:
        urllib.request.build_opener(Stay).open(url, data)
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers.get("Location", "")
    return 200, ""


server = http.server.ThreadingHTTPServer(("127.0.0.1", 12112), Hook)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = stripe.StripeClient("sk_test_sdk_check", base_addresses={"api": BASE})

customer = client.v1.customers.create(
    {"email": "ada@example.com", "metadata": {"app_user": "ada"}}, {"idempotency_key": "sdk-1"}
)
check("create a customer", customer.id.startswith("cus_") and customer.metadata["app_user"] == "ada")
again = client.v1.customers.create(
    {"email": "ada@example.com", "metadata": {"app_user": "ada"}}, {"idempotency_key": "sdk-1"}
)
replayed = again.last_response.headers.get("Idempotent-Replayed")
check("the same key replays", again.id == customer.id and replayed == "true")
try:
    client.v1.customers.create({"email": "eve@example.com"}, {"idempotency_key": "sdk-1"})
    check("another request under the key is refused", False)
except stripe.IdempotencyError as error:
    check("another request under the key is refused", error.http_status == 400)
try:
    client.v1.customers.retrieve("cus_none")
    check("an unknown customer is an error", False)
except stripe.InvalidRequestError as error:
    check("an unknown customer is an error", error.code == "resource_missing" and bool(error.request_id))
try:
    stripe.StripeClient("pk_wrong", base_addresses={"api": BASE}).v1.events.list()
    check("a wrong key is refused", False)
except stripe.AuthenticationError as error:
    check("a wrong key is refused", error.http_status == 401)

price = client.v1.prices.create(
    {
        "currency": "usd",
        "unit_amount": 1900,
        "recurring": {"interval": "month"},
        "product_data": {"name": "Pro"},
    }
)
check("create a price", price.recurring.interval == "month" and price.unit_amount == 1900)
session = client.v1.checkout.sessions.create(
    {
        "mode": "subscription",
        "customer": customer.id,
        "client_reference_id": "ada",
        "success_url": "http://app.test/done?s={CHECKOUT_SESSION_ID}",
        "line_items": [{"price": price.id, "quantity": 2}],
        "subscription_data": {"metadata": {"app_user": "ada"}},
        "expand": ["line_items"],
    }
)
check("create a checkout session", session.line_items.data[0].quantity == 2 and session.status == "open")
code, location = post_form(session.url, {"card": "4000000000000002", "email": "ada@example.com"})
check("a declined card stays on the page", code == 402)
code, location = post_form(session.url, {"card": "4242424242424242", "email": "ada@example.com"})
check("a good card leads to the shop", code == 303 and location.endswith(session.id))
session = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription.latest_invoice"]})
subscription = session.subscription
check("the session is complete", session.status == "complete" and session.payment_status == "paid")
check("the subscription is active", subscription.status == "active")
check("the invoice is paid", subscription.latest_invoice.status == "paid")
check("its total is right", subscription.latest_invoice.total == 3800)

first, second = client.v1.events.list({"limit": 2}).data
check("events list newest first", first.type == "checkout.session.completed")
everything = [event.id for event in client.v1.events.list({"limit": 5}).auto_paging_iter()]
check("pagination reaches every event once", len(everything) == len(set(everything)) > 15)
paid = client.v1.events.list({"types": ["invoice.paid"]}).data
check("events filter by type", {event.type for event in paid} == {"invoice.paid"})

client.v1.subscriptions.update(
    subscription.id,
    {"cancel_at_period_end": True, "cancellation_details": {"feedback": "unused"}},
)
check("cancel at period end", client.v1.subscriptions.retrieve(subscription.id).cancel_at is not None)
payments = client.v1.invoice_payments.list({"invoice": subscription.latest_invoice.id})
intent = payments.data[0].payment.payment_intent
refund = client.v1.refunds.create({"payment_intent": intent, "amount": 100})
check("refund", refund.status == "succeeded" and refund.amount == 100)
portal = client.v1.billing_portal.sessions.create({"customer": customer.id})
check("portal session", urllib.request.urlopen(portal.url).status == 200)

seen = []
while not seen or seen[-1] != "billing_portal.session.created":
    body, signature = deliveries.get(timeout=10)
    seen.append(client.construct_event(body, signature, SECRET).type)
check(f"{len(seen)} webhooks pass the library's verifier", "invoice.paid" in seen)
body, signature = body + b" ", signature
try:
    client.construct_event(body, signature, SECRET)
    check("a changed body does not", False)
except stripe.SignatureVerificationError:
    check("a changed body does not", True)
