//! Takes the built web interface into the binary, or nothing when it was not built.
//!
//! Writes a Rust list of the files of `web/dist`, each with its etag and, where that is smaller, its gzip form. Node is
//! not needed: without a build the list is empty, and the server shows a page that says how to build it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets the output directory"));
    let dist = manifest.join("../../web/dist");
    // cargo watches the folder; one that does not exist would make every build start over
    let _ = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut files = Vec::new();
    list(&dist, "", &mut files);
    files.sort();
    let mut code = String::from("static FILES: &[File] = &[\n");
    for (index, (name, path)) in files.iter().enumerate() {
        // gone since it was listed: the interface is being built again, and cargo will be back for it
        let Ok(bytes) = fs::read(path) else { continue };
        // a copy, so that a later build of the interface cannot take files away from under the compiler
        let whole = keep(&out.join(format!("{index}.file")), &bytes);
        let gzip = gzip(&bytes).filter(|packed| packed.len() < bytes.len() * 9 / 10);
        let packed = gzip.map_or_else(
            || "None".to_owned(),
            |packed| format!("Some({})", keep(&out.join(format!("{index}.gz")), &packed)),
        );
        let etag = format!("\\\"{:08x}{:x}\\\"", crc32c::crc32c(&bytes), bytes.len());
        writeln!(code, "    File {{ path: {name:?}, etag: \"{etag}\", bytes: {whole}, gzip: {packed} }},")
            .expect("writing to a string");
    }
    code.push_str("];\n");
    fs::write(out.join("files.rs"), code).expect("the output directory can be written");
}

/// Writes a file for the compiler and gives the code that takes it in.
fn keep(path: &Path, bytes: &[u8]) -> String {
    fs::write(path, bytes).expect("the output directory can be written");
    format!("include_bytes!({path:?})")
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // tool files such as Vite's manifest are not for visitors
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            list(&path, &format!("{prefix}{name}/"), files);
        } else {
            files.push((format!("{prefix}{name}"), path));
        }
    }
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).ok()?;
    packer.finish().ok()
}
