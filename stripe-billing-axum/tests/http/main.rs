//! The router, asked over HTTP without a socket.

mod app;
mod hostile;
mod reading;
mod selling;
mod webhook;
