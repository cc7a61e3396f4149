//! Regular expressions of rules: compiled within limits on each, and on all of a file.

use regex::{Regex, RegexBuilder};

use super::chain::Chain;
use crate::atom::Anchor;
use crate::diagnostic::{Report, code};
use crate::yaml::Node;

/// Compiled sizes that a regular expression may have. The smallest that it fits is booked for it.
const SIZES_BYTES: [usize; 3] = [64 * 1024, 512 * 1024, 4 * 1024 * 1024];
/// What all regular expressions of a file may take.
const FILE_BYTES: usize = 64 * 1024 * 1024;

/// Compiles regular expressions; `None` after reporting.
pub fn compile(listed: &[Node], chain: &Chain, report: &mut Report) -> Option<Vec<Regex>> {
    listed.iter().map(|node| one(node, chain, report)).collect()
}

fn one(node: &Node, chain: &Chain, report: &mut Report) -> Option<Regex> {
    let Some(text) = node.scalar_text() else {
        report.add(node.at, code::WRONG_TYPE, "a regular expression must be text", "");
        return None;
    };
    let anchored = match chain.anchor {
        Anchor::Whole | Anchor::Contains => text,
        Anchor::Start => format!("\\A(?:{text})"),
        Anchor::End => format!("(?:{text})\\z"),
    };
    let flags = [('i', chain.ignore_case), ('m', chain.multi_line), ('s', chain.dot_all)];
    let flags: String = flags.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag)).collect();
    // the flags stand in the expression, so that whoever reads it later reads all of it
    let whole = if flags.is_empty() { anchored } else { format!("(?{flags}){anchored}") };
    let mut failed = None;
    for bytes in SIZES_BYTES {
        match RegexBuilder::new(&whole).size_limit(bytes).build() {
            Ok(regex) if report.spend_regex(bytes, FILE_BYTES) => return Some(regex),
            Ok(_) => {
                let message = format!("the regular expressions of the file take more than {FILE_BYTES} bytes");
                report.add(node.at, code::TOO_LARGE, message, "split the file, or make them simpler");
                return None;
            }
            Err(error @ regex::Error::CompiledTooBig(_)) => failed = Some(error),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let text = failed.map(|error| error.to_string()).unwrap_or_default();
    let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let hint = "syntax of the Rust regex crate: no look-around and no back-references";
    report.add(node.at, code::BAD_REGEX, last, hint);
    None
}
