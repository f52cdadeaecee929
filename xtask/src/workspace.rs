//! The paths of the workspace, cargo's target directory, and this tool's folders in it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// The stem of every file in `site/pkg`. The server and Leptos read the same name from `LEPTOS_OUTPUT_NAME` (set in
/// `.cargo/config.toml`, because Leptos also reads it at compile time).
pub const OUTPUT_NAME: &str = "troupe";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    /// The cargo profile for the browser's code.
    pub fn cargo_profile(self) -> &'static str {
        match self {
            Profile::Dev => "dev",
            Profile::Release => "wasm-release",
        }
    }

    /// The folder to which cargo writes that profile.
    pub fn folder(self) -> &'static str {
        match self {
            Profile::Dev => "debug",
            Profile::Release => "wasm-release",
        }
    }
}

pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo for the target directory, so that `CARGO_TARGET_DIR` and `build.target-dir` are honoured.
    pub fn locate() -> Result<Workspace> {
        // The manifest's folder at run time: with a target directory shared by several clones, the running program may
        // have been compiled in another one.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask stands in the workspace's root folder")?.to_path_buf();
        let output = Command::new(cargo_program())
            .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
            .arg(root.join("Cargo.toml"))
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        ensure!(output.status.success(), "cargo metadata failed ({})", output.status);
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let target =
            metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(Workspace { target: PathBuf::from(target), root })
    }

    /// A cargo command that runs in the workspace and writes to the same target directory.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(cargo_program());
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// The finished files of one profile before they are published to the site; kept between builds.
    pub fn stage(&self, profile: Profile) -> PathBuf {
        self.target.join("front").join(profile.folder())
    }

    pub fn site(&self) -> PathBuf {
        self.target.join("site")
    }
}

fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs a command and waits for its end; its output goes to the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program} failed ({status})");
    Ok(())
}

/// Writes a file only when its content differs, and by a rename, so that a running server never reads half a file
/// and an unchanged file keeps its modification time (browsers revalidate by it). Returns whether it wrote.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let parent = path.parent().with_context(|| format!("{} has no folder", path.display()))?;
    fs::create_dir_all(parent)?;
    let name = path.file_name().with_context(|| format!("{} is no file", path.display()))?;
    let mut hidden = OsString::from(".new-");
    hidden.push(name);
    let temporary = parent.join(hidden);
    fs::write(&temporary, content).with_context(|| format!("cannot write {}", temporary.display()))?;
    fs::rename(&temporary, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}
