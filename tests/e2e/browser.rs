//! The quickstart's page in a real browser, from the first visit to a subscription that was failed,
//! mended, canceled and resumed. Chromium is driven over WebDriver.
//!
//! With `STRIPE_BILLING_SCREENSHOTS` set to a directory, it leaves pictures of every stage there.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::quickstart::{Server, client};

/// How long an element may take to appear, in milliseconds.
const PATIENCE: u64 = 30_000;
/// WebDriver's name for a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser, closed when this is dropped.
struct Browser {
    driver: Child,
    session: String,
    screenshots: Option<PathBuf>,
    _profile: TempDir,
}

/// chromedriver, or `None` where it is absent and may be.
fn start_driver() -> Option<(Child, String)> {
    let started = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut driver = match started {
        Ok(driver) => driver,
        Err(error) => {
            let required = std::env::var_os("STRIPE_BILLING_REQUIRE_SERVICES").is_some();
            assert!(!required, "chromedriver is required and does not run: {error}");
            println!("skipped: chromedriver does not run here ({error})");
            return None;
        }
    };
    let output = driver.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let port = lines.find_map(|line| {
        let port = line.rsplit("on port ").next()?.trim_end_matches('.');
        line.contains("started successfully").then(|| port.to_owned())
    });
    // The pipe has to be emptied for as long as it writes.
    std::thread::spawn(move || lines.for_each(drop));
    let port = port.expect("chromedriver says where it is");
    Some((driver, format!("http://127.0.0.1:{port}")))
}

impl Browser {
    async fn start() -> Option<Self> {
        let (driver, url) = start_driver()?;
        let profile = tempfile::tempdir().expect("a temporary directory");
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
        ];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"implicit": PATIENCE, "pageLoad": PATIENCE, "script": PATIENCE},
        }}});
        let mut browser = Self {
            driver,
            session: format!("{url}/session"),
            screenshots: std::env::var_os("STRIPE_BILLING_SCREENSHOTS").map(PathBuf::from),
            _profile: profile,
        };
        let session = browser.post("", &wanted).await.expect("a session");
        let id = session["sessionId"].as_str().expect("an id");
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    /// One WebDriver command; an error is its code.
    async fn post(&self, command: &str, body: &Value) -> Result<Value, String> {
        let request = client()
            .post(format!("{}{command}", self.session))
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await.expect("chromedriver answers");
        let answer: Value = answer.json().await.expect("JSON");
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].clone()),
        }
    }

    async fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.post("/execute/sync", &body).await.expect(script)
    }

    async fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url})).await.expect("the page opens");
    }

    /// Waits until an element is there.
    async fn wait(&self, selector: &str) -> String {
        let wanted = json!({"using": "css selector", "value": selector});
        match self.post("/element", &wanted).await {
            Ok(found) => found[ELEMENT].as_str().expect("an element").to_owned(),
            Err(error) => {
                self.picture("failed").await;
                let text = self.run("return location.href + '\\n' + document.body.innerText").await;
                panic!(
                    "`{selector}` did not appear ({error}) on:\n{}",
                    text.as_str().unwrap_or_default()
                )
            }
        }
    }

    /// Clicks an element as a person does, once nothing else is under way.
    async fn click(&self, selector: &str) {
        loop {
            self.wait("body:not(.working)").await;
            let element = self.wait(&format!("{selector}:not(:disabled)")).await;
            match self.post(&format!("/element/{element}/click"), &json!({})).await {
                Ok(_) => return,
                // The section was shown anew in between.
                Err(error) if error.starts_with("stale element reference") => {}
                Err(error) => panic!("{selector} cannot be clicked: {error}"),
            }
        }
    }

    /// The end of the time that is paid for, as the page shows it.
    async fn paid_until(&self) -> i64 {
        self.wait("#period-end[data-unix]").await;
        let end = self.run("return document.querySelector('#period-end').dataset.unix").await;
        end.as_str().and_then(|end| end.parse().ok()).expect("a time")
    }

    /// The credits to spend, as the page shows them.
    async fn balance(&self) -> i64 {
        self.wait("#balance[data-available]").await;
        let shown = "return document.querySelector('#balance').dataset.available";
        let shown = self.run(shown).await;
        shown.as_str().and_then(|shown| shown.parse().ok()).expect("a number")
    }

    async fn text(&self, selector: &str) -> String {
        self.wait(selector).await;
        let script = format!("return document.querySelector({selector:?}).innerText");
        self.run(&script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Leaves pictures, in both colour schemes and on a desk and a phone, where they are asked for.
    async fn picture(&self, name: &str) {
        let Some(directory) = &self.screenshots else {
            return;
        };
        std::fs::create_dir_all(directory).expect("a directory for pictures");
        for (scheme, device, width) in [
            ("light", "desk", 1280),
            ("dark", "desk", 1280),
            ("light", "phone", 390),
            ("dark", "phone", 390),
        ] {
            // Without motion, so that no picture is taken half way through a change of colour.
            let features = json!([
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]);
            self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
            let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1,
                "mobile": width < 600});
            self.devtools("Emulation.setDeviceMetricsOverride", size).await;
            let shot = json!({"format": "png", "captureBeyondViewport": true});
            let shot = self.devtools("Page.captureScreenshot", shot).await;
            let picture = decode(shot["data"].as_str().expect("a picture"));
            let file = directory.join(format!("{name}-{device}-{scheme}.png"));
            std::fs::write(file, picture).expect("the picture is written");
        }
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
        self.devtools("Emulation.setEmulatedMedia", json!({"features": []})).await;
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.post("/goog/cdp/execute", &body).await.expect(command)
    }

    /// What the browser complained about: a blocked script, a failed request.
    async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"})).await.expect("the log");
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(Value::to_string).collect()
    }

    async fn close(self) {
        let closed = client().delete(&self.session).send().await;
        assert!(closed.is_ok_and(|answer| answer.status().is_success()), "the browser closes");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browsers that it started, too.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Base64, as WebDriver wraps pictures.
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.bytes().filter_map(digit).collect();
    let groups = digits.chunks(4).flat_map(|group| {
        let bits = group.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit));
        let bytes = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes[1..group.len()].to_vec()
    });
    groups.collect()
}

#[tokio::test]
async fn a_visitor_goes_through_a_whole_life_of_a_subscription() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let server = Server::start(&[]).await;
    browser.open(&server.url).await;
    browser.wait("[data-state=no_subscription]").await;
    browser.picture("1-new").await;

    // Buys a plan on the hosted page, and comes back to find it there.
    browser.click("button[data-price=price_pro_monthly]").await;
    browser.wait("input[name=card]").await;
    browser.picture("2-hosted").await;
    browser.click("form button").await;
    browser.wait("[data-state=active][data-access=true]").await;
    assert_eq!(browser.text(".headline .badge").await, "Active");
    browser.picture("3-active").await;
    // From here on the page is never loaded again.
    browser.run("window.loaded = 'once'").await;

    // Renews when the time comes.
    let first = browser.paid_until().await;
    browser.click("button[value=renewal]").await;
    browser.wait(&format!("#period-end:not([data-unix='{first}'])")).await;
    let second = browser.paid_until().await;
    assert!(second - first >= 28 * 86_400, "{first} {second}");
    browser.wait("[data-state=active]").await;

    // A renewal fails: access goes on for a while.
    browser.click("button[value=failing]").await;
    browser.wait("button[value=failing][aria-pressed=true]").await;
    browser.click("button[value=renewal]").await;
    browser.wait("[data-state=past_due][data-access=true]").await;
    assert!(browser.text(".sentence").await.contains("Access goes on until"));
    browser.picture("4-grace").await;
    browser.click("button[value=three_days]").await;
    browser.wait("[data-state=past_due][data-access=true]").await;

    // Another card mends it.
    browser.click("button[value=good]").await;
    browser.wait("[data-state=active][data-access=true]").await;
    assert!(browser.paid_until().await > second);

    // Cancels, keeps what is paid for, and takes it back.
    browser.click("#cancel").await;
    browser.wait("[data-state=canceled][data-access=true]").await;
    assert!(browser.text(".sentence").await.starts_with("Canceled. Everything works until"));
    browser.picture("5-canceled").await;
    browser.click("#resume").await;
    browser.wait("[data-state=active][data-access=true]").await;
    browser.picture("6-resumed").await;

    assert_eq!(browser.run("return window.loaded").await, "once");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn one_account_does_not_see_the_other_and_grace_ends() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let server = Server::start(&[]).await;
    browser.open(&server.url).await;
    browser.click("label[for=annual]").await;
    browser.click("button[data-price=price_starter_annual]").await;
    browser.click("input[value='4000000000000341'] + span").await;
    browser.click("form button").await;
    browser.wait("[data-state=active]").await;

    browser.click(".person:nth-of-type(2)").await;
    browser.wait("[data-state=no_subscription]").await;
    browser.click(".person:nth-of-type(1)").await;
    browser.wait("[data-state=active]").await;

    browser.click("button[value=renewal]").await;
    browser.wait("[data-state=past_due][data-access=true]").await;
    // Five days of grace pass without an event that says so; two days later Stripe gives up.
    browser.click("button[value=three_days]").await;
    browser.click("button[value=three_days]").await;
    browser.wait("[data-state=past_due][data-access=false]").await;
    browser.picture("7-over").await;
    browser.click("button[value=three_days]").await;
    browser.wait("[data-state=canceled][data-access=false]").await;
    browser.close().await;
}

#[tokio::test]
async fn a_visitor_sees_what_fails_recover_and_a_ticket_close() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let server = Server::start(&[]).await;
    browser.open(&server.url).await;

    // A handler that fails is tried again by itself.
    browser.click("#flaky").await;
    browser.wait("li.trouble[data-status=retry_wait]").await;
    browser.picture("8-retry").await;
    browser.click("button[value=day]").await;
    browser.wait("#trouble:not(:has(li.trouble))").await;

    // What nobody can read waits for an operator, with a ticket that closes itself.
    browser.click("#unreadable").await;
    browser.wait("li.trouble[data-status=dead]").await;
    browser.wait("li.ticket[data-status=open]").await;
    browser.click("#unreadable").await;
    browser.wait("li.trouble[data-status=dead] + li.trouble[data-status=dead]").await;
    assert!(browser.text("li.ticket[data-status=open] span").await.ends_with("×2"), "one ticket");
    browser.picture("9-ticket").await;
    browser.click("li.trouble[data-status=dead] button").await;
    browser.wait("#trouble:not(:has(li.trouble + li.trouble))").await;
    browser.click("li.trouble[data-status=dead] button").await;
    browser.wait("li.ticket[data-status=resolved]").await;
    browser.wait("#trouble:not(:has(li.trouble))").await;

    // Operators were told once.
    browser.open(&format!("{}/inbox", server.url)).await;
    browser.wait("body.inbox").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn a_visitor_spends_credits_gets_back_what_failed_and_buys_a_pack() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let server = Server::start(&[]).await;
    browser.open(&server.url).await;
    browser.click("button[data-price=price_pro_monthly]").await;
    browser.click("form button").await;
    browser.wait("#balance[data-available]:not([data-available='0'])").await;
    let granted = browser.balance().await;

    // What fails comes back, what succeeds is spent.
    browser.click("#fail").await;
    browser.wait("#entries li[data-kind=reserve]").await;
    browser.wait("#entries li[data-kind=release]").await;
    browser.wait(&format!("#balance[data-available='{granted}']")).await;
    browser.picture("10-came-back").await;
    browser.click("#work").await;
    browser.wait("#entries li[data-kind=capture]").await;
    let left = browser.balance().await;
    assert!(left < granted, "{left} of {granted}");

    // A pack is bought like a plan, and is there with the visitor.
    browser.click("button[data-price=price_pack_500]").await;
    browser.wait("input[name=card]").await;
    browser.click("form button").await;
    browser.wait(&format!("#balance[data-available='{}']", left + 500)).await;
    browser.wait("#entries li[data-kind=grant]").await;
    browser.picture("11-pack").await;
    // A story that fails is answered with an error, and nothing else went wrong.
    let complaints = browser.complaints().await;
    let failed_story = |it: &String| it.contains("/demo/work") && it.contains("status of 500");
    assert!(complaints.len() == 1 && complaints.iter().all(failed_story), "{complaints:?}");
    browser.close().await;
}
