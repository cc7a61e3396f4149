//! Stored events of a data directory that no server uses.

use alerts::AlertBook;
use anyhow::{Context, Result, ensure};
use model::{TenantId, TraceId};
use query::{BacktestLimits, Limits, Query};
use runtime::{Clock, Database, Random};

use crate::cli::{ServeArgs, StoreArgs};
use crate::lock::{self, DirectoryLock};
use crate::settings::{self, Resolved};
use crate::wiring;

/// An open store, locked for as long as this lives.
pub struct Store {
    /// Reads it.
    pub query: Query,
    /// Whose events.
    pub tenant: TenantId,
    /// Where it is and what it was made with.
    pub resolved: Resolved,
    _lock: DirectoryLock,
}

impl Store {
    /// Opens it and puts back what the log holds.
    pub async fn open(args: &StoreArgs) -> Result<Self> {
        let given = ServeArgs { config: args.config.clone(), data_dir: args.data_dir.clone(), ..ServeArgs::default() };
        let resolved = settings::resolve(settings::read(&given)?)?;
        let folder = resolved.settings.server.data_dir.clone();
        ensure!(
            folder.join(wiring::path::DATABASE).is_file(),
            "data directory {} holds no store; name one with --data-dir, or a running server with --url",
            folder.display()
        );
        let tenant = match &args.tenant {
            Some(tenant) => tenant.parse().context("--tenant")?,
            None => TenantId::default_tenant(),
        };
        let lock = lock::lock(&folder).context("a running server is asked with --url")?;
        let lake = wiring::open_store(&resolved).await?;
        let query = Query::new(lake, Clock::system(), Limits::default())?;
        Ok(Self { query, tenant, resolved, _lock: lock })
    }

    /// The traces of an alert's evidence, the first few.
    pub async fn traces_of_alert(&self, alert: &str) -> Result<Vec<TraceId>> {
        let database = Database::open(&self.resolved.settings.server.data_dir.join(wiring::path::DATABASE)).await?;
        let settings = alerts::Settings::new(self.resolved.public_url.clone());
        let book = AlertBook::open(database, settings, Clock::system(), Random).await?;
        let found = book.get(&self.tenant, alert).await?;
        Ok(found.with_context(|| format!("there is no alert {alert:?}"))?.incident.trace_ids)
    }

    /// Limits of a backtest that nobody else is disturbed by.
    pub fn backtest_limits(&self) -> BacktestLimits {
        BacktestLimits { share: 1.0, ..wiring::backtests(&self.resolved) }
    }
}
