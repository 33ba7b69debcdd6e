use proptest::prelude::*;

use super::*;

const ANY: TextFormat = TextFormat::JsonLines;

#[test]
fn an_array_gives_a_row_an_element() {
    let expected = ["1|x", "2|·"];
    for text in [
        r#"[{"a":1,"b":"x"},{"a":2}]"#,
        "[\n  {\n    \"a\": 1,\n    \"b\": \"x\"\n  },\n  {\n    \"a\": 2\n  }\n]\n",
        "\u{feff} [ {\"a\":1,\"b\":\"x\"}\n,\r\n{\"a\":2} ] \n\n",
    ] {
        assert_eq!(rows(ANY, text), expected, "{text:?}");
    }
    assert_eq!(rows(ANY, "[]").len(), 0);
    assert_eq!(rows(ANY, r#"[{"a":"]},{"},{"a":"\\\""}]"#), ["]},{", "\\\""]);
}

#[test]
fn an_object_over_several_lines_is_a_row() {
    assert_eq!(rows(ANY, "{\n \"a\": 1,\n \"b\": {\"c\": \"x\\n\"}\n}\n"), ["1|x\n"]);
    assert_eq!(rows(ANY, "{\n\"a\": 1\n}\n{\n\"a\": 2\n}"), ["1", "2"]);
}

#[test]
fn objects_within_objects_become_columns_with_a_point() {
    let text = "{\"a\":{\"b\":1,\"c\":{\"d\":\"x\"}},\"e\":2}\n{\"e\":3,\"a\":{\"c\":{\"d\":\"y\"},\"f\":true}}\n{\"a\":{},\"e\":null}\n";
    let file = File::new(text);
    assert_eq!(file.open(ANY).unwrap().names(), ["a.b", "a.c.d", "e", "a.f"]);
    assert_eq!(rows(ANY, text), ["1|x|2|·", "·|y|3|true", "·|·|·|·"]);
    // As the parser reads it, for the fast way leaves escapes in keys to it.
    assert_eq!(rows(ANY, "{\"a\":{\"\\u0062\":1}}\n{\"a\":{\"b\":2}}\n"), ["1", "2"]);
}

#[test]
fn what_cannot_be_flattened_is_refused_by_name() {
    let deep = |depth: usize| format!("{}1{}\n", "{\"a\":".repeat(depth), "}".repeat(depth));
    let cases = [
        (
            "{\"a\":{\"b\":1},\"a.b\":2}\n",
            "row 0, column `a.b`: line 1: the key `b` within `a` and the key `a.b` would be one",
        ),
        (
            "{\"a.b\":2,\"a\":{\"b\":1}}\n",
            "column `a.b`: line 1: the key `a.b` and the key `b` within `a` would be one",
        ),
        ("{\"a\":{\"b.c\":1,\"b\":{\"c\":2}}}\n", "the key `b.c` within `a` and the key `c` within `a.b` would be one"),
        ("{\"a\":{\"b\":1,\"b\":1}}\n", "column `a.b`: line 1: the key stands twice"),
        ("{\"a\":{\"b\":1},\"a\":{\"b\":1}}\n", "column `a.b`: line 1: the key stands twice"),
        ("{\"x\":1}\n{\"a\":{\"b\":[1,2]}}\n", "row 1, column `a.b`: line 2: the value is a list"),
        (&deep(66), "more than 64 deep"),
        (&deep(100_000), "more than 64 deep"),
    ];
    for (text, expected) in cases {
        let found = refusal(ANY, text);
        assert!(found.contains(expected), "{expected:?} not in {found:?}");
    }
    assert_eq!(rows(ANY, &deep(65)), ["1"]);
}

#[test]
fn faults_of_an_array_are_named_with_their_place() {
    let cases = [
        ("[{\"a\":1},\n{\"a\":2}\n", "line 3: the file ends inside its array"),
        ("[{\"a\":1},\n{\"a\":", "row 1: line 2: the file ends inside its array"),
        ("[{\"a\":1}", "the file ends inside its array"),
        ("[", "the file ends inside its array"),
        ("[{\"a\":1}\n{\"a\":2}]", "row 1: line 2: a comma is missing"),
        ("[{\"a\":1},]", "row 1: line 1: an element is missing"),
        ("[,{\"a\":1}]", "row 0: line 1: an element is missing"),
        ("[{\"a\":1}]\n[{\"a\":1}]", "row 1: line 2: there is more behind the end"),
        ("[{\"a\":1},\n 5]", "row 1: line 2: not a JSON object"),
        ("[{\"a\":1},\n [5]]", "row 1: line 2: not a JSON object"),
        ("[{\"a\":1},\n{\"a\":[5]}]", "row 1, column `a`: line 2: the value is a list"),
        ("[{\"a\":1},\n{\"a\" 5}]", "row 1: line 2: not a JSON object"),
        ("{\n\"a\": 1\n}\n{\n\"a\"", "row 1: line 4: the object is still open at the end of the file"),
        ("{\n\"a\": 1\n}\n}", "row 1: line 4: not a JSON object"),
        ("{\n\"a\": 1\n},\n{\n\"a\": 1\n}", "row 1: line 3: not a JSON object"),
    ];
    for (text, expected) in cases {
        let found = refusal(ANY, text);
        assert!(found.contains(expected), "{expected:?} not in {found:?} of {text:?}");
    }
    assert!(refusal(ANY, b"[{\"a\":\"x\"},\n{\"a\":\"\xff\"}]").contains("row 1: line 2: the text is not UTF-8"));
}

#[test]
fn an_array_of_any_size_is_read_in_blocks() {
    let element = format!("{{\"n\": 12345, \"text\": \"{}\"}}", "x".repeat(1000));
    let file = File::new(format!("[{}]", vec![element; 5000].join(", ")));
    let shard = file.open(ANY).unwrap();
    let blocks: Vec<Block> = shard.blocks(64 << 10).unwrap().collect::<Result<_>>().unwrap();
    assert_eq!(blocks.iter().map(|block| block.rows).sum::<u64>(), 5000);
    assert!(blocks.iter().all(|block| block.bytes.capacity() < 128 << 10));
}

/// A value of JSON without lists, as a table may hold it.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[a\"\\\\{}\\[\\], \n]{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop::collection::vec(("[ab]", inner), 0..3)
            .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect()))
    })
}

/// Leaves by their dotted names, as text.
fn flattened(value: &serde_json::Value, name: &str, into: &mut Vec<(String, Option<String>)>) {
    match value {
        serde_json::Value::Object(pairs) => {
            for (key, value) in pairs {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flattened(value, &name, into);
            }
        }
        serde_json::Value::Null => into.push((name.into(), None)),
        serde_json::Value::String(text) => into.push((name.into(), Some(text.clone()))),
        other => into.push((name.into(), Some(other.to_string()))),
    }
}

proptest! {
    #[test]
    fn lines_arrays_and_pretty_objects_read_as_serde_reads_them(
        objects in prop::collection::vec(prop::collection::vec(("[abc]", value()), 0..4), 1..8),
        block_bytes in 1_usize..60,
    ) {
        let objects: Vec<serde_json::Value> = objects.into_iter().map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())).collect();
        let lines: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let pretty: Vec<String> = objects.iter().map(|object| serde_json::to_string_pretty(object).unwrap()).collect();
        let mut names: Vec<String> = Vec::new();
        let table: Vec<Vec<(String, Option<String>)>> = objects.iter().map(|object| {
            let mut row = Vec::new();
            flattened(object, "", &mut row);
            for (name, _) in &row {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            row
        }).collect();
        let mut texts = vec![lines.join("\n"), format!("[{}]", lines.join(",")), format!("[\n{}\n]", pretty.join(",\n"))];
        // One that begins with an object on one line is lines.
        texts.extend(pretty[0].contains('\n').then(|| pretty.join("\n")));
        for text in texts {
            let file = File::new(&text);
            let shard = file.open(ANY).unwrap();
            prop_assert_eq!(shard.names(), &names[..], "{}", text);
            let columns = read_text(&shard, block_bytes).unwrap();
            for (name, column) in names.iter().zip(&columns) {
                let expected: Vec<Option<String>> = table.iter().map(|row| row.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.clone())).collect();
                prop_assert_eq!(column, &expected, "{} of {}", name, text);
            }
        }
    }
}
