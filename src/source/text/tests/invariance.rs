//! However a shard is cut into blocks, it reads the same; and as a writer of plain code meant it.

use proptest::prelude::*;

use super::super::cells::Kind;
use super::super::value;
use super::*;

/// A table, and how it is written down.
#[derive(Debug, Clone)]
struct Written {
    cells: Vec<Vec<String>>,
    width: usize,
    /// Drawn from for quotes, line ends and blank lines.
    whims: Vec<u8>,
}

impl Written {
    fn csv(&self) -> String {
        let mut whims = self.whims.iter().cycle();
        let mut whim = move |of: u8| whims.next().is_some_and(|whim| whim % of == 0);
        let mut text = if whim(3) { "\u{feff}".to_string() } else { String::new() };
        text += &(0..self.width).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
        for row in &self.cells {
            for _ in 0..if whim(4) { 2 } else { 1 } {
                text += if whim(2) { "\r\n" } else { "\n" };
            }
            for (column, cell) in row.iter().enumerate() {
                let special = cell.contains([',', '"', '\n', '\r']) || (self.width == 1 && cell.trim().is_empty());
                text += if column > 0 { "," } else { "" };
                if special || whim(4) {
                    text += &format!("\"{}\"", cell.replace('"', "\"\""));
                } else {
                    text += cell;
                }
            }
        }
        text + if whim(2) { "\n" } else { "" }
    }

    fn json(&self) -> String {
        let row = |row: &Vec<String>| {
            let pairs = row.iter().enumerate().map(|(column, cell)| match cell.as_str() {
                "" => format!("\"c{column}\":null"),
                "true" | "1" | "-2.5" => format!("\"c{column}\":{cell}"),
                text => format!("\"c{column}\":{}", serde_json::to_string(text).unwrap()),
            });
            format!("{{{}}}\n", pairs.collect::<Vec<_>>().join(","))
        };
        self.cells.iter().map(row).collect()
    }
}

fn cell() -> impl Strategy<Value = String> {
    let typical = vec!["", "NA", "1", "-2.5", "true", "2024-01-01", "2024-01-01 10:00", "007", " ", "9007199254740993"];
    prop_oneof![prop::sample::select(typical).prop_map(str::to_string), "[a,\"\n\r ř]{0,5}"]
}

/// Columns of few kinds each, so that other types than text come out.
fn written() -> impl Strategy<Value = Written> {
    (1_usize..5, 0_usize..12).prop_flat_map(|(width, rows)| {
        let column = prop::collection::vec(cell(), 1..3)
            .prop_flat_map(move |kinds| prop::collection::vec(prop::sample::select(kinds), rows));
        let columns = prop::collection::vec(column, width);
        let whims = prop::collection::vec(any::<u8>(), 1..40);
        (columns, whims).prop_map(move |(columns, whims)| {
            let cells = (0..rows).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect();
            Written { cells, width, whims }
        })
    })
}

proptest! {
    #[test]
    fn delimited_text_reads_as_it_was_meant(written in written(), block_bytes in 1_usize..80) {
        let file = File::new(written.csv());
        let columns = read_text(&file.open(CSV).unwrap(), block_bytes).unwrap();
        for (at, column) in columns.iter().enumerate() {
            let meant: Vec<Option<String>> =
                written.cells.iter().map(|row| Some(row[at].clone()).filter(|cell| !value::is_missing(cell.as_bytes()))).collect();
            prop_assert_eq!(column, &meant);
        }
    }

    #[test]
    fn any_block_size_gives_the_same_types_and_values(written in written(), block_bytes in 1_usize..80) {
        for (format, text) in [(CSV, written.csv()), (TextFormat::JsonLines, written.json())] {
            let file = File::new(text);
            let shard = file.open(format).unwrap();
            let whole = read(shard.clone(), 1 << 20).unwrap();
            prop_assert_eq!(&read(shard, block_bytes).unwrap(), &whole);
            if format == CSV {
                for (at, column) in whole.columns().iter().enumerate() {
                    let seen = Seen::of_fields(written.cells.iter().map(|row| (Kind::Bare, row[at].as_bytes())));
                    prop_assert_eq!(column.data_type(), &seen.data_type());
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(prop_oneof![prop::sample::select(b",\"\n\r{}[]:1a\\ ".to_vec()), any::<u8>()], 0..200), block_bytes in 1_usize..50) {
        let file = File::new(&bytes);
        for format in [CSV, TextFormat::JsonLines] {
            let outcome = file.open(format).and_then(|shard| read(shard, block_bytes));
            prop_assert!(outcome.is_ok() || outcome.is_err_and(|error| error.exit_code() == 3));
        }
    }

    #[test]
    fn no_block_size_hides_a_fault(written in written(), at in any::<prop::sample::Index>(), block_bytes in 1_usize..50) {
        prop_assume!(!written.cells.is_empty());
        let mut bytes = written.csv().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = b',';
        let file = File::new(&bytes);
        let Ok(shard) = file.open(CSV) else { return Ok(()) };
        prop_assert_eq!(read_text(&shard, block_bytes).is_ok(), read_text(&shard, 1 << 20).is_ok());
    }
}

/// What csv-core makes of `text`: its records, unless the last one ends inside a quoted field.
fn by_csv_core(text: &str) -> Option<Vec<Vec<Vec<u8>>>> {
    // A record behind the text is swallowed by a quote that is still open.
    let mut records = csv_core_records(format!("{text}\nend").as_bytes());
    (records.pop()? == [b"end".to_vec()]).then_some(records)
}

fn csv_core_records(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv_core::Reader::new();
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = text;
    loop {
        let mut out = [0; 32];
        let (outcome, read, written) = reader.read_field(rest, &mut out);
        rest = &rest[read..];
        field.extend_from_slice(&out[..written]);
        match outcome {
            csv_core::ReadFieldResult::Field { record_end } => {
                record.push(std::mem::take(&mut field));
                if record_end {
                    records.push(std::mem::take(&mut record));
                }
            }
            csv_core::ReadFieldResult::End => return records,
            csv_core::ReadFieldResult::InputEmpty | csv_core::ReadFieldResult::OutputFull => {}
        }
    }
}

proptest! {
    #[test]
    fn delimited_text_reads_as_csv_core_reads_it(
        width in 1_usize..4,
        pieces in prop::collection::vec(prop::sample::select(vec![
            ",", ",", "\n", "\n", "\r\n", "\"", "\"", "\"\"", "\",\"", "\"\n\"", "x", "ř🦀", "12", "\"a,b\n\"\"c\"\"\"",
            "a field that is longer than the sixty-four bytes that are looked at together",
        ]), 0..40),
        block_bytes in 1_usize..200,
    ) {
        let header: Vec<String> = (0..width).map(|at| format!("c{at}")).collect();
        let text = pieces.concat();
        let file = File::new(format!("{}\n{text}", header.join(",")));
        let found = read_text(&file.open(CSV).unwrap(), block_bytes);
        let expected = by_csv_core(&text).filter(|records| records.iter().all(|record| record.len() == width));
        let Some(records) = expected else {
            prop_assert!(found.is_err(), "{:?}", text);
            return Ok(());
        };
        let columns = found.unwrap();
        for (at, column) in columns.iter().enumerate() {
            let texts: Vec<Option<&[u8]>> = records.iter().map(|record| Some(&record[at][..]).filter(|field| !value::is_missing(field))).collect();
            let column: Vec<Option<&[u8]>> = column.iter().map(|text| text.as_deref().map(str::as_bytes)).collect();
            prop_assert_eq!(column, texts, "{:?}", text);
        }
    }
}
