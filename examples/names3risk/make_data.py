#!/usr/bin/env python3
"""Made orders of made customers, as six shards of the shape that names3risk reads.

usage: python make_data.py OUT      needs pandas, pyarrow

Nothing here is of a real person. Same pandas and pyarrow: same bytes; the values depend on a generator of our own.
"""
import argparse, gzip, io, os
import pandas as pd, pyarrow as pa, pyarrow.parquet as pq

ROWS, CUSTOMERS = 2400, 1300
FIRST = ["Ana", "Björn", "Chen", "Dina", "Émile", "Fatou", "Gil", "Hana", "Ivo", "Jo"]
LAST = ["Moreau", "O'Neil", "Sato", "de la Cruz", "Kowalski", "Nguyen", "Smith, Jr.", "Öz", "Petrov", "Lee"]
HOSTS = ["example.com", "example.org", "mail.example.net"]
# Numbers that some upstream wrote as text, and what it wrote where it had none.
UNREADABLE = ["unknown", "1,250", "n.a.", "--", "12 EUR"]


class Numbers:
    """xorshift64*: the same on every machine."""

    def __init__(self, seed): self.state = seed

    def below(self, n):
        x = self.state
        x ^= x >> 12; x ^= (x << 25) & (2**64 - 1); x ^= x >> 27
        self.state = x
        return ((x * 0x2545F4914F6CDD1D) % 2**64 >> 33) % n

    def of(self, words): return words[self.below(len(words))]


def instant(minute, style):
    """So many minutes after the start of 2024, as this shard writes it."""
    time = pd.Timestamp("2024-01-01") + pd.Timedelta(minutes=minute)
    return {"space": f"{time:%Y-%m-%d %H:%M:%S}", "T": f"{time:%Y-%m-%dT%H:%M:%S}", "Z": f"{time:%Y-%m-%dT%H:%M:%SZ}"}[style]


def row(number, style, numbers):
    customer = numbers.below(CUSTOMERS)
    some = lambda value, of=8: None if numbers.below(of) == 0 else value
    first, last = FIRST[customer % 10], LAST[customer // 10 % 10]
    name = f"{first} {last}"
    # By three hours, so that many orders have the same time.
    transaction = numbers.below(90 * 8) * 180
    readable = numbers.of(["0", "12.5", "-3", "1e3", "0.1", " 7 ", f"{numbers.below(100000) / 100}"])
    return {
        "orderId": number,
        "customerId": some(f"C{customer:05d}", 60),
        "transactionDate": some(instant(transaction, style), 12),
        "orderDate": some(instant(max(0, transaction - numbers.below(8) * 180), style), 20),
        "emailAddress": some(f"{first}.{last.split()[0].strip(',')}@{numbers.of(HOSTS)}".lower()),
        "billingAddressName": some(name),
        "customerName": some(name if numbers.below(5) else name.upper()),
        "paymentAccountHolderName": some(name if numbers.below(4) else f"{numbers.of(FIRST)} {numbers.of(LAST)}"),
        "payment__DOT__amount": some(readable if numbers.below(9) else numbers.of(UNREADABLE)),
        "payment__DOT__attempts": some(numbers.below(6)),
        "account__DOT__ageDays": some(str(numbers.below(4000)) if numbers.below(11) else numbers.of(UNREADABLE)),
        "risk__DOT__score": some(numbers.below(1000) / 8),
        "is__DOT__abuse": some("ABUSE" if numbers.below(12) == 0 else "OK", 25),
    }


INTEGERS = ["orderId", "payment__DOT__attempts"]
FLOATS = ["risk__DOT__score"]


def schema(columns):
    types = {**dict.fromkeys(INTEGERS, pa.int64()), **dict.fromkeys(FLOATS, pa.float64())}
    return pa.schema([(name, types.get(name, pa.string())) for name in columns])


def write(rows, path):
    df = pd.DataFrame(rows)
    df[INTEGERS] = df[INTEGERS].astype("Int64")
    if path.endswith(".parquet"):
        table = pa.Table.from_pandas(df, schema=schema(df.columns), preserve_index=False).replace_schema_metadata(None)
        return pq.write_table(table, path, compression="snappy", row_group_size=150)
    text = io.StringIO()
    df.to_csv(text, index=False, lineterminator="\n", sep="\t" if ".tsv" in path else ",")
    data = text.getvalue().encode()
    with open(path, "wb") as file:
        if not path.endswith(".gz"): return file.write(data)
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as out: out.write(data)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("out", metavar="OUT")
    out = args.parse_args().out
    os.makedirs(out, exist_ok=True)
    shards = [("csv", "space"), ("csv.gz", "T"), ("parquet", "space"), ("tsv", "Z"), ("parquet", "Z"), ("parquet", "T")]
    numbers, number = Numbers(20240305), 0
    for at, (extension, style) in enumerate(shards):
        # Shards of different sizes.
        end = ROWS if at == 5 else number + 300 + 40 * at
        write([row(n, style, numbers) for n in range(number, end)], os.path.join(out, f"part-{at:05d}.{extension}"))
        number = end
    print(f"{number:,} orders in {len(shards)} shards in {out}")


if __name__ == "__main__":
    main()
