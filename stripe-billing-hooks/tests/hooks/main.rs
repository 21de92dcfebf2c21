//! Facts on their way to real HTTP servers on this machine.

mod answers;
mod configuration;
mod outbox;
mod receiver;
mod signature;
mod tls;
