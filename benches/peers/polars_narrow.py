#!/usr/bin/env python3
"""The narrow job in Polars, streaming: what `twopass run narrow.toml` does.

usage: python polars_narrow.py TABLE OUT [LABEL] [encode]      needs polars

LABEL is `label` (3 classes) or `segment` (10,000); with `encode`, customer_id becomes its place in the sorted vocabulary.
OUT is removed first. Prints wall time and the peak memory of the process.
"""
import os
import resource
import shutil
import sys
import time

import polars as pl

TABLE, OUT = sys.argv[1:3]
LABEL = sys.argv[3] if len(sys.argv) > 3 else "label"
ENCODE = "encode" in sys.argv[4:]
NUMBERS = ["amount", "score"]


def collect(frame):
    return frame.collect(engine="streaming")


shutil.rmtree(OUT, ignore_errors=True)
os.makedirs(OUT)
start = time.time()
table = pl.scan_parquet(f"{TABLE}/*.parquet")

# Pass one: moments, and the hashes at which each class is cut.
means = [pl.col(c).mean().alias(f"{c}|mean") for c in NUMBERS]
deviations = [pl.col(c).std(ddof=0).alias(f"{c}|std") for c in NUMBERS]
moments = collect(table.select(means + deviations)).row(0, named=True)
hashed = pl.col("order_id").hash(42)
ranked = pl.col("hash").sort()
rank = lambda share: (pl.len() * share).round().cast(pl.Int64).clip(upper_bound=pl.len() - 1)
classes = (
    collect(table.select(hash=hashed, label=LABEL))
    .group_by("label")
    .agg(cut_0=ranked.get(rank(0.7)), cut_1=ranked.get(rank(0.85)))
    .sort("label")
    .with_row_index("code")
    .select(pl.col("label").alias(LABEL), pl.col("code").cast(pl.Int64), "cut_0", "cut_1")
)

# Pass two: everything in one streaming query.
split = pl.when(hashed < pl.col("cut_0")).then(pl.lit("train")).when(hashed < pl.col("cut_1")).then(pl.lit("test"))
scaled = [((pl.col(c) - moments[f"{c}|mean"]) / (moments[f"{c}|std"] or 1.0)).alias(c) for c in NUMBERS]
names = table.collect_schema().names()
table = table.join(classes.lazy(), on=LABEL, how="left")
if ENCODE:
    customers = collect(pl.scan_parquet(f"{TABLE}/*.parquet").select(pl.col("customer_id").unique()))
    customers = customers.sort("customer_id").with_row_index("customer_code")
    customers = customers.with_columns(pl.col("customer_code").cast(pl.Int32))
    table = table.join(customers.lazy(), on="customer_id", how="left").with_columns(customer_id="customer_code")
columns = [pl.col("code").alias(LABEL) if name == LABEL else pl.col(name) for name in names]
target = pl.PartitionBy(OUT, key="split", max_rows_per_file=1_000_000)
table.with_columns(split.otherwise(pl.lit("val")).alias("split"), *scaled).select("split", *columns).sink_parquet(
    target, compression="snappy", mkdir=True, engine="streaming"
)

peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(f"polars {pl.__version__}: {time.time() - start:.2f} s, peak memory {peak} MiB")
