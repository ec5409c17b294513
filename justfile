# The daily commands. Each is a line or two: without `just`, copy it.

# Lists the commands.
default:
    @just --list --unsorted

# Checks the format and the lints of everything.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets

# Tests the HTTP behaviour in one process on SQLite files, and the units of the api: needs no server and no other program.
test *FILTER:
    cargo nextest run --profile http --package tonghop-api --package tonghop-tests --lib --test api {{FILTER}}

# Checks and tests everything, as continuous integration does, or with a filter only the tests that match.
everything *FILTER:
    tests/run {{FILTER}}

# Runs the service at http://127.0.0.1:8080 with the reports of an example.
demo *OPTIONS:
    cargo run --release -- demo {{OPTIONS}}

# Regenerates the OpenAPI document.
openapi:
    cargo run -- export-openapi > target/openapi.json
    mv target/openapi.json openapi/openapi.json
    openapi/lint --write

# Breaks one rule at a time and expects the simulation to notice each.
mutants:
    tests/mutants/run

# Measures performance; `just load ingest --repeat 1` measures one scenario.
load *OPTIONS:
    cargo run --release --package tonghop-load -- {{OPTIONS}}

# Builds the documentation of the code and opens it.
doc:
    cargo doc --workspace --no-deps --open

# Accepts the present answers as the expected ones in the snapshots of the tests; review the diff.
snapshots:
    INSTA_UPDATE=always cargo nextest run --profile http --package tonghop-tests --test api
