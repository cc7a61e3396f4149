//! `tracehound tenant`: what is done to a tenant while no server runs.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use model::TenantId;
use runtime::{Clock, Database, keyring};

use crate::cli::{ServeArgs, TenantCommand};
use crate::lock;
use crate::settings;
use crate::wiring::path;

/// Runs one of the commands.
pub async fn run(command: TenantCommand) -> Result<ExitCode> {
    let TenantCommand::Erase { name, config, data_dir, yes } = command;
    let given = ServeArgs { config, data_dir, ..ServeArgs::default() };
    let folder = settings::resolve(settings::read(&given)?)?.settings.server.data_dir;
    let tenant: TenantId = name.parse()?;
    ensure!(folder.join(path::DATABASE).is_file(), "data directory {} holds no store", folder.display());
    ensure!(yes, "this destroys every event of tenant {tenant} that is encrypted; say --yes");
    let _lock = lock::lock(&folder)?;
    let database = Database::open(&folder.join(path::DATABASE)).await?;
    let erased = keyring::erase(&database, &Clock::system(), tenant.as_str()).await?;
    database.close().await;
    ensure!(erased > 0, "tenant {tenant} has no key: nothing of it is encrypted, or it was erased before");
    println!("the key of tenant {tenant} is destroyed: what was encrypted with it cannot be read any more");
    Ok(ExitCode::SUCCESS)
}
