#!/usr/bin/env python3
"""Runs a job with twopass and with its peers in turn, and prints medians, ratios and peak memory as a table.

usage: python benches/compare.py SCENARIO TABLE [--rounds N] [--peers polars,duckdb,pandas|copy] [--twopass BINARY]

SCENARIO is one of SCENARIOS below, TABLE the directory that gen_wide.py or gen_narrow.py filled for it. Every round runs each program once, in turn, so that all meet the same minutes of the
machine; the first round also warms the file cache, and counts for nothing. Needs the peers that are asked for.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ENCODE = """transform=[{columns=["amount","score"],op="standard_scaler"},{columns="customer_id",op="ordinal_encoder"}]"""

# By name: the recipe, what is set besides, the peers' script, and its arguments.
SCENARIOS = {
    "wide": ("wide.toml", [], "wide", []),
    "csv": ("wide.toml", [], "csv", []),
    "narrow": ("narrow.toml", [], "narrow", ["label"]),
    "narrow-10000": ("narrow.toml", ["--label", "segment"], "narrow", ["segment"]),
    "narrow-encode": ("narrow.toml", ["--set", ENCODE], "narrow", ["label", "encode"]),
    "untouched": ("untouched.toml", [], "untouched", []),
}

HERE = os.path.dirname(os.path.abspath(__file__))


def measure(command):
    """Wall seconds, user and system CPU seconds, peak resident MiB."""
    started = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)}\nended with {os.waitstatus_to_exitcode(status)}:\n{error}")
    return time.time() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def versions(peers):
    found = []
    for peer in peers:
        if peer == "copy":
            continue
        out = subprocess.run([sys.executable, "-c", f"import {peer}; print({peer}.__version__)"], capture_output=True)
        found.append(f"{peer} {out.stdout.decode().strip()}")
    return ", ".join(found)


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as info:
        memory = int(next(info).split()[1]) >> 20
    return f"{os.cpu_count()} cores of {model}, {memory} GiB, {platform.system()} {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("table")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="polars")
    parser.add_argument("--twopass", default="target/release/twopass")
    parser.add_argument("--threads", type=int, help="for twopass alone")
    options = parser.parse_args()
    peers = [peer for peer in options.peers.split(",") if peer]
    scratch = tempfile.mkdtemp(prefix="twopass-compare-", dir=os.path.dirname(os.path.abspath(options.table)))
    recipe, settings, script, arguments = SCENARIOS[options.scenario]

    def command(program):
        out = os.path.join(scratch, program)
        if program == "twopass":
            threads = ["-j", str(options.threads)] if options.threads else []
            run = [options.twopass, "run", os.path.join(HERE, "peers", recipe), "-i", options.table, "-o", out]
            return run + ["--overwrite", "--resume", "never", "-q"] + settings + threads
        return [sys.executable, os.path.join(HERE, "peers", f"{program}_{script}.py"), options.table, out, *arguments]

    programs = ["twopass", *peers]
    runs = {program: [] for program in programs}
    try:
        for number in range(options.rounds + 1):
            for program in programs:
                figures = measure(command(program))
                if number > 0:
                    runs[program].append(figures)
                print(f"round {number}: {program:8} {figures[0]:7.2f} s wall, {figures[1]:7.2f} s CPU, {figures[2]:6.0f} MiB", file=sys.stderr)
                time.sleep(1)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

    median = lambda program, at: statistics.median(figures[at] for figures in runs[program])
    ours = median("twopass", 0)
    version = subprocess.run([options.twopass, "--version"], capture_output=True).stdout.decode().strip()
    print(f"{options.scenario} on {os.path.basename(os.path.normpath(options.table))}: {version}, {versions(peers)}; {machine()}\n")
    print("| program | wall s, median of all | CPU s | peak MiB | twopass / it |")
    print("|---|---|---|---|---|")
    for program in programs:
        walls = " ".join(f"{figures[0]:.2f}" for figures in runs[program])
        wall = median(program, 0)
        peak = max(figures[2] for figures in runs[program])
        print(f"| {program} | {wall:.2f} ({walls}) | {median(program, 1):.1f} | {peak:.0f} | {ours / wall:.2f} |")
    print()
    print(json.dumps({"scenario": options.scenario, "runs": runs}))


if __name__ == "__main__":
    main()
