//! Ingest under load: the release binary with fsync, on one core and on both, loopback only, bounded in time.

use std::time::Duration;

use anyhow::Result;
use tests::wait_for;

use crate::corpus::Corpus;
use crate::load::{Load, Pace};
use crate::step::{self, CONNECTIONS, HEADING, LASTING, STEPS};
use crate::{Cores, pin};

struct Row {
    what: &'static str,
    /// Spans offered per second; `None` is as fast as answers come.
    rate: Option<f64>,
    cores: Cores,
    settings: &'static str,
    lasting: Duration,
}

impl Row {
    const fn new(what: &'static str, rate: Option<f64>, cores: Cores) -> Self {
        Self { what, rate, cores, settings: "", lasting: LASTING }
    }

    /// Without rules, and without a file before the row is over: what is left is sockets, redaction, decoding, the log
    /// and the memtable.
    const fn acknowledging_alone(what: &'static str, rate: Option<f64>, lasting: Duration) -> Self {
        Self { what, rate, cores: Cores::ONE_EACH, settings: ACKNOWLEDGING_ALONE, lasting }
    }
}

const ROWS: [Row; 6] = [
    Row::new("20,000 spans/s offered", Some(20_000.0), Cores::ONE_EACH),
    Row::acknowledging_alone("20,000 spans/s offered, acknowledging alone", Some(20_000.0), LASTING),
    Row::new("as fast as answered", None, Cores::ONE_EACH),
    // memory is what ends it
    Row::acknowledging_alone("as fast as answered, acknowledging alone, steps of 1 s", None, Duration::from_secs(1)),
    Row::new("200,000 spans/s offered, both cores", Some(200_000.0), Cores::SHARED),
    Row::new("as fast as answered, both cores", None, Cores::SHARED),
];
const ACKNOWLEDGING_ALONE: &str = "
[rules]
dir = \"{folder}\"
[lake]
memtable_bytes = 1073741824
flush_bytes = 1073741824
flush_secs = 300
";

/// Prints a row per load: what was acknowledged, how long that took, what it cost in CPU and memory.
pub fn run(corpus: &Corpus) -> Result<()> {
    println!("## ingest\n\n{CONNECTIONS} connections, medians of {STEPS} steps of {} s;", LASTING.as_secs());
    println!("server on core 0 and load on core 1, or both on both cores, where the load takes its share of them;");
    println!("fsync before every acknowledgement, redaction on, the shipped rules loaded\n\n{HEADING}");
    for Row { what, rate, cores, settings, lasting } in ROWS {
        let (folder, no_rules) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let settings = settings.replace("{folder}", &no_rules.path().to_string_lossy());
        let server = step::server(folder.path(), &settings)?;
        pin(std::process::id(), cores.load)?;
        pin(server.pid(), cores.server)?;
        let load = Load::new(corpus, &server.http, None)?;
        let pace = Pace { lasting, ..step::pace(rate) };
        println!("| {what} | {}", step::measure(&load, server.pid(), pace)?);
        wait_for("the server still answers", || server.get("/readyz").map(drop))?;
    }
    println!();
    Ok(())
}
