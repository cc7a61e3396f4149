//! SQL of users: reading only, two tables, within limits.
//!
//! The gates, each of which would do alone for most of what is refused: one statement that is a query or its EXPLAIN;
//! a session without files, table functions, information schema or settings; only functions on a list; a plan whose
//! every scan is one of our two tables of the caller's own snapshot; memory, time, rows and bytes within limits.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use lake::Snapshot;
use model::{Signal, TenantId, TimeRange};

use crate::query::Inner;
use crate::table::{Selectivity, SnapshotTable};
use crate::{Limits, Query, QueryError};

/// Scalar functions a text may call. Left out are those that read something else than their arguments or that make
/// much out of little (`repeat`, `lpad`, `replace`, `range` and the like): what they allocate is not counted.
const ALLOWED_FUNCTIONS: &[&str] = &[
    "abs",
    "array_any_value",
    "array_append",
    "array_concat",
    "array_dims",
    "array_distance",
    "array_distinct",
    "array_element",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_length",
    "array_max",
    "array_min",
    "array_ndims",
    "array_pop_back",
    "array_pop_front",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_replace",
    "array_reverse",
    "array_slice",
    "array_sort",
    "array_to_string",
    "array_union",
    "arrow_cast",
    "arrow_typeof",
    "ascii",
    "attribute",
    "bit_length",
    "btrim",
    "cardinality",
    "ceil",
    "character_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "contains",
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "decode",
    "empty",
    "encode",
    "ends_with",
    "exp",
    "find_in_set",
    "flatten",
    "floor",
    "from_unixtime",
    "get_field",
    "greatest",
    "initcap",
    "least",
    "left",
    "levenshtein",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "make_array",
    "make_date",
    "make_time",
    "map_extract",
    "map_keys",
    "map_values",
    "named_struct",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "overlay",
    "power",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "reverse",
    "right",
    "round",
    "rtrim",
    "signum",
    "split_part",
    "sqrt",
    "starts_with",
    "string_to_array",
    "strpos",
    "struct",
    "substr",
    "substr_index",
    "to_char",
    "to_date",
    "to_hex",
    "to_local_time",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "translate",
    "trunc",
    "upper",
];

/// What an SQL text found.
#[derive(Debug, Clone)]
pub struct SqlResult {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// There were more rows than `Limits::sql_rows`.
    pub truncated: bool,
}

impl Query {
    /// Runs one SELECT, WITH or EXPLAIN over the tenant's tables `spans` and `logs`. Columns are those of the stored
    /// schemas; `attribute(attrs_rest, 'key')` and `attribute(resource, 'key')` read attributes without a column.
    ///
    /// # Errors
    /// [`QueryError::Sql`] for a text that is wrong or not allowed, [`QueryError::SqlTooLong`];
    /// [`QueryError::Timeout`], [`QueryError::Memory`], [`QueryError::ResultTooLarge`] and [`QueryError::Overloaded`]
    /// when it is too heavy.
    pub async fn sql(&self, tenant: &TenantId, text: &str) -> Result<SqlResult, QueryError> {
        let statement = parse(text, self.limits())?;
        let tenant = tenant.clone();
        self.run("sql", move |inner, _deadline| async move {
            let session = inner.engine.restricted_session(|name| ALLOWED_FUNCTIONS.contains(&name))?;
            // the snapshots live until the last row is out: they keep their files on disk
            let snapshots = Signal::ALL.map(|signal| inner.snapshot(&tenant, signal, TimeRange::ALL));
            let plan = plan(&inner, &session, &snapshots, statement).await?;
            let frame = session.execute_logical_plan(plan).await.map_err(|error| refused(&inner, error))?;
            let found = inner.engine.collect(frame, inner.limits.sql_rows).await;
            let found = found.map_err(|error| match error {
                QueryError::Plan(error) => refused(&inner, error),
                other => other,
            })?;
            drop(snapshots);
            Ok(SqlResult { schema: found.schema, batches: found.batches, truncated: found.truncated })
        })
        .await
    }
}

/// One statement that only reads, or the reason why not.
fn parse(text: &str, limits: &Limits) -> Result<Statement, QueryError> {
    if text.len() > limits.sql_text_bytes {
        return Err(QueryError::SqlTooLong { got_bytes: text.len(), limit_bytes: limits.sql_text_bytes });
    }
    let wrong = |error: DataFusionError| QueryError::Sql(plain(&error));
    let parser = DFParserBuilder::new(text).with_dialect(&PostgreSqlDialect {}).build();
    let mut statements: VecDeque<Statement> = parser.and_then(|mut parser| parser.parse_statements()).map_err(wrong)?;
    let count = statements.len();
    match (statements.pop_front(), count) {
        (Some(statement), 1) if only_reads(&statement) => Ok(statement),
        (Some(_), 1) => Err(QueryError::Sql("only SELECT, WITH and EXPLAIN are allowed".to_owned())),
        _ => Err(QueryError::Sql(format!("exactly one statement is allowed, got {count}"))),
    }
}

fn only_reads(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(statement) => only_queries(statement),
        Statement::Explain(explain) => only_reads(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    }
}

fn only_queries(statement: &SqlStatement) -> bool {
    match statement {
        SqlStatement::Query(_) => true,
        SqlStatement::Explain { statement, .. } => only_queries(statement),
        _ => false,
    }
}

async fn plan(
    inner: &Inner,
    session: &SessionContext,
    snapshots: &[Snapshot; 2],
    statement: Statement,
) -> Result<LogicalPlan, QueryError> {
    for snapshot in snapshots {
        let table = SnapshotTable::new(snapshot, Selectivity::Selective);
        session
            .register_table(snapshot.signal.as_str(), Arc::new(table))
            .map_err(|error| inner.engine.failed(error))?;
    }
    let plan = session.state().statement_to_plan(statement).await.map_err(|error| refused(inner, error))?;
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(&plan).map_err(|error| refused(inner, error))?;
    inspect(&plan, inner.limits.sql_joins)?;
    Ok(plan)
}

/// Fails unless every scan reads one of our tables, and counts the joins.
fn inspect(plan: &LogicalPlan, max_joins: usize) -> Result<(), QueryError> {
    let (mut foreign, mut joins) = (None, 0);
    let walked = plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::TableScan(scan) => {
                let ours =
                    source_as_provider(&scan.source).is_ok_and(|table| table.downcast_ref::<SnapshotTable>().is_some());
                if !ours {
                    foreign = Some(scan.table_name.to_string());
                }
            }
            LogicalPlan::Join(_) => joins += 1,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(|error| QueryError::Sql(plain(&error)))?;
    if let Some(name) = foreign {
        return Err(QueryError::Sql(format!("only the tables spans and logs can be read, got {name:?}")));
    }
    if joins > max_joins {
        return Err(QueryError::Sql(format!("at most {max_joins} joins are allowed, got {joins}")));
    }
    Ok(())
}

/// What the engine says of a text is the user's to mend, unless memory ran out or the data is at fault.
fn refused(inner: &Inner, error: DataFusionError) -> QueryError {
    match inner.engine.failed(error) {
        QueryError::Plan(error) if !blames_data(&error) => QueryError::Sql(plain(&error)),
        other => other,
    }
}

fn blames_data(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => {
            matches!(**error, ArrowError::ParquetError(_) | ArrowError::IoError(..))
        }
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => true,
        _ => false,
    }
}

/// The engine's own words without the backtrace and help that follow them.
fn plain(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
