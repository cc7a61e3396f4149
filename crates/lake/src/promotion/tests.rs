//! Rows that are taken apart come back as they were.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int64Array, ListArray, ListBuilder, RecordBatch, StringBuilder,
    make_array, new_null_array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use model::Signal;
use model::attribute::{Value, entry};
use model::signal::ATTRS_REST;

use super::*;

fn list(rows: &[Vec<String>]) -> ListArray {
    let item = Arc::new(Field::new("item", DataType::Utf8, false));
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item);
    for row in rows {
        row.iter().for_each(|entry| lists.values().append_value(entry));
        lists.append(true);
    }
    lists.finish()
}

/// A batch with the stored schema in which nothing but the residual lists says something.
fn batch(rows: &[Vec<String>]) -> RecordBatch {
    let schema = Signal::Spans.stored_schema();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let nulls = new_null_array(field.data_type(), rows.len());
        match field.data_type() {
            _ if field.name() == ATTRS_REST => Arc::new(list(rows)),
            _ if field.is_nullable() => nulls,
            DataType::Dictionary(..) => {
                Arc::new(vec![""; rows.len()].into_iter().collect::<DictionaryArray<Int32Type>>())
            }
            // zeros
            _ => make_array(nulls.to_data().into_builder().nulls(None).build().expect("zeros are values")),
        }
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("columns fit")
}

fn rows_of(list: &ArrayRef) -> Vec<Vec<String>> {
    let list = list.as_list::<i32>();
    (0..list.len())
        .map(|row| list.value(row).as_string::<i32>().iter().flatten().map(str::to_owned).collect())
        .collect()
}

fn key(tag: char, key: &str) -> PromotedKey {
    PromotedKey { key: key.to_owned(), tag }
}

/// Rows with keys that come again, other types of a key, other orders, and texts that no column gives back.
fn odd_rows() -> Vec<Vec<String>> {
    let entry = |key: &str, value: Value<'_>| entry(key, &value);
    vec![
        vec![entry("a", Value::Int(1)), entry("b", Value::str("x")), entry("z", Value::str("rest"))],
        vec![entry("b", Value::str("x")), entry("a", Value::Int(-7))],
        vec![
            entry("z", Value::Empty),
            entry("a", Value::Int(0)),
            entry("z", Value::str("2")),
            entry("b", Value::str("")),
        ],
        vec![entry("a", Value::Int(1)), entry("a", Value::Int(2)), entry("a", Value::str("3"))],
        vec![entry("a", Value::str("first")), entry("a", Value::Int(4))],
        vec![],
        vec![entry("b", Value::str("with \u{1f} and \u{1b}")), entry("c", Value::Double(f64::NAN))],
        vec![entry("c", Value::Double(-0.0)), entry("d", Value::Bool(false)), entry("c", Value::Double(1e300))],
        vec![
            entry("c", Value::Int(5)),
            entry("e", Value::Bytes(vec![0, 255])),
            entry("f", Value::Json("[1,2]".into())),
        ],
        vec!["a\u{1f}i+5".to_owned(), "a\u{1f}i05".to_owned(), "c\u{1f}d1.50".to_owned(), "d\u{1f}bTrue".to_owned()],
        vec![
            "no entry at all".to_owned(),
            String::new(),
            "\u{1f}".to_owned(),
            "k\u{1f}".to_owned(),
            "ä\u{1f}ä".to_owned(),
        ],
        vec![
            entry("", Value::str("empty key")),
            entry("a", Value::Int(i64::MIN)),
            entry("c", Value::Double(f64::INFINITY)),
        ],
    ]
}

#[test]
fn rows_come_back_entry_by_entry_in_their_order() {
    let keys = [key('i', "a"), key('s', "b"), key('d', "c"), key('b', "d"), key('x', "e"), key('j', "f"), key('s', "")];
    // with every set of columns, also in other orders
    for set in 0..1_usize << keys.len() {
        let mut chosen: Vec<_> = (0..keys.len()).filter(|at| set >> at & 1 == 1).map(|at| keys[at].clone()).collect();
        if set.is_multiple_of(3) {
            chosen.reverse();
        }
        if set.is_multiple_of(5) {
            chosen.push(key('s', "a"));
        }
        let mut splitter = Splitter::new(Signal::Spans, chosen.clone());
        let slice = batch(&odd_rows());
        let split = splitter.split(&slice).expect("is taken apart");
        let schema = split.schema();
        assert_eq!(schema.fields(), splitter.schema().fields());
        let Some(promoted) = Promoted::of(&schema) else {
            assert!(chosen.is_empty());
            continue;
        };
        assert_eq!(promoted.keys(), chosen);
        let restored = promoted.restore(&split).expect("is put together");
        let whole = restored.column_by_name(ATTRS_REST).expect("is there");
        assert_eq!(rows_of(whole), odd_rows(), "{chosen:?}");
        assert_eq!(restored.num_columns(), slice.num_columns());
    }
}

#[test]
fn the_first_entry_of_a_key_goes_to_its_column_and_nothing_else() {
    let rows = odd_rows();
    let mut splitter = Splitter::new(Signal::Spans, vec![key('i', "a")]);
    let split = splitter.split(&batch(&rows)).expect("is taken apart");
    let column = split.column_by_name("attr:i:a").expect("is there").as_primitive::<Int64Type>();
    let expected = [Some(1), Some(-7), Some(0), Some(1), None, None, None, None, None, None, None, Some(i64::MIN)];
    assert_eq!(
        column,
        &Int64Array::from(expected.to_vec()),
        "text came first in the fifth row, odd digits in the tenth"
    );
    let order = split.column_by_name("attr_order").expect("is there");
    assert_eq!(order.len() - order.null_count(), 3, "where it is not in front: the second, the third and the last row");
}

#[test]
fn keys_in_the_list_are_named_until_they_are_too_many() {
    let mut splitter = Splitter::new(Signal::Spans, vec![key('s', "b")]);
    splitter.split(&batch(&[vec![entry("a", &Value::Int(1)), entry("b", &Value::str("x"))]])).expect("is taken apart");
    let named = splitter.metadata().expect("few").value.expect("has one");
    assert_eq!(named, r#"["a"]"#);
    let many = (0..300).map(|number| vec![entry(&format!("k{number}"), &Value::Bool(true))]).collect::<Vec<_>>();
    splitter.split(&batch(&many)).expect("is taken apart");
    assert_eq!(splitter.metadata(), None);
    let mut splitter = Splitter::new(Signal::Spans, Vec::new());
    let long = (0..20).map(|number| vec![entry(&format!("{number}{}", "k".repeat(1_000)), &Value::Bool(true))]);
    splitter.split(&batch(&long.collect::<Vec<_>>())).expect("is taken apart");
    assert_eq!(splitter.metadata(), None, "more bytes than are named");
}

#[test]
fn an_order_that_names_no_entry_is_an_error() {
    let keys = vec![key('i', "a")];
    let promoted = Promoted::of(&Splitter::new(Signal::Spans, keys).schema()).expect("has a column");
    let rest: ArrayRef = Arc::new(list(&[vec![]]));
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    for order in ["0,0,.", "7", "x", "."] {
        let order: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter([order]));
        let result = promoted.entries(&rest, &[Some(&order), Some(&number)]);
        assert!(result.is_err(), "{order:?}");
    }
}

fn sample(rows: &[Vec<String>]) -> Sample {
    let mut sample = Sample::default();
    sample.add(&list(rows)).expect("is a list");
    sample
}

#[test]
fn columns_stand_in_the_order_in_which_most_rows_have_them() {
    let value = |key: &str| entry(key, &Value::str("v"));
    let usual = vec![value("c"), value("a"), value("b")];
    let mut rows = vec![usual; 10];
    rows.push(vec![value("b"), value("a")]);
    rows.extend(vec![vec![value("d"), value("c")]; 3]);
    let chosen = choose(&[], &sample(&rows));
    let keys: Vec<_> = chosen.columns.iter().map(|key| key.key.as_str()).collect();
    assert_eq!(keys, ["d", "c", "a", "b"]);
}

#[test]
fn a_key_with_two_types_has_two_columns() {
    let rows = [vec![entry("n", &Value::Int(1))], vec![entry("n", &Value::str("one"))]];
    let mut chosen = choose(&[], &sample(&rows)).columns;
    chosen.sort();
    assert_eq!(chosen, [key('i', "n"), key('s', "n")]);
}

#[test]
fn a_key_that_is_remembered_is_forgotten_for_another_one_only() {
    let remembered = |count: usize, share: f64| -> Vec<Remembered> {
        (0..count).map(|number| Remembered { key: key('s', &format!("k{number}")), share }).collect()
    };
    let new = [vec![entry("new", &Value::str("v"))]];
    // there is room: nothing is forgotten, whatever its share
    let chosen = choose(&remembered(MAX_COLUMNS - 1, 0.0), &sample(&new));
    assert_eq!((chosen.remembered.len(), chosen.refused), (MAX_COLUMNS, 0));
    assert_eq!(chosen.columns, [key('s', "new")], "the file has columns for what is in it");
    // no room, and all of them used until lately
    let chosen = choose(&remembered(MAX_COLUMNS, 0.5), &sample(&new));
    assert_eq!((chosen.remembered.len(), chosen.refused), (MAX_COLUMNS, 1));
    assert!(chosen.columns.is_empty());
    // no room, and one that nobody used for long
    let mut old = remembered(MAX_COLUMNS, 0.5);
    old[7].share = 2.0 * FORGET_SHARE - 1e-9;
    let chosen = choose(&old, &sample(&new));
    assert_eq!((chosen.remembered.len(), chosen.refused), (MAX_COLUMNS, 0));
    assert!(!chosen.remembered.iter().any(|known| known.key == key('s', "k7")));
    assert_eq!(chosen.columns, [key('s', "new")]);
}

#[test]
fn names_of_columns_are_read_back() {
    for key in [key('s', "a.b"), key('d', "a:b"), key('j', "")] {
        assert_eq!(PromotedKey::of_column(&key.column()), Some(key));
    }
    for name in ["name", "attr_order", "attr:", "attr:q:x", "attr:ss:x", "attr:n:x"] {
        assert_eq!(PromotedKey::of_column(name), None, "{name}");
    }
    let stored = Signal::Spans.stored_schema();
    assert!(stored.fields().iter().all(|field| PromotedKey::of_column(field.name()).is_none()));
    assert_eq!(Promoted::of(&stored), None);
}
