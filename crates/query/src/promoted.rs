//! Conditions on the residual list, asked of the columns that a file has for its keys.
//!
//! A file may have columns for attributes that the stored schema keeps in `attrs_rest` (see [`lake::Promoted`]). What is
//! asked is written for the stored schema; here it is rewritten, file by file:
//!
//! | asked | in a file with columns for the key |
//! |---|---|
//! | `array_has(attrs_rest, 'entry')` | the column of the key and the type is the value, or the list has the entry |
//! | `attribute(attrs_rest, 'key')` | the text of the column that has one, or of the list |
//! | `attrs_rest` anywhere else | the whole list, put together from all columns |
//!
//! The list is left out where the file says that no row has the key in it. A condition never becomes a literal: the
//! Parquet reader passes over conditions without columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use lake::{Promoted, PromotedKey};
use model::attribute::{Value, entry, parse_entry};
use model::signal::{ATTRS_REST, DERIVED, rest_type};

use crate::entries;

/// Rewrites what is asked of the table for each of its files.
#[derive(Debug)]
pub(crate) struct PromotedColumns;

impl PhysicalExprAdapterFactory for PromotedColumns {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let stored = DefaultPhysicalExprAdapterFactory.create(logical, Arc::clone(&physical))?;
        Ok(match Promoted::of(&physical) {
            Some(promoted) => Arc::new(Adapter { stored, promoted: Arc::new(promoted), physical }),
            None => stored,
        })
    }
}

/// Of one file.
#[derive(Debug)]
struct Adapter {
    /// What is done for every column of the stored schema.
    stored: Arc<dyn PhysicalExprAdapter>,
    promoted: Arc<Promoted>,
    physical: SchemaRef,
}

type Expr = Arc<dyn PhysicalExpr>;

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Expr) -> Result<Expr> {
        let rewritten = self.stored.rewrite(expr)?;
        rewritten.transform_down(|expr| self.step(expr)).data()
    }
}

impl Adapter {
    fn step(&self, expr: Expr) -> Result<Transformed<Expr>> {
        // what takes the place of an expression is final: its columns are those of the file
        let done = |expr| Ok(Transformed::new(expr, true, TreeNodeRecursion::Jump));
        if is_rest(&expr) && !self.promoted.keys().is_empty() {
            return done(self.whole(expr)?);
        }
        let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() else { return Ok(Transformed::no(expr)) };
        let [list, asked] = call.args() else { return Ok(Transformed::no(expr)) };
        let asked = asked.downcast_ref::<Literal>().and_then(|asked| asked.value().try_as_str().flatten());
        let (true, Some(asked)) = (is_rest(list), asked) else { return Ok(Transformed::no(expr)) };
        match call.name() {
            "array_has" => match parse_entry(asked) {
                // as entries are written; another text is compared with the whole list
                Some((key, value)) if entry(&key, &value) == asked => done(self.has(&expr, &key, &value)?),
                _ => Ok(Transformed::no(expr)),
            },
            entries::NAME => done(self.text(&expr, asked)?),
            _ => Ok(Transformed::no(expr)),
        }
    }

    /// `in_rest` is the condition on the list.
    fn has(&self, in_rest: &Expr, key: &str, value: &Value<'_>) -> Result<Expr> {
        let may_be_in_rest = self.promoted.may_be_in_rest(key);
        let wanted = self.promoted.columns_of(key).find(|column| value.tag().starts_with(column.tag));
        let Some(wanted) = wanted else {
            return if may_be_in_rest {
                Ok(Arc::clone(in_rest))
            } else {
                self.call(Function::Never, vec![self.cheap()?])
            };
        };
        let value = match value {
            Value::Int(number) => ScalarValue::Int64(Some(*number)),
            Value::Double(number) => ScalarValue::Float64(Some(*number)),
            Value::Bool(truth) => ScalarValue::Boolean(Some(*truth)),
            other => ScalarValue::Dictionary(
                Box::new(DataType::Int32),
                Box::new(ScalarValue::Utf8(Some(other.text().into_owned()))),
            ),
        };
        // never null, as the condition on the list never is
        let in_column: Expr = Arc::new(BinaryExpr::new(
            self.column(&wanted.column())?,
            Operator::IsNotDistinctFrom,
            Arc::new(Literal::new(value)),
        ));
        Ok(match may_be_in_rest {
            true => Arc::new(BinaryExpr::new(in_column, Operator::Or, Arc::clone(in_rest))),
            false => in_column,
        })
    }

    /// `in_rest` is the value by the list.
    fn text(&self, in_rest: &Expr, key: &str) -> Result<Expr> {
        let columns: Vec<PromotedKey> = self.promoted.columns_of(key).cloned().collect();
        let may_be_in_rest = self.promoted.may_be_in_rest(key);
        if columns.is_empty() && may_be_in_rest {
            return Ok(Arc::clone(in_rest));
        }
        // where nothing is known of the key, the text of no column: null in every row
        let mut arguments = vec![if may_be_in_rest { Arc::clone(in_rest) } else { self.cheap()? }];
        for column in &columns {
            arguments.push(self.column(&column.column())?);
        }
        self.call(Function::Text { columns, with_rest: may_be_in_rest }, arguments)
    }

    fn whole(&self, rest: Expr) -> Result<Expr> {
        let mut arguments = vec![rest];
        for (name, _) in self.promoted.columns() {
            arguments.push(self.column(&name)?);
        }
        self.call(Function::Whole(Arc::clone(&self.promoted)), arguments)
    }

    fn column(&self, name: &str) -> Result<Expr> {
        Ok(Arc::new(Column::new(name, self.physical.index_of(name)?)))
    }

    /// A column that hardly any row fills, for what needs no column and must not be a literal.
    fn cheap(&self) -> Result<Expr> {
        self.column(DERIVED)
    }

    fn call(&self, function: Function, arguments: Vec<Expr>) -> Result<Expr> {
        let (name, returns) = (function.name(), function.returns());
        let function = Arc::new(ScalarUDF::from(OfFile::new(function)));
        let returns = Arc::new(Field::new(name, returns, true));
        Ok(Arc::new(ScalarFunctionExpr::new(name, function, arguments, returns, Arc::new(ConfigOptions::default()))))
    }
}

/// Whether an expression is the residual list as the file has it.
fn is_rest(expr: &Expr) -> bool {
    expr.downcast_ref::<Column>().is_some_and(|column| column.name() == ATTRS_REST)
}

/// What takes the place of an expression on the list. Nobody can call these by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Function {
    /// False.
    Never,
    /// The text of the first column that has one, or the first argument, if that is one.
    Text { columns: Vec<PromotedKey>, with_rest: bool },
    /// The whole list.
    Whole(Arc<Promoted>),
}

impl Function {
    fn name(&self) -> &'static str {
        match self {
            Self::Never => "promoted_never",
            Self::Text { .. } => "promoted_text",
            Self::Whole(_) => "promoted_whole",
        }
    }

    fn returns(&self) -> DataType {
        match self {
            Self::Never => DataType::Boolean,
            Self::Text { .. } => DataType::Utf8,
            Self::Whole(_) => rest_type(),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfFile {
    function: Function,
    signature: Signature,
}

impl OfFile {
    fn new(function: Function) -> Self {
        Self { function, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for OfFile {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.function.returns())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let made: ArrayRef = match &self.function {
            Function::Never => Arc::new(BooleanArray::from(vec![false; rows])),
            Function::Text { columns, with_rest } => {
                let Some((rest, arrays)) = arrays.split_first() else { return exec_err!("promoted_text of nothing") };
                let pairs: Vec<_> = columns.iter().cloned().zip(arrays).collect();
                let texts = lake::texts_of(&pairs, rows)?;
                match rest.as_string_opt::<i32>().filter(|_| *with_rest) {
                    Some(rest) => Arc::new(first_of(&texts, rest)),
                    None => Arc::new(texts),
                }
            }
            Function::Whole(promoted) => {
                let Some((rest, beside)) = arrays.split_first() else { return exec_err!("promoted_whole of nothing") };
                let beside: Vec<Option<&ArrayRef>> = beside.iter().map(Some).collect();
                Arc::new(promoted.entries(rest, &beside)?)
            }
        };
        Ok(ColumnarValue::Array(made))
    }
}

fn first_of(texts: &StringArray, rest: &StringArray) -> StringArray {
    texts.iter().zip(rest).map(|(text, rest)| text.or(rest)).collect()
}
