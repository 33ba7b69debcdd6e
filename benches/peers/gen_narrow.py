#!/usr/bin/env python3
"""Makes the narrow table: order_id, customer_id, label, segment, order_date, amount, score, items.

usage: python gen_narrow.py OUT SHARDS ROWS_PER_SHARD      needs numpy, pyarrow

There are as many customers as a quarter of the rows, and each has an order; labels are of 3 classes, segments of
10,000. The values depend on the arguments only; the bytes of the files on the versions of pyarrow and numpy too.
"""
import os
import sys
from multiprocessing import Pool

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

OUT, SHARDS, ROWS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
SEGMENTS = 10_000


def padded(prefix, numbers, width):
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def shard(i):
    rng, n = np.random.default_rng(1000 + i), ROWS
    row = np.arange(i * n, (i + 1) * n)
    customers = max(1, SHARDS * ROWS // 4)
    # Every fourth row is a customer's first; which customer has which id is a fixed permutation of ids.
    customer = np.where(row % 4 == 0, row // 4 % customers, rng.integers(0, customers, n))
    seconds = rng.integers(0, 365 * 86400, n)
    columns = {
        "order_id": padded("O", row, 10),
        "customer_id": padded("C", customer * 2654435761 % 10**12, 12),
        "label": pa.array(np.array(["N", "F", "I"])[rng.choice(3, n, p=[0.93, 0.05, 0.02])]),
        "segment": padded("S", np.floor(SEGMENTS * rng.random(n) ** 1.5).astype("int64"), 5),
        "order_date": pa.array(np.datetime64("2024-01-01", "us") + seconds.astype("timedelta64[s]")),
        "amount": pa.array(np.round(rng.lognormal(3, 1.2, n), 2), mask=rng.random(n) < 0.05),
        "score": pa.array(rng.normal(0, 1, n)),
        "items": pa.array(rng.poisson(3, n).astype("int64")),
    }
    pa.parquet.write_table(pa.table(columns), f"{OUT}/part-{i:05d}.parquet", compression="snappy")


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    with Pool(os.cpu_count()) as pool:
        for _ in pool.imap_unordered(shard, range(SHARDS)):
            pass
