//! Publishing: copies the stage's `pkg` and `public/` to `<target dir>/site`, file by file, and removes files that are
//! no longer produced. A running server never reads a partial file.
//!
//! A release also contains each of its three main files under a name with its content hash
//! (`troupe.0123456789abcdef.js`), which may be cached forever, and writes `hash.txt` next to the release binary,
//! where Leptos (`hash_files`) looks for it. Under the plain names the same files must be revalidated. Chunks always
//! have a hashed name (`split.rs`).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{
    compress,
    workspace::{OUTPUT_NAME, Profile, Workspace, write_if_changed},
};

pub fn publish(workspace: &Workspace, profile: Profile) -> Result<()> {
    let site = workspace.site();
    let mut published = BTreeSet::new();
    copy(&workspace.root.join("public"), &site, &mut published)?;
    let staged = workspace.stage(profile).join("pkg");
    let pkg = site.join("pkg");
    copy(&staged, &pkg, &mut published)?;

    let hash_file = workspace.target.join("release/hash.txt");
    match profile {
        Profile::Release => {
            let hashes = publish_hashed(&staged, &pkg, &mut published)?;
            write_if_changed(&hash_file, hashes.as_bytes())?;
        }
        Profile::Dev if hash_file.exists() => fs::remove_file(&hash_file)?,
        Profile::Dev => {}
    }
    sweep(&site, &published)
}

/// Returns the text of `hash.txt`.
fn publish_hashed(staged: &Path, pkg: &Path, published: &mut BTreeSet<PathBuf>) -> Result<String> {
    let mut hashes = String::new();
    for extension in ["js", "wasm", "css"] {
        let source = staged.join(format!("{OUTPUT_NAME}.{extension}"));
        let content = fs::read(&source)?;
        let hash = hash(&content);
        let target = pkg.join(format!("{OUTPUT_NAME}.{hash}.{extension}"));
        for (from, to) in [
            (source.clone(), target.clone()),
            (compress::brotli_path(&source), compress::brotli_path(&target)),
            (compress::gzip_path(&source), compress::gzip_path(&target)),
        ] {
            publish_file(&from, to, published)?;
        }
        hashes.push_str(&format!("{extension}:{hash}\n"));
    }
    Ok(hashes)
}

/// The hash of a content, for its file name.
pub fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn copy(from: &Path, to: &Path, published: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, published)?;
        } else {
            publish_file(&entry.path(), target, published)?;
        }
    }
    Ok(())
}

fn publish_file(from: &Path, to: PathBuf, published: &mut BTreeSet<PathBuf>) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write_if_changed(&to, &content)?;
    published.insert(to);
    Ok(())
}

fn sweep(folder: &Path, published: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            sweep(&path, published)?;
        } else if !published.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
