# Recipes are the steps of .ci/run, one by one.

default:
    @just --list

# Everything that has to pass.
ci:
    .ci/run

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Backends that are not reachable are skipped, and say so.
test:
    cargo test --workspace

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

deny:
    cargo deny check

quickstart:
    cargo run --bin quickstart

bench:
    cargo bench -p stripe-billing-benches

fuzz target="envelope" seconds="60":
    cargo +nightly fuzz run {{target}} -- -max_total_time={{seconds}}
