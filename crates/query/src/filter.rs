//! Conditions on attributes, as expressions over the stored columns.
//!
//! An attribute is looked for in this order: its own column, the columns and residual entries of its other names
//! (`model::field::names_of`), its residual entry, then the resource. A key that starts with `resource.` looks at the
//! resource alone. Values compare as text, so `http.response.status_code=401` finds the integer 401 and the string
//! `"401"`. `!=` asks for an attribute that is there and has another value: nearly every trace has spans that lack a
//! given attribute, so the plain opposite of `=` would match everything.

use datafusion::common::{Column, ScalarValue};
use datafusion::functions_nested::expr_fn::array_has;
use datafusion::logical_expr::{Expr, lit};
use lake::{Place, value_hash};
use model::attribute::{self, Value};
use model::field::{self, FieldKind};
use model::signal::{self, span};

use crate::QueryError;
use crate::entries::attribute_of;
use crate::narrowing::Needs;

/// Keys that start with this look at the resource alone.
const RESOURCE_PREFIX: &str = "resource.";
/// Longest attribute key in a filter.
const MAX_KEY_BYTES: usize = 1_024;
/// Longest value in a filter.
const MAX_VALUE_BYTES: usize = 16 << 10;
/// Columns that are not promoted attributes and still answer to an attribute name.
const NAMED_COLUMNS: [&str; 3] = [signal::KEY_ID, span::EVENT_EXCEPTION_TYPE, span::EVENT_EXCEPTION_MESSAGE];

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterOp {
    /// The attribute has this value.
    Eq,
    /// The attribute is there and has another value.
    Ne,
    /// The attribute is there.
    Exists,
    /// The attribute is not there.
    NotExists,
}

/// One condition on one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeFilter {
    /// Attribute name, at most 1,024 bytes; `resource.` in front asks for a resource attribute.
    pub key: String,
    /// The comparison.
    pub op: FilterOp,
    /// What to compare with, at most 16 KiB; not looked at by `Exists` and `NotExists`.
    pub value: String,
}

impl AttributeFilter {
    /// The condition as an expression over the stored schema of `signal`.
    pub(crate) fn to_expr(&self, signal: model::Signal) -> Result<Expr, QueryError> {
        if self.key.is_empty() || self.key.len() > MAX_KEY_BYTES || attribute::is_reserved(&self.key) {
            let reason = format!("key must have 1 to {MAX_KEY_BYTES} bytes and no control character in front");
            return Err(QueryError::Invalid { field: "filter", reason });
        }
        if self.value.len() > MAX_VALUE_BYTES {
            let reason = format!("value of {} must have at most {MAX_VALUE_BYTES} bytes", self.key);
            return Err(QueryError::Invalid { field: "filter", reason });
        }
        let places = Places::of(&self.key, signal);
        Ok(match self.op {
            FilterOp::Eq => places.equals(&self.value),
            FilterOp::Ne => places.exists().and(places.equals(&self.value).is_not_true()),
            FilterOp::Exists => places.exists(),
            FilterOp::NotExists => Expr::Not(Box::new(places.exists())),
        })
    }
}

/// What the index of values must know of for the filters to hold.
pub(crate) fn needs_of(filters: &[AttributeFilter], signal: model::Signal) -> Result<Needs, QueryError> {
    let mut needs = Needs::default();
    for filter in filters.iter().filter(|filter| filter.op == FilterOp::Eq) {
        if let Some(hashes) = Places::of(&filter.key, signal).hashes(&filter.value) {
            needs.values.push(hashes);
            needs.conditions.push(filter.to_expr(signal)?);
        }
    }
    Ok(needs)
}

/// A column by its exact name, which may contain dots.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// Where the values of one attribute may be.
struct Places<'a> {
    columns: Vec<(&'a str, FieldKind)>,
    /// A column of true and false, which are asked for by these words.
    truth: Option<&'static str>,
    entries: Vec<&'a str>,
    resource: &'a str,
}

impl<'a> Places<'a> {
    fn of(key: &'a str, signal: model::Signal) -> Self {
        if let Some(resource) = key.strip_prefix(RESOURCE_PREFIX) {
            return Self { columns: Vec::new(), truth: None, entries: Vec::new(), resource };
        }
        let entries: Vec<&str> = field::names_of(key).collect();
        let mut columns: Vec<_> =
            entries.iter().filter_map(|name| field::promoted(name)).map(|found| (found.name, found.kind)).collect();
        let schema = signal.stored_schema();
        // what an exception event says counts as the span's own
        let event_column = format!("event.{key}");
        let named = NAMED_COLUMNS.into_iter().filter(|name| *name == key || *name == event_column);
        columns
            .extend(named.filter(|name| schema.column_with_name(name).is_some()).map(|name| (name, FieldKind::Text)));
        let truth = (key == signal::SERVICE_VERIFIED).then_some(signal::SERVICE_VERIFIED);
        Self { columns, truth, entries, resource: key }
    }

    fn equals(&self, value: &str) -> Expr {
        let mut ways = Vec::new();
        for (name, kind) in &self.columns {
            match kind {
                FieldKind::Label | FieldKind::Text => ways.push(column(name).eq(lit(value))),
                FieldKind::Int => ways.extend(value.parse::<i64>().map(|number| column(name).eq(lit(number)))),
            }
        }
        if let (Some(name), Ok(truth)) = (self.truth, value.parse::<bool>()) {
            ways.push(column(name).eq(lit(truth)));
        }
        for key in &self.entries {
            let encoded = encodings(key, value).into_iter();
            ways.extend(encoded.map(|entry| array_has(column(signal::ATTRS_REST), lit(entry))));
        }
        ways.push(attribute_of(column(signal::RESOURCE), self.resource).eq(lit(value)));
        any(ways)
    }

    /// The hashes of every way in which [`Places::equals`] can hold, as the index of a file knows them; `None` when one of
    /// the ways is not in the index.
    fn hashes(&self, value: &str) -> Option<Vec<u64>> {
        if self.truth.is_some() {
            return None;
        }
        let mut hashes = vec![value_hash(Place::Resource, self.resource, value)];
        for (name, kind) in &self.columns {
            match kind {
                FieldKind::Label | FieldKind::Text => hashes.push(value_hash(Place::Column, name, value)),
                FieldKind::Int => hashes
                    .extend(value.parse::<i64>().map(|number| value_hash(Place::Column, name, &number.to_string()))),
            }
        }
        for key in &self.entries {
            hashes.extend(encodings(key, value).iter().map(|entry| value_hash(Place::Entry, "", entry)));
        }
        Some(hashes)
    }

    fn exists(&self) -> Expr {
        let mut ways: Vec<Expr> = self.columns.iter().map(|(name, _)| column(name).is_not_null()).collect();
        ways.extend(self.truth.map(|name| column(name).is_not_null()));
        let rest = || column(signal::ATTRS_REST);
        ways.extend(self.entries.iter().map(|key| attribute_of(rest(), key).is_not_null()));
        ways.push(attribute_of(column(signal::RESOURCE), self.resource).is_not_null());
        any(ways)
    }
}

/// Every residual entry whose value reads as `value`.
fn encodings(key: &str, value: &str) -> Vec<String> {
    let mut values = vec![Value::str(value)];
    values.extend(value.parse().map(Value::Int));
    values.extend(value.parse().map(Value::Double));
    values.extend(value.parse().map(Value::Bool));
    if value.is_empty() {
        values.push(Value::Empty);
    }
    if value.starts_with(['[', '{']) {
        values.push(Value::Json(value.into()));
    }
    let mut entries: Vec<String> = values.iter().map(|value| attribute::entry(key, value)).collect();
    // bytes read as hexadecimal digits, which is how their entry holds them
    if !value.is_empty()
        && value.len().is_multiple_of(2)
        && value.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    {
        entries.push(format!("{}x{value}", attribute::entry_prefix(key)));
    }
    entries
}

fn any(ways: Vec<Expr>) -> Expr {
    ways.into_iter().reduce(Expr::or).unwrap_or_else(|| lit(ScalarValue::Boolean(Some(false))))
}
