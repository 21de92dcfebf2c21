//! The environment, checked: a pure function that names every mistake at once.

use std::net::SocketAddr;

use chrono::TimeDelta;
use stripe_billing_core::Secret;
use stripe_billing_core::catalog::Catalog;
use stripe_billing_core::stripe::{StripeApi, StripeClient};
use stripe_billing_email::Mailbox;
use stripe_billing_hooks::{Endpoint, Hooks};
use tracing_subscriber::EnvFilter;

use crate::inbox::MailConfig;

/// What is sold when `BILLING_CATALOG` names no file.
const DEMO_CATALOG: &str = include_str!("catalog.toml");

/// Which Stripe there is.
#[derive(Clone, Debug)]
pub(crate) enum Stripe {
    /// One inside the process, with a clock that can be moved.
    Fake,
    /// The real one, or another server that speaks its language.
    Live(Box<StripeClient>),
    /// None: everything is decided from what the events say, and nothing is sold.
    None,
}

/// Everything the server is told from outside.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) database: Secret,
    pub(crate) catalog: Catalog,
    /// Never empty, except with [`Stripe::Fake`], which then gets one of its own.
    pub(crate) webhook_secrets: Vec<Secret>,
    pub(crate) stripe: Stripe,
    /// Made up and printed at start where there is none.
    pub(crate) operator_token: Option<Secret>,
    /// Apply only events of this mode; both where there is none.
    pub(crate) livemode: Option<bool>,
    pub(crate) payments_enabled: bool,
    pub(crate) mail: MailConfig,
    /// Where facts are posted to.
    pub(crate) hooks: Option<Hooks>,
    pub(crate) log: String,
    pub(crate) lease: TimeDelta,
    pub(crate) workers: usize,
    /// Variables that are set and have no effect here.
    pub(crate) unused: Vec<&'static str>,
}

/// Collects mistakes while it reads.
struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<String>,
}

impl Reader<'_> {
    /// A variable that is set to something.
    fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    fn wrong(&mut self, mistake: impl Into<String>) {
        self.mistakes.push(mistake.into());
    }

    /// A variable read by `read`; what cannot be read is a mistake and counts as `default`.
    fn value<T>(
        &mut self,
        name: &str,
        default: T,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> T {
        let Some(text) = self.text(name) else {
            return default;
        };
        read(&text).unwrap_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            self.wrong(format!("{name}: `{}` is not {expected}", shown.escape_debug()));
            default
        })
    }
}

impl Config {
    /// Reads the environment through `lookup` and files through `read_file`.
    ///
    /// # Errors
    /// Every mistake, each with the variable that it is in.
    pub(crate) fn read(
        lookup: &dyn Fn(&str) -> Option<String>,
        read_file: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, Vec<String>> {
        let mut from = Reader { lookup, mistakes: Vec::new() };
        let boolean = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        };
        let stripe = stripe(&mut from);
        let config = Self {
            listen: from.value(
                "BILLING_LISTEN",
                SocketAddr::from(([127, 0, 0, 1], 3000)),
                "an address such as 127.0.0.1:3000",
                |text| text.parse().ok(),
            ),
            database: database(&mut from),
            catalog: catalog(&mut from, read_file),
            webhook_secrets: secrets(&mut from, matches!(stripe, Stripe::Fake)),
            livemode: livemode(&mut from, &stripe),
            operator_token: from.text("BILLING_OPERATOR_TOKEN").map(Secret::from),
            payments_enabled: from.value("PAYMENTS_ENABLED", true, "`true` or `false`", boolean),
            mail: mail(&mut from),
            hooks: hooks(&mut from),
            log: log(&mut from),
            lease: from.value(
                "BILLING_LEASE_SECONDS",
                TimeDelta::seconds(30),
                "a number of seconds from 1 to 86400",
                |text| {
                    let seconds = text.parse().ok().filter(|it| (1..=86_400).contains(it))?;
                    TimeDelta::try_seconds(seconds)
                },
            ),
            workers: from.value("BILLING_WORKERS", 4, "a number from 0 to 64", |text| {
                text.parse().ok().filter(|count| *count <= 64)
            }),
            unused: unused(&from, &stripe),
            stripe,
        };
        if from.mistakes.is_empty() { Ok(config) } else { Err(from.mistakes) }
    }
}

fn stripe(from: &mut Reader<'_>) -> Stripe {
    let key = from.text("STRIPE_SECRET_KEY");
    let default = if key.is_some() { "live" } else { "fake" };
    let mode = from.text("BILLING_STRIPE").unwrap_or_else(|| default.to_owned());
    match mode.as_str() {
        "fake" => Stripe::Fake,
        "none" => Stripe::None,
        "live" => {
            let Some(key) = key else {
                from.wrong("STRIPE_SECRET_KEY: is not set, and BILLING_STRIPE is `live`");
                return Stripe::None;
            };
            let mut client = StripeClient::builder(key.as_str());
            if let Some(base) = from.text("STRIPE_API_BASE") {
                client = client.api_base(base);
            }
            match client.build() {
                Ok(client) => Stripe::Live(Box::new(client)),
                Err(error) => {
                    for problem in error.problems() {
                        from.wrong(format!("STRIPE_SECRET_KEY, STRIPE_API_BASE: {problem}"));
                    }
                    Stripe::None
                }
            }
        }
        other => {
            let shown = other.escape_debug();
            from.wrong(format!("BILLING_STRIPE: `{shown}` is not `fake`, `live` or `none`"));
            Stripe::None
        }
    }
}

fn database(from: &mut Reader<'_>) -> Secret {
    let url =
        from.text("DATABASE_URL").unwrap_or_else(|| "sqlite://billing.db?mode=rwc".to_owned());
    let scheme = url.split(':').next().unwrap_or_default();
    let known = ["sqlite", "postgres", "postgresql", "mysql", "mariadb"];
    if !url.contains(':') || !known.contains(&scheme) {
        // Never the URL itself: it may hold a password.
        from.wrong(
            "DATABASE_URL: has to begin with sqlite:, postgres: or mysql: (also for MariaDB), such \
             as sqlite://billing.db?mode=rwc",
        );
    }
    Secret::from(url)
}

fn catalog(from: &mut Reader<'_>, read_file: &dyn Fn(&str) -> std::io::Result<String>) -> Catalog {
    let (name, text) = match from.text("BILLING_CATALOG") {
        None => ("the demo's catalog".to_owned(), DEMO_CATALOG.to_owned()),
        Some(path) => match read_file(&path) {
            Ok(text) => (path, text),
            Err(error) => {
                from.wrong(format!("BILLING_CATALOG: {path} cannot be read: {error}"));
                return Catalog::default();
            }
        },
    };
    Catalog::from_toml_with(&text, from.lookup).unwrap_or_else(|error| {
        for mistake in error.mistakes {
            from.wrong(format!("BILLING_CATALOG: {name}: {mistake}"));
        }
        Catalog::default()
    })
}

fn secrets(from: &mut Reader<'_>, optional: bool) -> Vec<Secret> {
    let Some(list) = from.text("STRIPE_WEBHOOK_SECRET") else {
        if !optional {
            from.wrong(
                "STRIPE_WEBHOOK_SECRET: is not set; it is the endpoint's whsec_..., several \
                 separated by commas while one is rolled",
            );
        }
        return Vec::new();
    };
    if list.split(',').any(|secret| secret.trim().is_empty()) {
        from.wrong("STRIPE_WEBHOOK_SECRET: one of the secrets is blank");
    }
    list.split(',').map(|secret| Secret::from(secret.trim())).collect()
}

fn livemode(from: &mut Reader<'_>, stripe: &Stripe) -> Option<bool> {
    let of_key = match stripe {
        Stripe::Live(client) => client.livemode(),
        Stripe::Fake | Stripe::None => None,
    };
    let expected = "`true`, `false` or `any`";
    let livemode = from.value("BILLING_LIVEMODE", of_key, expected, |text| match text {
        "true" => Some(Some(true)),
        "false" => Some(Some(false)),
        "any" => Some(None),
        _ => None,
    });
    if let (Some(wanted), Some(of_key)) = (livemode, of_key)
        && wanted != of_key
    {
        let key = if of_key { "live" } else { "test" };
        from.wrong(format!("BILLING_LIVEMODE: is {wanted}, and the secret key is a {key} key"));
    }
    livemode
}

fn mail(from: &mut Reader<'_>) -> MailConfig {
    let operators = from.text("BILLING_MAIL_OPERATORS").unwrap_or_default();
    let operators = operators.split(',').map(str::trim).filter(|address| !address.is_empty());
    let config = MailConfig {
        smtp: from.text("SMTP_URL").map(Secret::from),
        from: from.text("BILLING_MAIL_FROM").unwrap_or_else(|| "billing@localhost".to_owned()),
        operators: operators.map(str::to_owned).collect(),
        test_to: from.text("BILLING_MAIL_TEST_TO"),
    };
    if let Err(error) = config.builder(&Mailbox::default()).build() {
        for mistake in error.mistakes() {
            from.wrong(format!("SMTP_URL, BILLING_MAIL_...: {mistake}"));
        }
    }
    config
}

fn hooks(from: &mut Reader<'_>) -> Option<Hooks> {
    let url = from.text("BILLING_HOOK_URL")?;
    let Some(list) = from.text("BILLING_HOOK_SECRET") else {
        from.wrong("BILLING_HOOK_SECRET: is not set, and BILLING_HOOK_URL is");
        return None;
    };
    let mut secrets = list.split(',').map(str::trim);
    let endpoint = Endpoint::new(url, secrets.next().unwrap_or_default());
    let endpoint = secrets.fold(endpoint, Endpoint::also_sign_with);
    match Hooks::builder().endpoint(endpoint).build() {
        Ok(hooks) => Some(hooks),
        Err(error) => {
            for mistake in error.mistakes() {
                from.wrong(format!("BILLING_HOOK_URL, BILLING_HOOK_SECRET: {mistake}"));
            }
            None
        }
    }
}

fn log(from: &mut Reader<'_>) -> String {
    let filter = from.text("RUST_LOG").unwrap_or_else(|| "info".to_owned());
    if EnvFilter::try_new(&filter).is_err() {
        from.wrong("RUST_LOG: is no filter such as `info` or `info,stripe_billing_core=debug`");
    }
    filter
}

fn unused(from: &Reader<'_>, stripe: &Stripe) -> Vec<&'static str> {
    let mut candidates = vec!["REDIS_URL"];
    if from.text("BILLING_HOOK_URL").is_none() {
        candidates.push("BILLING_HOOK_SECRET");
    }
    if !matches!(stripe, Stripe::Live(_)) {
        candidates.extend(["STRIPE_SECRET_KEY", "STRIPE_API_BASE"]);
    }
    candidates.retain(|name| from.text(name).is_some());
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key that the README names.
    const EVERY_KEY: &str = r#"
        [link]
        account = "app_user"
        pack = "bundle"
        [policy]
        past_due_grace = "7d"
        on_dispute = "revoke_access"
        on_full_refund = "revoke_access"
        credit_residual = "write_off"
        connected_accounts = "separate"
        [plan.pro]
        features = ["stories", "export"]
        limits = { projects = 20 }
        trial_days = 14
        trial_credits = { credits = 50 }
        [[plan.pro.price]]
        id = "${PRICE_PRO_MONTHLY}"
        credits = { credits = 500 }
        [[plan.pro.price]]
        id = "price_pro_yearly"
        period = "year"
        features = ["priority_support"]
        credits = { credits = 6000 }
        [pack.pack_1000]
        price = "price_123"
        credits = { credits = 1000 }
    "#;

    fn read(variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let read_file = |path: &str| match path {
            "good.toml" => Ok("[plan.pro]\n[[plan.pro.price]]\nid = \"${PRICE}\"\n".to_owned()),
            "every_key.toml" => Ok(EVERY_KEY.to_owned()),
            "bad.toml" => Ok("[plan.pro]\nfeatures = 7\nnonsense = true\n".to_owned()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        Config::read(&lookup, &read_file)
    }

    #[test]
    fn nothing_at_all_is_the_demo() {
        let config = read(&[]).unwrap();
        assert!(matches!(config.stripe, Stripe::Fake));
        assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
        assert_eq!(config.database.expose(), "sqlite://billing.db?mode=rwc");
        assert_eq!(config.catalog.plans().len(), 2);
        assert_eq!(config.webhook_secrets, []);
        assert_eq!(config.livemode, None);
        assert!(config.payments_enabled);
        assert_eq!((config.lease, config.workers), (TimeDelta::seconds(30), 4));
        assert_eq!(config.unused, Vec::<&str>::new());
    }

    #[test]
    fn a_key_makes_it_real() {
        let config = read(&[
            ("STRIPE_SECRET_KEY", "sk_live_1"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_a, whsec_b"),
            ("BILLING_CATALOG", "good.toml"),
            ("PRICE", "price_1"),
            ("REDIS_URL", "redis://localhost"),
        ])
        .unwrap();
        assert!(matches!(config.stripe, Stripe::Live(_)));
        assert_eq!(config.livemode, Some(true));
        assert_eq!(config.webhook_secrets.len(), 2);
        assert!(config.catalog.plan_of_price("price_1").is_some());
        assert_eq!(config.unused, ["REDIS_URL"]);
        assert!(!format!("{config:?}").contains("sk_live_1"));
        assert!(!format!("{config:?}").contains("whsec_a"));
    }

    #[test]
    fn payloads_alone_need_a_secret_and_no_key() {
        let config = read(&[("BILLING_STRIPE", "none"), ("STRIPE_WEBHOOK_SECRET", "whsec_a")]);
        assert!(matches!(config.unwrap().stripe, Stripe::None));
        let mistakes = read(&[("BILLING_STRIPE", "none")]).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].starts_with("STRIPE_WEBHOOK_SECRET"));
    }

    #[test]
    fn every_mistake_is_named_at_once_and_no_secret() {
        let mistakes = read(&[
            ("BILLING_LISTEN", "everywhere"),
            ("DATABASE_URL", "oracle://app:tiger@db/billing"),
            ("BILLING_CATALOG", "bad.toml"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_hush,,"),
            ("BILLING_STRIPE", "live"),
            ("BILLING_LIVEMODE", "maybe"),
            ("PAYMENTS_ENABLED", "sometimes"),
            ("RUST_LOG", "in=fo=x"),
            ("BILLING_LEASE_SECONDS", "0"),
            ("BILLING_WORKERS", "many"),
        ])
        .unwrap_err();
        for name in [
            "BILLING_LISTEN",
            "DATABASE_URL",
            "BILLING_CATALOG: bad.toml: line 2",
            "BILLING_CATALOG: bad.toml: line 3",
            "STRIPE_WEBHOOK_SECRET",
            "STRIPE_SECRET_KEY",
            "BILLING_LIVEMODE",
            "PAYMENTS_ENABLED",
            "RUST_LOG",
            "BILLING_LEASE_SECONDS",
            "BILLING_WORKERS",
        ] {
            let named = mistakes.iter().filter(|mistake| mistake.starts_with(name)).count();
            assert_eq!(named, 1, "{name} in {mistakes:#?}");
        }
        let text = mistakes.join("\n");
        assert!(!text.contains("tiger") && !text.contains("whsec_hush"), "{text}");
    }

    #[test]
    fn key_and_mode_have_to_agree() {
        let mistakes = read(&[
            ("STRIPE_SECRET_KEY", "sk_test_1"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_a"),
            ("BILLING_LIVEMODE", "true"),
        ])
        .unwrap_err();
        assert_eq!(mistakes, ["BILLING_LIVEMODE: is true, and the secret key is a test key"]);
    }

    #[test]
    fn a_catalog_may_use_every_key() {
        let config = read(&[
            ("BILLING_CATALOG", "every_key.toml"),
            ("PRICE_PRO_MONTHLY", "price_of_the_environment"),
        ]);
        let catalog = config.unwrap().catalog;
        assert_eq!(
            (catalog.link().account.as_str(), catalog.link().pack.as_str()),
            ("app_user", "bundle")
        );
        let policy = catalog.policy();
        assert_eq!(policy.past_due_grace, TimeDelta::days(7));
        let words = [
            policy.on_dispute.as_str(),
            policy.on_full_refund.as_str(),
            policy.credit_residual.as_str(),
            policy.connected_accounts.as_str(),
        ];
        assert_eq!(words, ["revoke_access", "revoke_access", "write_off", "separate"]);
        let (plan, price) = catalog.plan_of_price("price_of_the_environment").unwrap();
        assert_eq!((plan.limits["projects"], price.credits["credits"]), (20, 500));
        assert_eq!(catalog.packs()[0].credits["credits"], 1_000);
    }

    #[test]
    fn facts_are_posted_where_a_url_says_so() {
        let secrets =
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD, whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let url = ("BILLING_HOOK_URL", "https://crm.acme.test/hush");
        let config = read(&[url, ("BILLING_HOOK_SECRET", secrets)]).unwrap();
        assert!(config.hooks.is_some() && !format!("{config:?}").contains("hush"));
        let config = read(&[("BILLING_HOOK_SECRET", secrets)]).unwrap();
        assert!(config.hooks.is_none());
        assert_eq!(config.unused, ["BILLING_HOOK_SECRET"]);
        assert_eq!(read(&[url]).unwrap_err().len(), 1);
        let mistakes = read(&[url, ("BILLING_HOOK_SECRET", "whsec_hush!")]).unwrap_err();
        assert!(mistakes.len() == 1 && !mistakes[0].contains("hush"), "{mistakes:?}");
    }

    #[test]
    fn a_missing_catalog_is_a_mistake() {
        let mistakes = read(&[("BILLING_CATALOG", "none.toml")]).unwrap_err();
        assert!(mistakes[0].starts_with("BILLING_CATALOG: none.toml cannot be read"));
    }
}
