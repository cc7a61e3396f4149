//! `tracehound policy learn|export`: service-call policies without a server.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use model::{TenantId, TimeRange, UnixNanos};
use query::{Limits, Query};
use rules::policy::{self, ExportError, Origin, Target};
use runtime::Clock;

use crate::cli::{LearnArgs, PolicyCommand, ServeArgs};
use crate::{lock, settings, wiring};

/// Reading a long history takes its time: nobody waits for it but who asked.
const TIME_LIMIT: Duration = Duration::from_secs(24 * 3_600);

/// Runs the command.
pub async fn run(command: PolicyCommand) -> Result<ExitCode> {
    match command {
        PolicyCommand::Learn(args) => learn(args).await,
        PolicyCommand::Export { policy, istio, trust_domain, .. } => {
            let target = if istio { Target::Istio { trust_domain } } else { Target::NetworkPolicy };
            export(&policy, &target)
        }
    }
}

async fn learn(args: LearnArgs) -> Result<ExitCode> {
    let given = ServeArgs { config: args.config, data_dir: args.data_dir, ..ServeArgs::default() };
    let resolved = settings::resolve(settings::read(&given)?)?;
    let folder = &resolved.settings.server.data_dir;
    ensure!(folder.is_dir(), "data directory {} does not exist", folder.display());
    let tenant: TenantId = args.tenant.parse().context("--tenant")?;
    let start = time("--from", args.from.as_deref())?.unwrap_or(TimeRange::ALL.start);
    let end = time("--to", args.to.as_deref())?.unwrap_or(TimeRange::ALL.end);
    ensure!(start < end, "--from must lie before --to");
    let _lock = lock::lock(folder).context("a running server learns through its API: POST /api/v1/policy/learn")?;
    let lake = wiring::open_store(&resolved).await?;
    let query = Query::new(lake, Clock::system(), Limits { time: TIME_LIMIT, ..Limits::default() })?;
    let range = TimeRange { start, end };
    let learned = query.calls(&tenant, range, args.max_spans).await?;
    ensure!(learned.graph.spans > 0, "no span of tenant {tenant} is stored in that range");
    let notes = learned.notes().into_iter().collect();
    let origin = Origin { tenant: tenant.to_string(), from: learned.range.start, to: learned.range.end, notes };
    print!("{}", policy::write(&learned.graph, &origin));
    Ok(ExitCode::SUCCESS)
}

fn time(flag: &str, text: Option<&str>) -> Result<Option<UnixNanos>> {
    let Some(text) = text else { return Ok(None) };
    let read = UnixNanos::from_rfc3339(text);
    Ok(Some(read.with_context(|| format!("{flag} must be RFC 3339, as in 2026-11-22T14:00:00Z, got {text:?}"))?))
}

fn export(path: &Path, target: &Target) -> Result<ExitCode> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let now = UnixNanos(Clock::system().unix_nanos());
    match target.export(&path.to_string_lossy(), &text, now) {
        Ok(exported) => {
            for warning in &exported.warnings {
                eprintln!("warning: {warning}");
            }
            print!("{}", exported.text);
            Ok(ExitCode::SUCCESS)
        }
        Err(ExportError::Invalid(problems)) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => bail!("{}: {error}", path.display()),
    }
}
