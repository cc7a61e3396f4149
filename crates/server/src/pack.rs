//! The shipped rules, carried in the binary.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rust_embed::Embed;

#[derive(Embed)]
#[folder = "../../rules"]
#[include = "*.yml"]
struct Pack;

/// Makes the rules folder and fills it with the shipped rules, when there is no such folder. An existing one is left
/// alone, so that rules somebody deleted do not come back.
pub fn unpack_once(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make the rules folder {}", folder.display()))?;
    for name in Pack::iter() {
        let Some(file) = Pack::get(&name) else { continue };
        let path = folder.join(name.as_ref());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.data).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
