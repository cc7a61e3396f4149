//! `tracehound config check|print`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::ConfigCommand;
use crate::settings::{self, Settings};

/// What is printed in place of a secret.
const REDACTED: &str = "<redacted>";

/// Runs the command. A wrong setting is an error that names it.
pub fn run(command: &ConfigCommand) -> Result<ExitCode> {
    match command {
        ConfigCommand::Check(args) => {
            settings::resolve(settings::read(args)?)?;
            println!("settings are valid");
        }
        ConfigCommand::Print(args) => {
            let resolved = settings::resolve(settings::read(args)?)?;
            print!("{}", toml::to_string_pretty(&redact(resolved.settings))?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Webhook URLs hold their secret in path or query, and may have a password; files with secrets are named, not read.
fn redact(mut settings: Settings) -> Settings {
    for text in &mut settings.alerts.webhooks {
        *text = match url::Url::parse(text) {
            Ok(url) => {
                let host = url.host_str().unwrap_or_default();
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{}://{host}{port}/{REDACTED}", url.scheme())
            }
            Err(_) => REDACTED.to_owned(),
        };
    }
    settings
}

#[cfg(test)]
mod tests;
