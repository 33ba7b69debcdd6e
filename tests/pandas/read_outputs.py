"""Reads outputs of twopass with pandas and holds every value against the table that they were made of.

usage: read_outputs.py EXPECTED.json OUTPUT...

EXPECTED has the columns as {"name", "kind", "type", "values"}: floats as hexadecimal text, dates as days and times as microseconds
since 1970, null for a missing value. Made for pandas 3.1.1 and pyarrow 26.0.1.
"""

import datetime
import io
import json
import math
import pathlib
import sys

import pandas as pd

EPOCH = datetime.datetime(1970, 1, 1)
UTC = datetime.timezone.utc
problems = []


def check(is_right, what):
    if not is_right:
        problems.append(what)


def expected_value(column, value):
    """What the value is in Python; None for a missing one, NaN among them."""
    if value is None:
        return None
    if column["kind"] == "float":
        number = float.fromhex(value)
        return None if math.isnan(number) else number
    if column["kind"] == "date":
        return (EPOCH + datetime.timedelta(days=value)).date()
    if column["kind"] in ("time", "zoned"):
        moment = EPOCH + datetime.timedelta(microseconds=value)
        return moment.replace(tzinfo=UTC) if column["kind"] == "zoned" else moment
    return value


def is_missing(value):
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def plain(value):
    """A value of pandas as one of Python."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def same(got, right, text_like):
    if is_missing(got):
        return right is None or (text_like and right == "")
    got = plain(got)
    if right is None or isinstance(right, bool) != isinstance(got, bool):
        return False
    if isinstance(right, float):
        return got == right and math.copysign(1, got) == math.copysign(1, right)
    return got == right


def compare(frame, columns, where, text_like=False, skip=lambda column, right: False):
    """Values one by one; with `text_like` an empty text may be a missing value."""
    check(list(frame.columns) == [column["name"] for column in columns], f"{where}: columns {list(frame.columns)}")
    for at, column in enumerate(columns):
        values = frame.iloc[:, at]
        check(len(values) == len(column["values"]), f"{where}: {len(values)} rows of {len(column['values'])}")
        for row, (got, value) in enumerate(zip(values, column["values"])):
            right = expected_value(column, value)
            if not skip(column, right):
                check(same(got, right, text_like), f"{where}: {column['name']!r}, row {row}: {got!r} for {right!r}")


def own_frame(columns):
    """The table as pandas would have made it, to see how it reads what it wrote itself."""
    series = {}
    for column in columns:
        values = [expected_value(column, value) for value in column["values"]]
        if column["kind"] == "date":
            values = [None if value is None else value.isoformat() for value in values]
        dtype = {"int": "Int64", "uint": "UInt64", "float": "float64", "bool": "boolean", "time": "datetime64[us]", "zoned": "datetime64[us, UTC]"}
        series[column["name"]] = pd.Series(values, dtype=dtype.get(column["kind"], "str"))
    return pd.DataFrame(series)


def delimited(parts, columns, delimiter, where):
    texts = {column["name"]: str for column in columns if column["kind"] in ("text", "date")}
    times = [column["name"] for column in columns if column["kind"] in ("time", "zoned")]
    missing = {column["name"]: ["", "NaN"] if column["kind"] == "float" else [""] for column in columns}
    exact = {"sep": delimiter}
    careful = {"dtype": texts, "keep_default_na": False, "na_values": missing}
    read = [pd.read_csv(part, parse_dates=times, date_format="ISO8601", **careful, **exact) for part in parts]
    # An integer column of one part may have no missing value, and floats lose what is beyond 2^53.
    nullable = {column["name"]: {"int": "Int64", "uint": "UInt64"}[column["kind"]] for column in columns if column["kind"] in ("int", "uint")}
    read = [frame.astype({name: of for name, of in nullable.items() if frame[name].dtype != "float64"}) for frame in read]
    frame = pd.concat(read, ignore_index=True)
    for column in columns:
        if column["kind"] == "date":
            days = frame[column["name"]]
            frame[column["name"]] = [None if is_missing(day) else datetime.date.fromisoformat(day) for day in days]
    beyond = lambda column, right: isinstance(right, int) and abs(right) > 2**53 and None in column["values"]
    compare(frame, columns, where, text_like=True, skip=beyond)
    # By pandas' defaults what pandas wrote itself reads the same: the words NA, and texts that look like numbers, are lost by both.
    untimed = [column for column in columns if column["name"] not in times]
    own = own_frame(untimed)
    # A carriage return alone is not quoted by pandas, and ends its own line when it is read again.
    whole = pd.Series(True, index=own.index)
    for column in (column for column in untimed if column["kind"] == "text"):
        whole &= ~own[column["name"]].str.contains("\r", na=False)
    own = own[whole].to_csv(index=False, sep=delimiter)
    ours = pd.concat([pd.read_csv(part, **exact, dtype_backend="numpy_nullable", usecols=[c["name"] for c in untimed]) for part in parts], ignore_index=True)
    own = pd.read_csv(io.StringIO(own), **exact, dtype_backend="numpy_nullable")
    for name in own.columns:
        pairs = zip(ours[name][whole].reset_index(drop=True), own[name])
        different = [(row, a, b) for row, (a, b) in enumerate(pairs) if not (is_missing(a) and is_missing(b)) and str(plain(a)) != str(plain(b))]
        for row, a, b in different:
            check(False, f"{where}, by defaults: {name!r}, row {row}: {a!r}, and {b!r} of pandas' own file")


def json_lines(parts, columns, where):
    exact = {"lines": True, "dtype": False, "precise_float": True}
    frame = pd.concat([pd.read_json(part, **exact) for part in parts], ignore_index=True)
    for column in columns:
        read = {"date": datetime.date.fromisoformat, "time": datetime.datetime.fromisoformat, "zoned": datetime.datetime.fromisoformat}
        if column["kind"] in read:
            frame[column["name"]] = [None if is_missing(text) else read[column["kind"]](text) for text in frame[column["name"]]]
        if column["kind"] == "float":
            frame[column["name"]] = frame[column["name"]].astype("float64")
    infinite = lambda column, right: isinstance(right, float) and math.isinf(right)
    beyond = lambda column, right: isinstance(right, int) and abs(right) > 2**53 and None in column["values"]
    compare(frame, columns, where, skip=lambda column, right: infinite(column, right) or beyond(column, right))


def parquet(parts, columns, schema, where):
    frame = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    beyond = lambda column, right: isinstance(right, int) and abs(right) > 2**53 and None in column["values"]
    compare(frame, columns, where, skip=beyond)
    whole = pd.read_parquet(parts[0].parent)
    check(list(whole.dtypes) == list(frame.dtypes) and len(whole) == len(frame), f"{where}: the directory is read otherwise than its parts")
    for column in columns:
        name, of = column["name"], schema[column["name"]]
        holes = None in column["values"]
        right = {
            "bool": "object" if holes else "bool",
            "text": "str",
            "date": "object",
            "time": "datetime64[us]",
            "zoned": "datetime64[us, UTC]",
        }.get(column["kind"], "float64" if holes and "nt" in of else of.lower())
        got = str(pd.read_parquet(parts[0].parent, columns=[name])[name].dtype)
        check(got == right, f"{where}: {name!r} is {got} in pandas, not {right} (written as {of})")


def metadata(output, columns, schema):
    """MODS: as pandas reads it, and the bytes that pandas would write."""
    where = f"{output.name}/metadata"
    read = pd.read_csv(output / "metadata", quotechar="|", keep_default_na=False, dtype=str)
    check(list(read.columns) == ["varname", "iscategory", "datatype"], f"{where}: columns {list(read.columns)}")
    check(list(read["varname"]) == [column["name"] for column in columns], f"{where}: names {list(read['varname'])}")
    rows = []
    for column in columns:
        of = schema[column["name"]]
        holes = None in column["values"]
        kinds = {"bool": "object" if holes else "bool", "text": "object", "date": "object", "time": "datetime64[ns]", "zoned": "datetime64[ns, UTC]"}
        datatype = kinds.get(column["kind"], "float64" if holes and "nt" in of else of.lower())
        rows.append((column["name"], "true" if column["kind"] == "text" else "false", datatype))
    own = pd.DataFrame(rows, columns=["varname", "iscategory", "datatype"]).to_csv(index=False, quotechar="|")
    ours = (output / "metadata").read_bytes().decode()
    check(ours == own, f"{where}:\n{ours}\nwhere pandas would write\n{own}")
    signature = (output / "signature").read_bytes().decode()
    check(signature == ",".join(column["name"] for column in columns), f"{output.name}/signature: {signature!r}")


def main(expected, *outputs):
    columns = json.loads(pathlib.Path(expected).read_text())
    for output in map(pathlib.Path, outputs):
        schema = {column["name"]: column["type"] for column in json.loads((output / "_manifest.json").read_text())["schema"]}
        parts = sorted((output / "data").iterdir())
        name = parts[0].name
        if name.endswith(".parquet"):
            parquet(parts, columns, schema, output.name)
        elif ".jsonl" in name:
            json_lines(parts, columns, output.name)
        else:
            delimited(parts, columns, "\t" if ".tsv" in name else ",", output.name)
        metadata(output, columns, schema)
    print("\n".join(problems) or f"{len(outputs)} outputs, as they should be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
