#!/usr/bin/env python3
"""Makes the wide table: order_id, customer_id, order_date, label, 27 text columns, 800 numbers.

usage: python gen_wide.py OUT SHARDS ROWS_PER_SHARD [parquet|csv]      needs numpy, pyarrow

The values depend on the arguments only; the bytes of the files on the versions of pyarrow and numpy too.
"""
import os
import sys
from multiprocessing import Pool

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

OUT, SHARDS, ROWS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
FORMAT = sys.argv[4] if len(sys.argv) > 4 else "parquet"
CARDINALITIES = [3, 8, 20, 50, 200, 1000, 5000]


def number(kind, rng, n):
    """Values, and the share of them that is missing."""
    if kind in (0, 1):  # counts
        return rng.poisson(3, n).astype("int64"), 0
    if kind == 2:  # flags
        return (rng.random(n) < 0.1).astype("int64"), 0
    if kind == 3:  # money
        return np.round(rng.lognormal(3, 1.2, n), 2), 0.05
    if kind == 4:  # one decimal, many missing
        return np.round(rng.normal(50, 10, n), 1), 0.3
    if kind == 5:  # days
        return rng.integers(0, 365, n).astype("float64"), 0.1
    if kind == 6:  # dense floats
        return rng.normal(0, 1, n), 0
    return np.where(rng.random(n) < 0.8, 0.0, np.round(rng.exponential(20, n), 2)), 0.6  # sparse


def shard(i):
    rng, n = np.random.default_rng(1000 + i), ROWS
    customers = max(1000, SHARDS * ROWS // 8)
    columns = {"order_id": pa.array([f"O{i * n + k:010d}" for k in range(n)])}
    columns["customer_id"] = pa.array([f"C{c * 2654435761 % 10**12:012d}" for c in rng.integers(0, customers, n).tolist()])
    seconds = rng.integers(0, 365 * 86400, n)
    columns["order_date"] = pa.array(np.datetime64("2024-01-01", "us") + seconds.astype("timedelta64[s]"))
    columns["label"] = pa.array(rng.choice(["N", "F", "I"], n, p=[0.93, 0.05, 0.02]))
    for c in range(27):
        distinct = CARDINALITIES[c % 7]
        codes = pa.array((np.minimum(rng.zipf(1.4, n), distinct) - 1).astype("int32"), mask=rng.random(n) < 0.02 * (c % 4))
        words = pa.array([f"cat{c}_v{k}" for k in range(distinct)])
        columns[f"cat_{c:02d}"] = pa.DictionaryArray.from_arrays(codes, words).cast(pa.string())
    for c in range(800):
        values, missing = number(c % 8, rng, n)
        columns[f"num_{c:03d}"] = pa.array(values, mask=rng.random(n) < missing if missing else None)
    table = pa.table(columns)
    if FORMAT == "csv":
        pa.csv.write_csv(table, f"{OUT}/part-{i:05d}.csv")
    else:
        pa.parquet.write_table(table, f"{OUT}/part-{i:05d}.parquet", compression="snappy", row_group_size=n)


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    with Pool(os.cpu_count()) as pool:
        for _ in pool.imap_unordered(shard, range(SHARDS)):
            pass
