#!/usr/bin/env bash
# Does what the Dockerfile does as far as this machine allows, and says what it did and what it could not do.
#
# usage: examples/sagemaker/check.sh
#
# PROFILE=dev          builds without optimisation (default: release, as the Dockerfile does)
# TARGET=DIR           where cargo builds (default: target/image, so that nothing of a former build takes part)
# PYTHON=PROGRAM       a Python; with the sagemaker SDK the requests of the two examples are made and checked (default: python3)
set -euo pipefail
cd "$(dirname "$0")/../.."
here=examples/sagemaker
dockerfile=$here/Dockerfile
profile=${PROFILE:-release}
target=$(realpath -m "${TARGET:-target/image}")
python=${PYTHON:-python3}
scratch=$(mktemp -d)
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT

did() { printf 'did      %s\n' "$*"; }
not() { printf 'NOT DONE %s\n' "$*"; }

# ---- docker itself
if docker info >/dev/null 2>&1; then
    docker build -q -f "$dockerfile" -t twopass:check . >/dev/null
    docker run --rm --read-only --user 65532:65532 twopass:check --version
    did "docker built the image and ran it as 65532 with a read-only root"
else
    not "docker build: there is no docker daemon"
fi

# ---- the build stage: only what is copied, then its RUN
context=$scratch/src
mkdir "$context"
while read -r _ words; do
    set -- $words
    for source in "${@:1:$#-1}"; do cp -r "$source" "$context/"; done
done < <(sed '/^FROM debian/q' "$dockerfile" | grep '^COPY ')
run=$(sed -n 's/^RUN //p' "$dockerfile")
[ "$run" = "cargo build --release --locked --bin twopass" ] || { echo "the RUN line is another: $run"; exit 1; }
if [ "$profile" = dev ]; then run=${run/--release/--profile dev}; fi
(cd "$context" && CARGO_TARGET_DIR=$target $run --offline --quiet)
if [ "$profile" = dev ]; then built=$target/debug/twopass; else built=$target/release/twopass; fi
did "built with '$run --offline' from $(find "$context" -type f | wc -l) files alone, by $(rustc --version)"

# ---- the final stage: the program and the libraries it asks for, in a root of their own
root=$scratch/root
mkdir -p "$root"/{usr/local/bin,opt/ml,proc,tmp}
cp "$built" "$root/usr/local/bin/twopass"
libraries=$(ldd "$built" | grep -o '/[^ ]*')
for library in $libraries; do
    case $(basename "$library") in
        libc.so.6 | libm.so.6 | libgcc_s.so.1 | ld-linux-*) mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library" ;;
        *) echo "the program needs $library, which debian's slim image may not have"; exit 1 ;;
    esac
done
did "ldd: $(for library in $libraries; do basename "$library"; done | sort | tr '\n' ' ')and no other"

# ---- the three jobs as SageMaker calls them, in that root
ml=$scratch/ml
data() {
    mkdir -p "$ml/processing/input/data" "$ml/config"
    echo '{"current_host": "algo-1", "hosts": ["algo-1"]}' >"$ml/config/resourceconfig.json"
}
# jobs WHO COMMAND…: the chain, where COMMAND runs the program
jobs() {
    local who=$1; shift
    rm -rf "$ml"; data
    awk 'BEGIN { print "id,when,customer,label"; for (i = 0; i < 500; i++) printf "%d,2024-%02d-%02d,c%d,%s\n", i, 1 + i % 12, 1 + i % 28, i % 90, i % 3 ? "no" : "yes" }' \
        >"$ml/processing/input/data/raw.csv"
    mkdir -p "$ml"/processing/output/{data,signature,metadata}
    chown -R "$who" "$ml"
    WRITE_DATA_SHARDS=true SHARD_SIZE=100 "$@" job dummy-data-loading --job_type training
    mv "$ml/processing/output" "$ml/loaded"
    rm -rf "$ml/processing/input"; mkdir "$ml/processing/input"
    cp -r "$ml/loaded/data" "$ml/loaded/signature" "$ml/processing/input/"
    mkdir -p "$ml/processing/output"; chown -R "$who" "$ml"
    LABEL_FIELD=label OUTPUT_FORMAT=PARQUET "$@" job tabular-preprocessing --job_type training
    rm -rf "$ml/processing/output"; mkdir -p "$ml"/processing/output/{training_data,oot_data}; chown -R "$who" "$ml"
    DATE_COLUMN=when GROUP_ID_COLUMN=customer SPLIT_DATE=2024-11-01 "$@" job temporal-split-preprocessing --job_type training
    ls "$ml/processing/output/oot_data" | grep -q oot_data.csv
}
confined() {
    # A mount namespace of its own; the root is read-only, but for what stands for SageMaker's mounts.
    unshare --mount --propagation private sh -euc '
        root=$1 ml=$2 who=$3; shift 3
        mount --bind "$root" "$root"
        mount --bind "$ml" "$root/opt/ml"
        mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
        mount -o remount,bind,ro "$root"
        exec chroot --userspec="$who" "$root" /usr/local/bin/twopass "$@"
    ' sh "$root" "$ml" "$who" "$@" >"$scratch/out" 2>"$scratch/err" || { cat "$scratch/out" "$scratch/err"; return 1; }
}
if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
    for who in 0:0 65532:65532; do
        jobs "$who" confined
        did "the three jobs, chained, as $who in a read-only root that holds the program and its libraries"
    done
    who=65532:65532
    rm -rf "$ml"; data; echo "n" >"$ml/processing/input/data/part-0.csv"
    mkdir -p "$ml/processing/output"; chown -R 0:0 "$ml"; chmod -R go-w "$ml"
    if confined job tabular-preprocessing >"$scratch/said"; then echo "it wrote into directories of root"; exit 1; fi
    grep -qi 'permission denied' "$scratch/said"
    did "as $who where the directories belong to root: refused, $(grep -o -i -m1 'permission denied' "$scratch/said")"
else
    not "another root: needs root and the right to make a mount namespace"
fi

# ---- the two examples in Python
for file in "$here"/*.py; do "$python" -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$file"; done
did "$("$python" --version) compiles the examples"
if "$python" -c 'import sagemaker' 2>/dev/null; then
    "$python" "$here/check_requests.py"
    did "sagemaker $("$python" -c 'from importlib.metadata import version as v; print(v("sagemaker"), "and botocore", v("botocore"))'): the requests of both are what the service takes"
else
    not "the requests of the examples: $python has no sagemaker SDK (pip install 'sagemaker<3')"
fi
