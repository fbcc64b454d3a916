# Shortcuts for `just`; every line works without it too.

# Start 4 shards and the facade, with the data in ./data.
run:
    cargo run --release -- launch

# All tests.
test:
    cargo test

# What a change must pass.
check:
    .ci/run

# shardcart beside a bare warp handler, in one run.
load *ARGS:
    cargo bench --bench load -- {{ARGS}}

# Resident bytes per cart with a million carts, and how long they take to load.
memory *ARGS:
    cargo bench --bench memory -- {{ARGS}}

# Parts of a request on their own.
micro:
    cargo bench --bench micro
