#!/usr/bin/env python3
"""The wide job in DuckDB, with 4 GB of memory: what `twopass run wide.toml` does.

usage: python duckdb_wide.py TABLE OUT      needs duckdb

OUT is removed first.
"""
import shutil
import sys

import duckdb

TABLE, OUT = sys.argv[1:3]
NUMBERS = [f"num_{c:03d}" for c in range(800)]
TEXTS = [f"cat_{c:02d}" for c in range(27)]
TABLE = f"read_parquet('{TABLE}/*.parquet')"

shutil.rmtree(OUT, ignore_errors=True)
db = duckdb.connect()
db.execute("set memory_limit = '4GB'; set preserve_insertion_order = false")

# Pass one: moments, vocabularies, and the hashes at which each class is cut.
moments = db.execute(f"select {', '.join(f'avg({c}), stddev_pop({c})' for c in NUMBERS)} from {TABLE}").fetchone()
for c in TEXTS:
    values = f"select distinct {c} value from {TABLE} where {c} is not null"
    db.execute(f"create table codes_{c} as select value, (row_number() over (order by value) - 1)::int code from ({values})")
quantiles = "quantile_disc(hash(order_id), 0.7) as cut_a, quantile_disc(hash(order_id), 0.85) as cut_b"
db.execute(f"create table cuts as select label, {quantiles} from {TABLE} group by label")

# Pass two: one query that joins them all.
columns = ["t.order_id", "t.customer_id", "t.order_date"]
columns.append("(case t.label when 'F' then 0 when 'I' then 1 else 2 end) as label")
columns += [f"coalesce(codes_{c}.code, -1)::int as {c}" for c in TEXTS]
for at, c in enumerate(NUMBERS):
    mean, deviation = moments[2 * at], moments[2 * at + 1] or 1.0
    columns.append(f"({c} - ({mean!r})::double) / ({deviation!r})::double as {c}")
joins = " ".join(f"left join codes_{c} on t.{c} = codes_{c}.value" for c in TEXTS)
split = "case when hash(order_id) <= cuts.cut_a then 'train' when hash(order_id) <= cuts.cut_b then 'test' else 'val' end"
query = f"select {', '.join(columns)}, {split} as split from {TABLE} t {joins} join cuts on cuts.label = t.label"
db.execute(f"copy ({query}) to '{OUT}' (format parquet, partition_by (split), compression snappy, overwrite_or_ignore)")
