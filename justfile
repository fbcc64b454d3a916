# Shortcuts for `just` (https://just.systems). Each runs one command that also works without `just`.

# List the recipes.
_default:
    @just --list --unsorted

# Start 4 shards and the facade, with the data in ./data. Options go to `shardcart launch`.
[group('run')]
run *OPTIONS:
    cargo run --release -- launch {{OPTIONS}}

# Run the shop example in Rust against a running store.
[group('run')]
example *URL:
    cargo run --release --example shop -- {{URL}}

# Run all tests, or only those whose name contains NAME.
[group('test')]
test *NAME:
    cargo test --locked {{NAME}}

# Run everything that a change must pass: format, lints, documentation, tests.
[group('test')]
check:
    .ci/run

# Kill shards with -9 under load so many times, and check each time that nothing acknowledged is lost.
[group('test')]
soak ROUNDS="1000":
    SHARDCART_ROUNDS={{ROUNDS}} cargo test --test it crash::a_shard_that_is_killed -- --nocapture

# Fuzz one target of tests/fuzz; needs cargo-fuzz.
[group('test')]
fuzz TARGET *OPTIONS="-max_total_time=60":
    RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz {{TARGET}} -- {{OPTIONS}}

# Measure carts beside a bare warp handler and, when redis-server is installed, a service over Redis, in one run.
[group('measure')]
load *OPTIONS:
    cargo bench --bench load -- {{OPTIONS}}

# Measure orders and searches beside carts, in one run.
[group('measure')]
shop *OPTIONS:
    cargo bench --bench shop -- {{OPTIONS}}

# Measure memory per cart with a million carts, and the time to load them.
[group('measure')]
memory *OPTIONS:
    cargo bench --bench memory -- {{OPTIONS}}

# Measure the parts of a request on their own.
[group('measure')]
micro *OPTIONS:
    cargo bench --bench micro -- {{OPTIONS}}

# Measure whole requests through real processes.
[group('measure')]
requests *OPTIONS:
    cargo bench --bench requests -- {{OPTIONS}}
