#!/usr/bin/env python3
"""CSV to Parquet in Polars, streaming: the files read once and written once, with nothing in between.

usage: python polars_csv.py TABLE OUT      needs polars

What `twopass run wide.toml` does with the same files is more: statistics of all rows, an exact split, encoders.
OUT is removed first.
"""
import os
import shutil
import sys

import polars as pl

TABLE, OUT = sys.argv[1:3]
shutil.rmtree(OUT, ignore_errors=True)
os.makedirs(OUT)
pl.scan_csv(f"{TABLE}/*.csv").sink_parquet(f"{OUT}/all.parquet", compression="snappy", engine="streaming")
