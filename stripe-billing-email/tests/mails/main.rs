//! Mails as they are written, and as servers take them.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod aiosmtpd;
mod crashes;
mod golden;
mod notice;
mod parts;
mod recipients;
mod scripted;
mod smtp;
mod story;
