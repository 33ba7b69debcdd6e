#!/usr/bin/env python3
"""The wide job in Polars, streaming: what `twopass run wide.toml` does.

usage: python polars_wide.py TABLE OUT      needs polars

OUT is removed first. Prints wall time and the peak memory of the process.
"""
import os
import resource
import shutil
import sys
import time

import polars as pl

TABLE, OUT = sys.argv[1:3]
NUMBERS = [f"num_{c:03d}" for c in range(800)]
TEXTS = [f"cat_{c:02d}" for c in range(27)]
CLASSES = {"F": 0, "I": 1, "N": 2}


def collect(frame):
    return frame.collect(engine="streaming")


shutil.rmtree(OUT, ignore_errors=True)
os.makedirs(OUT)
start = time.time()
table = pl.scan_parquet(f"{TABLE}/*.parquet")

# Pass one: moments, vocabularies, and the hashes at which each class is cut.
means = [pl.col(c).mean().alias(f"{c}|mean") for c in NUMBERS]
deviations = [pl.col(c).std(ddof=0).alias(f"{c}|std") for c in NUMBERS]
moments = collect(table.select(means + deviations)).row(0, named=True)
vocabularies = {c: collect(table.select(pl.col(c).drop_nulls().unique().sort()))[c].to_list() for c in TEXTS}
hashed = pl.col("order_id").hash(42)
cuts = {}
for (label,), rows in collect(table.select(hash=hashed, label="label")).group_by("label"):
    ranked = rows["hash"].sort()
    cuts[label] = [ranked[round(len(ranked) * share)] for share in (0.7, 0.85)]


def cut(at):
    return pl.col("label").replace_strict({label: of[at] for label, of in cuts.items()}, return_dtype=pl.UInt64)


# Pass two: everything in one streaming query.
split = pl.when(hashed < cut(0)).then(pl.lit("train")).when(hashed < cut(1)).then(pl.lit("test")).otherwise(pl.lit("val"))
scaled = [((pl.col(c) - moments[f"{c}|mean"]) / (moments[f"{c}|std"] or 1.0)).alias(c) for c in NUMBERS]
encoded = [
    pl.col(c).replace_strict({value: code for code, value in enumerate(vocabularies[c])}, default=-1, return_dtype=pl.Int32)
    for c in TEXTS
]
labels = pl.col("label").replace_strict(CLASSES, return_dtype=pl.Int64)
target = pl.PartitionBy(OUT, key="split", max_rows_per_file=100_000)
table.with_columns(split.alias("split"), *scaled, *encoded, labels).sink_parquet(
    target, compression="snappy", mkdir=True, engine="streaming"
)

peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(f"polars {pl.__version__}: {time.time() - start:.2f} s, peak memory {peak} MiB")
