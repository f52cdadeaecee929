//! Splits the module at the functions that `app/src/chunks.rs` marks: into the main module, which every page loads,
//! and one chunk for each group of pages. Code that several chunks share is in separate chunks.
//!
//! A chunk works only with the main module of the same build. Its name contains its content hash, and the main
//! module's script, which fetches it, contains that name.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use wasm_split_cli_support::{Options, transform};

use crate::{
    sections::{sections, start},
    site,
    workspace::{OUTPUT_NAME, write_if_changed},
};

/// The module from which the main module imports the functions that fetch chunks. It is not a file: see
/// [`Parts::publish`].
const LOADER: &str = "./__wasm_split.js";

/// The files of each chunk, which Leptos reads on the server (`HydrationScripts`).
const MANIFEST: &str = "__wasm_split_manifest.json";

pub struct Parts {
    pub main: PathBuf,
    pub chunks: Vec<PathBuf>,
    loader: String,
    /// The stems of the files that the pages of a chunk need.
    needs: BTreeMap<String, Vec<String>>,
}

/// Splits `module` into files in `folder`.
pub fn split(module: &[u8], folder: &Path) -> Result<Parts> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let main = folder.join("main.wasm");
    let script = format!("./{OUTPUT_NAME}.js");
    let mut options = Options::new(module);
    options.output_dir = folder;
    options.main_out_path = &main;
    options.main_module = &script;
    options.link_name = LOADER;
    let done = transform(options).map_err(|error| anyhow!("cannot split the module: {error:#}"))?;
    let needs: BTreeMap<_, _> = done.prefetch_map.into_iter().collect();
    let used = |file: &PathBuf| {
        let stem = file.file_stem().unwrap_or_default();
        needs.values().flatten().any(|needed| stem == needed.as_str())
    };
    let chunks: Vec<PathBuf> = done.split_modules.iter().filter(|file| used(file)).cloned().collect();
    for chunk in &chunks {
        fs::write(chunk, without_names(&fs::read(chunk)?)?)?;
    }
    let loader = fs::read_to_string(folder.join(LOADER))?;
    Ok(Parts { main, chunks, loader, needs })
}

fn without_names(module: &[u8]) -> Result<Vec<u8>> {
    let mut bare = start();
    for section in sections(module)?.iter().filter(|section| section.name.is_none()) {
        section.write(&mut bare, &module[section.content.clone()]);
    }
    Ok(bare)
}

impl Parts {
    /// Copies the chunks to `pkg` under hashed names, and adds the loader to the main module's script.
    pub fn publish(&self, pkg: &Path) -> Result<()> {
        let mut names = BTreeMap::new();
        for chunk in &self.chunks {
            let content = fs::read(chunk)?;
            let stem = chunk.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let name = format!("{OUTPUT_NAME}-{stem}.{}", site::hash(&content));
            fs::write(pkg.join(format!("{name}.wasm")), content)?;
            names.insert(stem, name);
        }
        let script = pkg.join(format!("{OUTPUT_NAME}.js"));
        let whole = with_loader(&fs::read_to_string(&script)?, &self.loader, &names)?;
        fs::write(&script, whole)?;

        let renamed =
            |stems: &Vec<String>| stems.iter().filter_map(|stem| names.get(stem)).collect::<Vec<_>>();
        let needs: BTreeMap<_, _> = self.needs.iter().map(|(chunk, stems)| (chunk, renamed(stems))).collect();
        write_if_changed(&pkg.join(MANIFEST), serde_json::to_string(&needs)?.as_bytes())?;
        Ok(())
    }
}

/// The loader needs the main module's exports from the script, and the script imports the loader. As two files, their
/// hashed names would depend on each other, and the browser would fetch one after the other. The loader is therefore
/// made part of the script.
fn with_loader(script: &str, loader: &str, names: &BTreeMap<String, String>) -> Result<String> {
    // One line per import.
    let imports: Vec<&str> =
        script.lines().filter(|line| line.starts_with("import * as ") && line.contains(LOADER)).collect();
    ensure!(!imports.is_empty(), "the script of wasm-bindgen imports no loader of chunks");

    let mut exports = Vec::new();
    let mut body = String::new();
    for line in loader.lines().filter(|line| !line.starts_with("import ")) {
        match line.strip_prefix("export ") {
            Some(exported) => {
                let name = exported.split_whitespace().nth(1).context("an export without a name")?;
                exports.push(name);
                body.push_str(exported);
            }
            None => body.push_str(line),
        }
        body.push('\n');
    }
    for (stem, name) in names {
        let plain = format!("\"./{stem}.wasm\"");
        ensure!(body.contains(&plain), "the loader does not fetch {stem}");
        body = body.replace(&plain, &format!("\"./{name}.wasm\""));
    }
    let exports = exports.join(", ");
    let mut whole = format!("const chunks = (() => {{\n{body}return {{ {exports} }};\n}})();\n{script}");
    for import in imports {
        let variable = import.split_whitespace().nth(3).context("an import without a name")?;
        whole = whole.replacen(import, &format!("const {variable} = chunks;"), 1);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::with_loader;

    #[test]
    fn the_loader_becomes_part_of_the_script() {
        let script = "import * as import1 from \"./__wasm_split.js\"\nimport * as import2 from \"./__wasm_split.js\"\nuse(import1);\n";
        let loader = "import { initSync } from \"./troupe.js\";\nconst load = fetch(\"./split_a.wasm\");\nexport const a = load;\n";
        let names = [("split_a".to_owned(), "troupe-split_a.0123".to_owned())].into();
        let whole = with_loader(script, loader, &names).expect("a script");
        let expected = [
            "const chunks = (() => {",
            "const load = fetch(\"./troupe-split_a.0123.wasm\");",
            "const a = load;",
            "return { a };",
            "})();",
            "const import1 = chunks;",
            "const import2 = chunks;",
            "use(import1);\n",
        ];
        assert_eq!(whole, expected.join("\n"));
        assert!(with_loader("function initSync() {}", loader, &names).is_err());
    }
}
