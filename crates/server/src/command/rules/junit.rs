//! JUnit XML, as continuous integration reads it.

use std::fmt::Write as _;

/// The cases of one file.
pub struct Suite {
    /// The file.
    pub name: String,
    /// What was tried in it.
    pub cases: Vec<Case>,
    /// What is odd and no failure.
    pub remarks: Vec<String>,
}

/// One thing that was tried.
pub struct Case {
    /// What it is called.
    pub name: String,
    /// Where it stands in the file.
    pub line: u32,
    /// Why it failed.
    pub failure: Option<String>,
}

/// One document with a suite a file.
pub fn document(name: &str, suites: &[Suite]) -> String {
    let fails = |suite: &Suite| suite.cases.iter().filter(|case| case.failure.is_some()).count();
    let (tests, failures) =
        suites.iter().fold((0, 0), |(tests, failed), suite| (tests + suite.cases.len(), failed + fails(suite)));
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _ =
        writeln!(xml, "<testsuites name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">", escaped(name));
    for suite in suites {
        let file = escaped(&suite.name);
        let (tests, failures) = (suite.cases.len(), fails(suite));
        let _ = writeln!(xml, "  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">");
        for case in &suite.cases {
            let (name, line) = (escaped(&case.name), case.line);
            let head = format!("    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{line}\"");
            let _ = match &case.failure {
                None => writeln!(xml, "{head}/>"),
                Some(why) => {
                    let why = escaped(why);
                    writeln!(xml, "{head}>\n      <failure message=\"{why}\">{why}</failure>\n    </testcase>")
                }
            };
        }
        if !suite.remarks.is_empty() {
            let remarks: Vec<String> = suite.remarks.iter().map(|remark| escaped(remark)).collect();
            let _ = writeln!(xml, "    <system-out>{}</system-out>", remarks.join("\n"));
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Text inside quotes or elements; what XML 1.0 cannot hold is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
