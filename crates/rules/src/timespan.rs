//! Lengths of time as rules write them: a whole number and a letter.

const SECOND: i64 = 1_000_000_000;

/// Nanoseconds of `90s`, `10m`, `2h`, `7d`, `1w`, `1M` (30 days) or `1y` (365 days); `None` for anything else.
pub fn parse_nanos(text: &str) -> Option<i64> {
    let text = text.trim();
    let unit = text.chars().last()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'M' => 30 * 86_400,
        'y' => 365 * 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i64>().ok()?.checked_mul(seconds)?.checked_mul(SECOND)
}

/// Roughly how long: the largest whole unit, rounded down.
pub fn about_nanos(nanos: i64) -> String {
    let units = [(86_400 * SECOND, "d"), (3_600 * SECOND, "h"), (60 * SECOND, "m")];
    let largest = units.into_iter().find(|(unit, _)| nanos >= *unit);
    largest.map_or_else(|| format!("{}s", nanos / SECOND), |(unit, letter)| format!("{}{letter}", nanos / unit))
}

/// The shortest way to write a length of time: whole units down to milliseconds.
pub fn show_nanos(nanos: i64) -> String {
    let units = [(86_400 * SECOND, "d"), (3_600 * SECOND, "h"), (60 * SECOND, "m"), (SECOND, "s")];
    let whole = units.into_iter().find(|(unit, _)| nanos % unit == 0 && nanos >= *unit);
    whole.map_or_else(|| format!("{}ms", nanos / 1_000_000), |(unit, letter)| format!("{}{letter}", nanos / unit))
}
