//! The condition on a body as a function that the engine can run inside of its decoder.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use model::signal::log;

use super::Matcher;
use crate::filter::column;

/// Whether the body of a row matches, as an expression.
pub(super) fn matches(matcher: &Arc<Matcher>) -> Expr {
    let signature = Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
    ScalarUDF::from(BodyMatches { matcher: Arc::clone(matcher), signature }).call(vec![column(log::BODY)])
}

#[derive(Debug)]
struct BodyMatches {
    matcher: Arc<Matcher>,
    signature: Signature,
}

impl PartialEq for BodyMatches {
    fn eq(&self, other: &Self) -> bool {
        self.matcher.name == other.matcher.name
    }
}

impl Eq for BodyMatches {}

impl Hash for BodyMatches {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.matcher.name.hash(state);
    }
}

impl ScalarUDFImpl for BodyMatches {
    fn name(&self) -> &str {
        "body_matches"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [bodies] = args.args.as_slice() else { return exec_err!("body_matches takes one column") };
        let bodies = bodies.to_array(args.number_rows)?;
        match bodies.as_string_opt::<i32>() {
            Some(bodies) => Ok(ColumnarValue::Array(Arc::new(self.matcher.rows(bodies)))),
            None => exec_err!("body_matches cannot read a {}", bodies.data_type()),
        }
    }
}
