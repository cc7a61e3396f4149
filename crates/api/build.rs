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
        let bytes = fs::read(path).expect("a listed file can be read");
        let gzip = gzip(&bytes).filter(|packed| packed.len() < bytes.len() * 9 / 10);
        let packed = gzip.map_or_else(
            || "None".to_owned(),
            |packed| {
                let path = out.join(format!("{index}.gz"));
                fs::write(&path, packed).expect("the output directory can be written");
                format!("Some(include_bytes!({path:?}))")
            },
        );
        let etag = format!("\\\"{:08x}{:x}\\\"", crc32c::crc32c(&bytes), bytes.len());
        let path = path.canonicalize().expect("a listed file has a path");
        writeln!(
            code,
            "    File {{ path: {name:?}, etag: \"{etag}\", bytes: include_bytes!({path:?}), gzip: {packed} }},"
        )
        .expect("writing to a string");
    }
    code.push_str("];\n");
    fs::write(out.join("files.rs"), code).expect("the output directory can be written");
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
