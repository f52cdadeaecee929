//! `cargo xtask front`: builds everything the browser loads.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};

use crate::{
    compress, css, site, wasm,
    workspace::{OUTPUT_NAME, Profile, Workspace},
};

pub fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    let start = Instant::now();
    let stage = workspace.stage(profile);
    let pkg = stage.join("pkg");
    fs::create_dir_all(&pkg).with_context(|| format!("cannot create {}", pkg.display()))?;

    wasm::build(workspace, profile)?;
    css::bundle(&workspace.root.join("style/main.css"), &pkg.join(format!("{OUTPUT_NAME}.css")), profile)?;
    if profile == Profile::Release {
        for file in files(&pkg, &["wasm", "js", "css"])? {
            compress::siblings(&file)?;
        }
    }
    site::publish(workspace, profile)?;

    for wasm in files(&pkg, &["wasm"])? {
        let raw = kilobytes(fs::metadata(&wasm)?.len());
        let size = match compress::brotli_path(&wasm).metadata() {
            Ok(brotli) if profile == Profile::Release => {
                format!("{raw} KB raw, {} KB brotli", kilobytes(brotli.len()))
            }
            _ => format!("{raw} KB raw"),
        };
        eprintln!("xtask: {} {size}", wasm.file_name().unwrap_or_default().display());
    }
    eprintln!("xtask: {} in {:.1} s", workspace.site().display(), start.elapsed().as_secs_f32());
    Ok(())
}

/// The files of a folder with one of these extensions, sorted by name.
fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if extensions.iter().any(|wanted| path.extension().is_some_and(|extension| extension == *wanted)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1000)
}
