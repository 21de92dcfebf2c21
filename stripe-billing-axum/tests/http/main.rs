//! The router, asked over HTTP without a socket.

#![allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.

mod app;
mod buying;
mod credits;
mod hostile;
mod operator;
mod orders;
mod outage;
mod reading;
mod selling;
mod webhook;
