//! Rate, errors and durations of a service over time, from roll-ups.

use lake::{STEP_NANOS, Sketch, Wanted, whole_steps};
use model::{Signal, TenantId, TimeRange, UnixNanos};

use crate::census::SHARES;
use crate::query::blocking;
use crate::{Query, QueryError, rolled};

/// Lengths of a point in steps of ten seconds: 10, 20 and 30 s, 1, 2, 5, 10, 15 and 30 min, 1, 2, 6 and 12 h; then days.
const LENGTHS: [i64; 13] = [1, 2, 3, 6, 12, 30, 60, 90, 180, 360, 720, 2_160, 4_320];
const DAY: u64 = 8_640;

/// How a service went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// What the points cover: the range asked for in whole steps.
    pub range: TimeRange,
    /// Length of a point in nanoseconds; a multiple of ten seconds.
    pub step_nanos: i64,
    /// One for each step, empty ones too, earliest first.
    pub points: Vec<Point>,
}

/// What a service did in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Where the step begins.
    pub start: UnixNanos,
    /// Spans that started in it.
    pub spans: u64,
    /// Those with an error status.
    pub errors: u64,
    /// Half of them took at most this long, in nanoseconds and to 4.5 %; 0 without spans.
    pub p50_nanos: i64,
    /// 95 % of them took at most this long.
    pub p95_nanos: i64,
}

/// Counts of one step.
#[derive(Debug, Clone, Default)]
struct Sum {
    spans: i64,
    errors: i64,
    durations: Sketch,
}

impl Query {
    /// How a service, or one operation of it, went in the range: `max_points` steps at most, one more where the range
    /// does not begin with a step.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] when the range has no end, [`QueryError::Timeout`], [`QueryError::Overloaded`].
    pub async fn course(
        &self,
        tenant: &TenantId,
        service: &str,
        operation: Option<&str>,
        range: TimeRange,
        max_points: usize,
    ) -> Result<Course, QueryError> {
        let (tenant, service, operation) = (tenant.clone(), service.to_owned(), operation.map(str::to_owned));
        self.run("course", move |inner, deadline| async move {
            let step_nanos = step(&range, max_points)?;
            let start = range.start.0.div_euclid(step_nanos).checked_mul(step_nanos);
            let start = UnixNanos(start.ok_or_else(too_long)?);
            let range = whole_steps(&TimeRange { start, ..range });
            let snapshot = inner.snapshot(&tenant, Signal::Spans, range);
            blocking(move || {
                let length = range.end.0.saturating_sub(start.0) as u64;
                let mut sums = vec![Sum::default(); length.div_ceil(step_nanos as u64) as usize];
                let wanted = Wanted::Course { service: &service };
                rolled::read(&snapshot, &range, wanted, deadline, &mut |rollup| {
                    for (key, cells) in rollup.operations.iter().filter(|(key, _)| key.service == service) {
                        if operation.as_ref().is_some_and(|operation| *operation != key.name) {
                            continue;
                        }
                        for cell in cells {
                            let place = (i64::from(cell.step) * STEP_NANOS - start.0).div_euclid(step_nanos);
                            let Some(sum) = usize::try_from(place).ok().and_then(|place| sums.get_mut(place)) else {
                                continue;
                            };
                            sum.spans += cell.count;
                            sum.errors += if key.is_error() { cell.count } else { 0 };
                            sum.durations.add(cell.class, cell.count);
                        }
                    }
                })?;
                let points = sums.iter().zip(0..).map(|(sum, place)| sum.point(start.plus(place * step_nanos)));
                Ok(Course { range, step_nanos, points: points.collect() })
            })
            .await
        })
        .await
    }
}

impl Sum {
    fn point(&self, start: UnixNanos) -> Point {
        let [p50_nanos, p95_nanos] = self.durations.percentiles(SHARES);
        let count = |count: i64| count.max(0) as u64;
        Point { start, spans: count(self.spans), errors: count(self.errors), p50_nanos, p95_nanos }
    }
}

/// The shortest length with which `max_points` points cover the range.
fn step(range: &TimeRange, max_points: usize) -> Result<i64, QueryError> {
    let length = range.end.0.checked_sub(range.start.0).ok_or_else(too_long)?;
    // a range that begins within a step touches one more
    let steps = (length / STEP_NANOS + 2) as u64;
    let wanted = steps.div_ceil(max_points.max(1) as u64) as i64;
    let found = LENGTHS.into_iter().find(|length| *length >= wanted);
    let steps = found.unwrap_or_else(|| (wanted as u64).div_ceil(DAY) as i64 * DAY as i64);
    steps.checked_mul(STEP_NANOS).ok_or_else(too_long)
}

fn too_long() -> QueryError {
    QueryError::Invalid { field: "start", reason: "the range must not reach further than 292 years".to_owned() }
}
