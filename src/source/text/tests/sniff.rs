use proptest::prelude::*;

use super::super::sniff;
use super::*;

fn sniffed(text: &str, first: u8) -> char {
    char::from(sniff::delimiter(text.as_bytes(), true, first, None).unwrap())
}

#[test]
fn the_delimiter_is_the_one_by_which_all_records_are_alike() {
    let cases = [
        ("a,b\n1,2\n", ','),
        ("a;b\n1,5;2,5\n3,1;4\n", ';'),
        ("a\tb\n1,5\t2\n", '\t'),
        ("a|b|c\n1|2|3\n", '|'),
        // Quotes hide delimiters, also over lines.
        ("\"a;x\",b\n\"1;2\n3;4\",5\n", ','),
        ("\"a,x\";b\n\"1,2\n3,4\";5\n", ';'),
        // Both fit: the preferred one.
        ("a;b,c;d\n1;2,3;4\n", ','),
        // A header alone, with and without a line end.
        ("a;b;c\n", ';'),
        ("a|b", '|'),
        // One column, an empty file, blank lines.
        ("a\n1\n2\n", ','),
        ("", ','),
        ("\n\n", ','),
        ("text\n\"x;y\"\n", ','),
        // A bad record among good ones.
        ("a;b\n1;2\n3\n4;5\n", ';'),
        ("a;b\n1;2\n\"open;3\n4;5\n", ';'),
        ("\n\n a | b \n1|2\n", '|'),
    ];
    for (text, expected) in cases {
        assert_eq!(sniffed(text, b','), expected, "{text:?}");
    }
    assert_eq!(sniffed("a\tb,c\n1\t2,3\n", b'\t'), '\t');
    assert_eq!(sniffed("a,b\n1,2\n", b'\t'), ',');
    assert_eq!(sniffed("a\n1\n", b'\t'), '\t');
}

#[test]
fn a_signature_says_how_many_fields_there_are() {
    let text = b"x;y,1\nz;w,2\n";
    let by = |width| char::from(sniff::delimiter(text, true, b'|', Some(width)).unwrap());
    assert_eq!((by(2), by(3)), (',', '|'));
}

#[test]
fn a_header_longer_than_the_sample_is_read_to_its_end() {
    let header: Vec<String> = (0..20_000).map(|at| format!("column number {at}")).collect();
    let file = File::new(header.join(";") + "\n");
    let shard = file.open_as(&sniffing(b',')).unwrap();
    assert_eq!(shard.names().len(), 20_000);
}

pub(super) fn sniffing(first: u8) -> TextOptions {
    TextOptions { kind: TextKind::Delimited(Delimiter::Sniffed { first }), ..TextOptions::default() }
}

#[test]
fn the_layout_of_json_is_told_by_its_first_lines() {
    let (lines, array, objects) = (TextFormat::JsonLines, TextFormat::JsonArray, TextFormat::JsonObjects);
    let cases = [
        ("", lines),
        ("\n{\"a\":1}\n{\"a\":2}", lines),
        ("{\"a\":{\"b\":\"}\"}}", lines),
        ("[]", array),
        (" \n[\n{\"a\":1}]", array),
        ("{\n  \"a\": 1\n}\n", objects),
        ("{\"a\": 1,\n\"b\": {\"x\": 2}}", objects),
        // Damaged lines are lines all the same.
        ("{\"a\":\n{\"a\":2}\n", lines),
        ("{\"a\":\n", lines),
        ("{\"a\":1} x\n", lines),
        ("x\n", lines),
    ];
    for (text, expected) in cases {
        assert_eq!(sniff::json(text.as_bytes(), true), expected, "{text:?}");
    }
    assert_eq!(sniff::json(b"{\"a\": \"a long line that goes on", false), lines);
}

#[test]
fn what_is_no_text_to_be_read_is_refused_for_what_it_is() {
    let utf16: Vec<u8> = "a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_big: Vec<u8> = "a,b\n1,2\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf32: Vec<u8> = "a,b\n".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    let mut tar = vec![b'x'; 600];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&[u8], &str); 12] = [
        (&[&[0xff, 0xfe][..], &utf16].concat(), "UTF-16"),
        (&[&[0xfe, 0xff][..], &utf16_big].concat(), "UTF-16"),
        (&utf16, "UTF-16"),
        (&utf16_big, "UTF-16"),
        (&utf32, "UTF-32"),
        (&[&[0xff, 0xfe, 0, 0][..], &utf32].concat(), "UTF-32"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"BZh91AY&SY\x01\x02", "bzip2"),
        (b"\xfd7zXZ\0\0", "xz"),
        (b"PK\x03\x04\x14", "zip"),
        (b"Obj\x01\x04", "Avro"),
        (&tar, "tar"),
    ];
    for (content, expected) in cases {
        for format in [CSV, TextFormat::JsonLines] {
            let found = refusal(format, content);
            assert!(found.contains(expected), "{expected} not in {found}");
        }
    }
    assert_eq!(rows(CSV, "BZh,ORC\n1,2\n"), ["1|2"]);
}

proptest! {
    #[test]
    fn a_table_written_with_any_delimiter_is_read_with_it(
        width in 2_usize..6,
        cells in prop::collection::vec(prop::sample::select(vec!["", "1", "x", "a b", "q\"q", "l\nl", "2,5", "x;y", "p|q", "t\tt"]), 0..60),
        delimiter in prop::sample::select(vec![',', ';', '\t', '|']),
    ) {
        let quoted = |cell: &str| {
            if cell.contains([delimiter, '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_string() }
        };
        let line = |row: &[&str]| row.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(&delimiter.to_string());
        let names: Vec<String> = (0..width).map(|at| format!("c{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let table: Vec<&[&str]> = cells.chunks_exact(width).collect();
        let text = [line(&names)].into_iter().chain(table.iter().map(|row| line(row))).collect::<Vec<_>>().join("\n");
        let file = File::new(&text);
        let shard = file.open_as(&sniffing(b',')).unwrap();
        // A comma between other fields may fit as well, and is then preferred: only where quotes hide none of the others.
        prop_assume!(delimiter == ',' || !text.lines().next().unwrap().contains(','));
        prop_assert_eq!(shard.names(), &names[..]);
        let columns = read_text(&shard, 1 << 20).unwrap();
        for (at, column) in columns.iter().enumerate() {
            let expected: Vec<Option<String>> = table.iter().map(|row| Some(row[at].to_string()).filter(|cell| !cell.is_empty())).collect();
            prop_assert_eq!(column, &expected);
        }
    }

    #[test]
    fn what_was_read_with_commas_still_is(text in "(a|b;|c\\|,|\t,|,|\"x;y\"|1|\n){0,60}") {
        let file = File::new(&text);
        let Ok(forced) = file.open(CSV).and_then(|shard| Ok((shard.names().len(), read_text(&shard, 99)?))) else { return Ok(()) };
        prop_assume!(forced.0 > 1);
        let shard = file.open_as(&sniffing(b',')).unwrap();
        prop_assert_eq!(read_text(&shard, 99).unwrap(), forced.1);
    }
}
