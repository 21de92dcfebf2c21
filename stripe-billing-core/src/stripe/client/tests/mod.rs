mod failures;
mod lookups;
mod observed;
mod retries;
mod server;
mod wire;

use std::time::Duration;

use self::server::Server;
use super::{StripeClient, StripeClientBuilder};
use crate::stripe::IdempotencyKey;

/// Of the form of a real key, so that every place where one could leak is looked at.
const KEY: &str = "sk_test_51NeverShowThisToAnybody";

fn builder(server: &Server) -> StripeClientBuilder {
    StripeClient::builder(KEY).api_base(&server.base).retry_base(Duration::from_millis(1))
}

fn client(server: &Server) -> StripeClient {
    builder(server).build().unwrap()
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

/// Everything that an error could print, with its sources.
fn printed(error: &dyn std::error::Error) -> String {
    let mut all = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        all.push_str(&format!(" {error} {error:?}"));
        source = error.source();
    }
    all
}
