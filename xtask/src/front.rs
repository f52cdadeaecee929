//! `cargo xtask front`: everything the browser loads, in the order it is made.

use std::{fs, time::Instant};

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
        for extension in ["wasm", "js", "css"] {
            compress::siblings(&pkg.join(format!("{OUTPUT_NAME}.{extension}")))?;
        }
    }
    site::publish(workspace, profile)?;

    let wasm = pkg.join(format!("{OUTPUT_NAME}.wasm"));
    let raw = kilobytes(fs::metadata(&wasm)?.len());
    let size = match compress::brotli_path(&wasm).metadata() {
        Ok(brotli) if profile == Profile::Release => {
            format!("{raw} KB raw, {} KB brotli", kilobytes(brotli.len()))
        }
        _ => format!("{raw} KB raw"),
    };
    eprintln!(
        "xtask: {} ({OUTPUT_NAME}.wasm {size}) in {:.1} s",
        workspace.site().display(),
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1000)
}
