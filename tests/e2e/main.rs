//! End-to-end tests across the crates, in one binary.

mod docs;
