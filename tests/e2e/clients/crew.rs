//! Several clients that send at the same time.

use std::collections::BTreeMap;

use anyhow::Result;
use tests::Server;

use super::matrix::{self, Row, Tally};
use super::process::Sender;
use super::rust::Services;
use super::telemetrygen::Generators;

/// Everything that runs for the rows of one matrix.
pub struct Crew {
    rows: Vec<Row>,
    senders: Vec<Sender>,
    rust: Services,
    generators: Generators,
}

impl Crew {
    /// Starts every client of the rows; each has something stored when this returns.
    pub fn start(server: &Server, rows: Vec<Row>) -> Result<Self> {
        let of = |client: &str| -> Vec<Row> { rows.iter().filter(|row| row.client == client).cloned().collect() };
        let mut senders = Vec::new();
        for row in of("javaagent") {
            senders.push(Sender::start_java(&row)?);
        }
        for language in ["python", "node", "go"] {
            let orders: Vec<_> = of(language).iter().map(Row::order).collect();
            if !orders.is_empty() {
                senders.push(Sender::start(language, orders)?);
            }
        }
        let rust = Services::start(&of("rust"))?;
        let generated = of("telemetrygen");
        let endless: Vec<_> = rows.iter().filter(|row| row.client != "telemetrygen").cloned().collect();
        matrix::wait_for_more("the first spans of every client", server, &endless, &BTreeMap::new())?;
        // these end by themselves, so they start when all others are there
        let generators = Generators::start(&generated)?;
        matrix::wait_for_more("the first spans of telemetrygen", server, &generated, &BTreeMap::new())?;
        Ok(Self { rows, senders, rust, generators })
    }

    /// Waits until spans of every client arrive at a server that was started again.
    pub fn wait_until_back(&mut self, server: &Server) -> Result<()> {
        let before = matrix::spans_shown(server)?;
        matrix::wait_for_more("spans of every client after the restart", server, &self.rows, &before)?;
        self.generators.ensure_running()
    }

    /// Lets every client end in its own time; the rows, and what was sent.
    pub fn finish(mut self) -> Result<(Vec<Row>, Vec<Tally>)> {
        for sender in &mut self.senders {
            sender.end_input();
        }
        let mut tallies = self.rust.finish()?;
        for sender in self.senders {
            tallies.extend(sender.finish()?);
        }
        tallies.extend(self.generators.finish()?);
        Ok((self.rows, tallies))
    }
}
