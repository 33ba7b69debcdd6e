use super::super::resolve;
use super::*;

fn table() -> Schema {
    let fields = [
        ("id", DataType::Int64),
        ("num_a", DataType::Float64),
        ("num_b", DataType::Int32),
        ("city", DataType::Utf8),
        ("ok", DataType::Boolean),
        ("when", DataType::Date32),
        ("label", DataType::Utf8),
        ("a[1]", DataType::Float64),
    ];
    Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec())
}

fn selected(columns: &str) -> Result<Vec<usize>> {
    let toml = format!(
        "transform = [{{ op = 'simple_imputer', columns = {columns} }}]\nlabel.column = 'label'\nsplit.key = 'id'"
    );
    resolve(&recipe(&toml), &table()).map(|mut all| all.remove(0))
}

#[test]
fn selectors_select_in_the_schemas_order_and_each_column_once() {
    for (columns, expected) in [
        ("'num_b'", vec![2]),
        ("'num_*'", vec![1, 2]),
        ("['num_b', 'num_*', 'num_a']", vec![1, 2]),
        ("'@numeric'", vec![1, 2, 7]),
        ("'@categorical'", vec![3]),
        ("'@boolean'", vec![4]),
        ("'@timestamp'", vec![5]),
        ("'*'", vec![1, 2, 3, 4, 5, 7]),
        ("'id'", vec![0]),
        ("'a[1]'", vec![7]),
        ("'num_[ab]'", vec![1, 2]),
    ] {
        assert_eq!(selected(columns).expect("selected"), expected, "{columns}");
    }
}

#[test]
fn what_selects_nothing_is_refused_unless_it_is_a_class() {
    let error = selected("'nmu_a'").expect_err("refused");
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("did you mean `num_a`"), "{error}");
    let error = selected("'x_*'").expect_err("refused");
    assert_eq!((error.exit_code(), error.to_string().contains("`x_*` matches no column")), (2, true), "{error}");
    assert!(message(selected("'labe?'")).contains("matches only `label`"));
    assert!(message(selected("'@numeri'")).contains("did you mean `@numeric`"));
    assert!(message(selected("'num_[a'")).contains("is not a glob"));
    let none = Schema::new(vec![Field::new("a", DataType::Utf8, true)]);
    let recipe = recipe("transform = [{ op = 'standard_scaler', columns = '@numeric' }]");
    assert_eq!(resolve(&recipe, &none).expect("resolved"), [Vec::<usize>::new()]);
}

#[test]
fn the_label_is_never_transformed() {
    let error = selected("['num_a', 'label']").expect_err("refused");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("mapped to 0..k-1 by itself"), "{error}");
}
