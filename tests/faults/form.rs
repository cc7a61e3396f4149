//! How much of a test is run.

/// The first number in a short run, the second in a full one; the variable, when it is set, is stronger than both.
pub fn rounds(variable: &str, short: usize, full: usize) -> usize {
    let set = std::env::var(variable).ok().and_then(|text| text.parse().ok());
    let is_full = std::env::var("TRACEHOUND_FAULTS").is_ok_and(|form| form == "full");
    set.unwrap_or(if is_full { full } else { short })
}

/// The value that this share of all values is not above, `share` between 0 and 1.
pub fn quantile<T: Ord + Copy>(values: &[T], share: f64) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    sorted.get(((sorted.len() as f64 * share) as usize).min(last)).copied()
}
