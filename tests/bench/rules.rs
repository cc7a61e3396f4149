//! The rule engine beside rsigma-eval: a package of its own, `tests/rules-bench`, so that the other engine stays out of the product's build.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

/// Builds and runs it on one core.
pub fn run() -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = tests.join("rules-bench/Cargo.toml");
    let target = tests.join("../target/rules-bench");
    let run = |mut command: Command, verb: &str| {
        command.args([verb, "--locked", "--release", "--quiet", "--manifest-path"]).arg(&manifest);
        command.arg("--target-dir").arg(&target).status()
    };
    ensure!(run(Command::new("cargo"), "build")?.success(), "tests/rules-bench does not build");
    let mut on_one_core = Command::new("taskset");
    on_one_core.args(["-c", "0", "cargo"]);
    ensure!(run(on_one_core, "run")?.success(), "tests/rules-bench failed");
    Ok(())
}
