#!/usr/bin/env python3
"""The wide job in pandas and scikit-learn, in memory: what `twopass run wide.toml` does.

usage: python pandas_wide.py TABLE OUT      needs pandas, pyarrow, scikit-learn

OUT is removed first.
"""
import glob
import os
import shutil
import sys

import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

TABLE, OUT = sys.argv[1:3]
NUMBERS = [f"num_{c:03d}" for c in range(800)]
TEXTS = [f"cat_{c:02d}" for c in range(27)]

shutil.rmtree(OUT, ignore_errors=True)
table = pd.concat([pd.read_parquet(path) for path in sorted(glob.glob(f"{TABLE}/*.parquet"))], ignore_index=True)
table["label"] = table["label"].map({"F": 0, "I": 1, "N": 2})
table[NUMBERS] = StandardScaler().fit_transform(table[NUMBERS])
table[TEXTS] = OrdinalEncoder(encoded_missing_value=-1).fit_transform(table[TEXTS])
train, rest = train_test_split(table, train_size=0.7, random_state=42, stratify=table["label"])
test, val = train_test_split(rest, test_size=0.5, random_state=42, stratify=rest["label"])
for name, part in (("train", train), ("test", test), ("val", val)):
    os.makedirs(f"{OUT}/{name}")
    part.to_parquet(f"{OUT}/{name}/part.parquet", index=False)
