//! End-to-end tests live in `e2e/`. The README's code is compiled here.
#![doc = include_str!("../README.md")]
