//! Builds the `frontend` crate as WebAssembly: cargo, then wasm-bindgen (as a library, so the lockfile pins its
//! version). A release is pruned and split before, and each part is optimised by wasm-opt afterwards. All steps after
//! cargo are skipped if cargo's output has not changed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::{
    prune::prune,
    split::split,
    workspace::{OUTPUT_NAME, Profile, Workspace, run},
};

const TARGET: &str = "wasm32-unknown-unknown";

/// The required output of `wasm-opt --version`, from the npm package in `package.json`. Other versions are rejected:
/// Debian's 108 silently produces a module whose hydration fails.
const WASM_OPT_VERSION: &str = "version_132";

/// The features that rustc's target enables by default must be listed, or wasm-opt rejects the module.
const WASM_OPT_FLAGS: [&str; 7] = [
    "-Oz",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Writes `troupe.js`, `troupe.wasm` and `snippets/` to the profile's stage.
pub fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    let input = compile(workspace, profile)?;
    let stage = workspace.stage(profile);
    let pkg = stage.join("pkg");
    let wasm = pkg.join(format!("{OUTPUT_NAME}.wasm"));
    let script = pkg.join(format!("{OUTPUT_NAME}.js"));

    let key_file = stage.join("wasm.key");
    let key = key(&input, profile)?;
    if wasm.exists() && script.exists() && fs::read_to_string(&key_file).is_ok_and(|old| old == key) {
        return Ok(());
    }
    // The key is removed first and written last, so that an interrupted build is never taken for a complete one.
    if key_file.exists() {
        fs::remove_file(&key_file)?;
    }
    // Chunks have hashed names, so those of an older build would remain.
    if pkg.exists() {
        fs::remove_dir_all(&pkg)?;
    }
    fs::create_dir_all(&pkg)?;
    let bound = pkg.join(format!("{OUTPUT_NAME}_bg.wasm"));
    match profile {
        Profile::Dev => bind(&input, &pkg, profile)?,
        Profile::Release => {
            let pruned = prune(&fs::read(&input)?)?;
            let parts = split(&pruned, &stage.join("split"))?;
            bind(&parts.main, &pkg, profile)?;
            optimise(workspace, &bound)?;
            for chunk in &parts.chunks {
                optimise(workspace, chunk)?;
            }
            parts.publish(&pkg)?;
        }
    }
    fs::rename(&bound, &wasm)?;
    fs::write(&key_file, key)?;
    Ok(())
}

fn compile(workspace: &Workspace, profile: Profile) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args([
        "rustc",
        "-p",
        "frontend",
        "--lib",
        "--target",
        TARGET,
        "--profile",
        profile.cargo_profile(),
    ]);
    if profile == Profile::Release {
        // Splitting needs the relocations of functions and data.
        cargo.args(["--features", "split", "--", "-C", "link-arg=--emit-relocs"]);
    }
    run(&mut cargo).with_context(|| {
        format!("the frontend did not compile (is the target {TARGET} there? `make setup` adds it)")
    })?;
    Ok(workspace.target.join(TARGET).join(profile.folder()).join("frontend.wasm"))
}

/// The key of a build result: the module and every tool that processes it.
fn key(input: &Path, profile: Profile) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(fs::read(input).with_context(|| format!("cannot read {}", input.display()))?);
    hash.update(include_bytes!("prune.rs"));
    hash.update(include_bytes!("split.rs"));
    hash.update(include_bytes!("wasm.rs"));
    hash.update(profile.folder());
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bind(input: &Path, pkg: &Path, profile: Profile) -> Result<()> {
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(input)
        .out_name(OUTPUT_NAME)
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        .keep_debug(profile == Profile::Dev)
        // The chunks import the stack pointer and the function table from the main module.
        .keep_lld_exports(profile == Profile::Release)
        .remove_name_section(profile == Profile::Release)
        .generate(pkg)
        .context("wasm-bindgen failed")
}

fn optimise(workspace: &Workspace, wasm: &Path) -> Result<()> {
    let start = Instant::now();
    let program = workspace.root.join("node_modules/.bin/wasm-opt");
    ensure!(program.exists(), "wasm-opt is missing: run `make setup`");
    let answer = Command::new(&program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot start {} (it needs Node)", program.display()))?;
    let version = String::from_utf8_lossy(&answer.stdout);
    ensure!(
        version.contains(WASM_OPT_VERSION),
        "{} says {:?}, wanted {WASM_OPT_VERSION}: run `make setup`",
        program.display(),
        version.trim()
    );
    run(Command::new(&program).args(WASM_OPT_FLAGS).arg(wasm).arg("-o").arg(wasm))?;
    eprintln!("xtask: wasm-opt took {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}
