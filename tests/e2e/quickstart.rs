//! The quickstart as its users have it: the real binary, asked over HTTP and ended by signals.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use chrono::DateTime;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use stripe_billing_core::webhook::{self, WebhookSecret};
use stripe_billing_core::{Clock, SystemClock};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// The longest that anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const SECRET: &str = "whsec_e2e_hush";
pub(crate) const TOKEN: &str = "operator-hush";

/// A running server, killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    errors: UnboundedReceiver<String>,
    directory: TempDir,
}

/// How a server ended, and what it had to say that was not read before.
pub(crate) struct Ended {
    code: Option<i32>,
    pub(crate) errors: String,
}

/// The binary, built from what is here now.
fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--bin", "quickstart", "--message-format=json"])
            .current_dir(root)
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo runs");
        assert!(built.status.success(), "the quickstart does not build");
        let text = String::from_utf8_lossy(&built.stdout);
        let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut binaries = messages.filter_map(|message: Value| {
            let is_it = message["target"]["name"] == "quickstart";
            message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
        });
        binaries.next_back().expect("cargo says where the quickstart is")
    })
}

fn command(directory: &TempDir, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    // Whatever this machine is set up with is not meant for the tests.
    for name in std::env::vars_os().map(|(name, _)| name) {
        let text = name.to_string_lossy();
        let ours = ["BILLING_", "STRIPE_"].iter().any(|start| text.starts_with(start));
        if ours || ["DATABASE_URL", "RUST_LOG", "PAYMENTS_ENABLED"].contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    command
        .current_dir(directory.path())
        .env("BILLING_LISTEN", "127.0.0.1:0")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Lines of a pipe as they come.
fn lines(pipe: impl Read + Send + 'static) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody reads on once the test is over; the pipe still has to be emptied.
            let _ = sender.send(line);
        }
    });
    receiver
}

impl Server {
    /// Starts one and waits until it says where it is.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory"), variables).await
    }

    async fn start_in(directory: TempDir, variables: &[(&str, &str)]) -> Self {
        let mut server = Self::spawn(directory, variables);
        let mut output = lines(server.child.stdout.take().expect("a pipe"));
        let found = async {
            while let Some(line) = output.recv().await {
                if let Some(url) = line.trim().strip_prefix("Open ") {
                    return Some(url.trim().to_owned());
                }
            }
            None
        };
        let url = timeout(PATIENCE, found).await.expect("the quickstart starts in time");
        let Some(url) = url else {
            let mut log = String::new();
            while let Some(line) = server.errors.recv().await {
                log.push_str(&line);
                log.push('\n');
            }
            panic!("the quickstart did not start: {log}");
        };
        server.url = url;
        server
    }

    fn spawn(directory: TempDir, variables: &[(&str, &str)]) -> Self {
        let mut child = command(&directory, variables).spawn().expect("the quickstart runs");
        let errors = lines(child.stderr.take().expect("a pipe"));
        Self { child, url: String::new(), errors, directory }
    }

    /// Waits for a line of its log.
    async fn logged(&mut self, part: &str) {
        let found = async {
            while let Some(line) = self.errors.recv().await {
                if line.contains(part) {
                    return;
                }
            }
            panic!("the log ended without `{part}`");
        };
        timeout(PATIENCE, found).await.expect(part);
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) async fn stop(mut self) -> (Ended, TempDir) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        let ended = async {
            let mut errors = String::new();
            // The pipe closes with the process.
            while let Some(line) = self.errors.recv().await {
                errors.push_str(&line);
                errors.push('\n');
            }
            errors
        };
        let errors = timeout(PATIENCE, ended).await.expect("it ends after SIGTERM");
        let code = self.child.wait().expect("it ended").code();
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().expect("one"));
        (Ended { code, errors }, directory)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        client().get(format!("{}{path}", self.url))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        client().post(format!("{}{path}", self.url))
    }

    pub(crate) async fn json(&self, path: &str, account: &str) -> Value {
        let request = self.get(path).header("x-demo-account", account);
        let answer = request.bearer_auth(TOKEN).send().await.expect(path);
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.expect("JSON")
    }

    pub(crate) async fn deliver(&self, body: &str, secret: &str) -> (StatusCode, Value) {
        let secret = WebhookSecret::new(secret).expect("a secret");
        let signature = webhook::sign(body.as_bytes(), &secret, SystemClock.now());
        let request = self.post("/billing/webhook").header("stripe-signature", signature);
        let answer = request.body(body.to_owned()).send().await.expect("an answer");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    /// Reads the account's live page until it shows something.
    async fn sees(&self, account: &str, part: &str) {
        let cookie = format!("demo_account={account}");
        let request = self.get("/demo/live").header("cookie", cookie);
        let mut stream = request.send().await.expect("the live page");
        let shown = async {
            let mut text = String::new();
            while let Some(chunk) = stream.chunk().await.expect("the stream") {
                text.push_str(&String::from_utf8_lossy(&chunk));
                if text.contains(part) {
                    return;
                }
            }
            panic!("the stream ended without `{part}`: {text}");
        };
        timeout(PATIENCE, shown).await.expect(part);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that follows no redirect; these servers are on this machine and speak plain HTTP.
pub(crate) fn client() -> Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let make = || {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        // A pooled connection belongs to the runtime of the test that opened it.
        builder.pool_max_idle_per_host(0).build().expect("a client")
    };
    CLIENT.get_or_init(make).clone()
}

fn subscription(id: &str, account: &str) -> String {
    let now = SystemClock.now().timestamp();
    json!({
        "id": id, "object": "event", "type": "customer.subscription.created", "created": now,
        "livemode": false, "api_version": "2025-06-30.basil", "data": {"object": {
            "id": "sub_1", "object": "subscription", "status": "active", "customer": "cus_1",
            "metadata": {"account": account}, "created": now, "cancel_at_period_end": false,
            "items": {"object": "list", "data": [{
                "id": "si_1", "object": "subscription_item", "quantity": 1,
                "current_period_start": now, "current_period_end": now + 2_592_000,
                "price": {"id": "price_pro_monthly", "object": "price",
                    "recurring": {"interval": "month", "interval_count": 1}},
            }]},
        }},
    })
    .to_string()
}

const PAYLOADS_ONLY: [(&str, &str); 3] = [
    ("BILLING_STRIPE", "none"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_e2e_other,whsec_e2e_hush"),
    ("BILLING_OPERATOR_TOKEN", TOKEN),
];

#[tokio::test]
async fn it_serves_takes_events_and_stops_when_told() {
    let server = Server::start(&PAYLOADS_ONLY).await;
    let page = server.get("/").send().await.expect("the page");
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(page.text().await.expect("a page").contains("stripe-billing quickstart"));
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(server.get(path).send().await.expect(path).status(), StatusCode::OK);
    }

    let event = subscription("evt_1", "ada");
    let (status, body) = server.deliver(&event, "whsec_wrong").await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("signature_mismatch")));
    let (status, body) = server.deliver(&event, SECRET).await;
    assert_eq!((status, body), (StatusCode::OK, json!({"received": true, "duplicate": false})));
    server.sees("ada", r#"data-state=\"active\""#).await;
    let state = server.json("/billing/state", "ada").await;
    assert_eq!((&state["state"], &state["access"]), (&json!("active"), &json!(true)));
    assert_eq!(server.json("/billing/state", "ben").await["state"], "no_subscription");

    let refused = server.get("/operator/stats").bearer_auth("guess").send().await.expect("one");
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.json("/operator/stats", "").await["events"]["processed"], 1);
    let list = server.json("/operator/events?customer=cus_1&limit=5", "").await;
    assert_eq!(list["events"][0]["id"], "evt_1");
    assert_eq!(list["events"][0]["status"], "processed");

    // An open stream must not hold up the end.
    let stream = server.get("/demo/live").send().await.expect("the live page");
    let (ended, _) = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.errors.contains("stopped"), "{}", ended.errors);
    drop(stream);
    for secret in [SECRET, TOKEN, "whsec_e2e_other"] {
        assert!(!ended.errors.contains(secret), "a secret in the log: {}", ended.errors);
    }
}

#[tokio::test]
async fn what_it_took_survives_a_kill() {
    let mut server = Server::start(&PAYLOADS_ONLY).await;
    let event = subscription("evt_1", "ada");
    assert_eq!(server.deliver(&event, SECRET).await.0, StatusCode::OK);
    server.child.kill().expect("it runs");
    server.child.wait().expect("it ended");
    let directory = std::mem::replace(&mut server.directory, tempfile::tempdir().expect("one"));
    drop(server);

    // An event that the kill caught in the middle is taken over when its lease has run out.
    let mut variables = PAYLOADS_ONLY.to_vec();
    variables.push(("BILLING_LEASE_SECONDS", "1"));
    let server = Server::start_in(directory, &variables).await;
    let (status, body) = server.deliver(&event, SECRET).await;
    assert_eq!((status, body), (StatusCode::OK, json!({"received": true, "duplicate": true})));
}

#[tokio::test]
async fn every_mistake_of_the_configuration_is_named_and_ends_with_2() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mistakes = [
        ("BILLING_LISTEN", "everywhere"),
        ("DATABASE_URL", "oracle://app:tiger@db/billing"),
        ("BILLING_CATALOG", "missing.toml"),
        ("STRIPE_SECRET_KEY", "pk_test_hush"),
        ("BILLING_LIVEMODE", "maybe"),
        ("BILLING_WORKERS", "many"),
    ];
    let ended = command(&directory, &mistakes).output().expect("the quickstart runs");
    assert_eq!(ended.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&ended.stderr);
    for name in mistakes.map(|(name, _)| name).into_iter().chain(["STRIPE_WEBHOOK_SECRET"]) {
        assert!(errors.contains(&format!("- {name}")), "{name} in {errors}");
    }
    for secret in ["tiger", "pk_test_hush"] {
        assert!(!errors.contains(secret), "{errors}");
    }
}

#[tokio::test]
async fn it_waits_for_its_database_and_can_be_stopped_meanwhile() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = ("DATABASE_URL", "postgres://app:tiger@127.0.0.1:1/billing");
    let mut server = Server::spawn(directory, &[url]);
    server.logged("waiting for the database").await;
    let (ended, _) = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(!ended.errors.contains("tiger"), "{}", ended.errors);
}

#[tokio::test]
async fn with_nothing_configured_a_visitor_can_subscribe() {
    let server = Server::start(&[("BILLING_OPERATOR_TOKEN", TOKEN)]).await;
    let page = server.get("/").send().await.expect("the page");
    let cookie = page.headers()["set-cookie"].to_str().expect("text").to_owned();
    let ada = cookie
        .strip_prefix("demo_account=")
        .and_then(|rest| rest.split(';').next())
        .expect("an account");

    let order = server
        .post("/billing/checkout")
        .header("x-demo-account", ada)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("price=price_pro_monthly");
    let order: Value = order.send().await.expect("an answer").json().await.expect("JSON");
    let hosted = order["url"].as_str().expect("a hosted page");
    let paid = client()
        .post(hosted)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("card=4242424242424242&email=ada%40example.com")
        .send()
        .await
        .expect("the hosted page");
    assert_eq!(paid.status(), StatusCode::SEE_OTHER);
    let back = paid.headers()["location"].to_str().expect("text").to_owned();
    assert!(back.starts_with(&format!("{}/?checkout=success", server.url)), "{back}");

    server.sees(ada, r#"data-state=\"active\""#).await;
    let state = server.json("/billing/state", ada).await;
    assert_eq!(state["features"], json!(["export", "priority_support", "stories"]));
    let end = state["subscriptions"][0]["period_end"].as_i64().expect("a time");
    assert!(DateTime::from_timestamp(end, 0) > Some(SystemClock.now()));
}
