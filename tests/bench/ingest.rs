//! Ingest under load: the release binary with fsync, on one core and on both, loopback only, bounded in time.

use anyhow::Result;
use tests::wait_for;

use crate::corpus::Corpus;
use crate::load::Load;
use crate::step::{self, CONNECTIONS, HEADING, LASTING, STEPS};
use crate::{Cores, pin};

/// A row: what it is called, spans offered per second, where the server and the load run, and the server's settings.
const ROWS: [(&str, Option<f64>, Cores, &str); 5] = [
    ("20,000 spans/s offered", Some(20_000.0), Cores::ONE_EACH, ""),
    ("20,000 spans/s offered, acknowledging alone", Some(20_000.0), Cores::ONE_EACH, ACKNOWLEDGING_ALONE),
    ("as fast as answered", None, Cores::ONE_EACH, ""),
    ("200,000 spans/s offered, both cores", Some(200_000.0), Cores::SHARED, ""),
    ("as fast as answered, both cores", None, Cores::SHARED, ""),
];
/// No rules, and no file before the row is over: what is left is sockets, redaction, decoding, the log and the memtable.
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
    for (what, rate, cores, settings) in ROWS {
        let (folder, no_rules) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let settings = settings.replace("{folder}", &no_rules.path().to_string_lossy());
        let server = step::server(folder.path(), &settings)?;
        pin(std::process::id(), cores.load)?;
        pin(server.pid(), cores.server)?;
        let load = Load::new(corpus, &server.http, None)?;
        println!("| {what} | {}", step::measure(&load, server.pid(), step::pace(rate))?);
        wait_for("the server still answers", || server.get("/readyz").map(drop))?;
    }
    println!();
    Ok(())
}
