//! The location of the local model. `scripts/local_model.py` installs the model and writes `local-model.json` last, so
//! the files that it names are complete.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// With more threads than free processors llama.cpp is many times slower, and the server needs processors too.
const DEFAULT_THREADS: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalModelConfig {
    /// An interpreter that can import `xllamacpp`.
    pub python: PathBuf,
    /// The GGUF file.
    pub model: PathBuf,
    pub threads: u32,
}

/// The installer's notes; paths are relative to the cache folder.
#[derive(Deserialize)]
struct Manifest {
    python: PathBuf,
    model: PathBuf,
}

impl LocalModelConfig {
    /// Looks in the cache folder (`TROUPE_CACHE`, else `XDG_CACHE_HOME/troupe`, else `HOME/.cache/troupe`).
    /// `TROUPE_LOCAL_MODEL`, a path to a GGUF file, replaces the installed weights, and `TROUPE_LOCAL_THREADS` the
    /// default of one thread. `None`: not installed.
    pub fn discover() -> Option<Self> {
        Self::discover_from(|name| std::env::var_os(name))
    }

    /// Like [`discover`](Self::discover), with a given source of variables. Empty ones count as unset.
    pub fn discover_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let cache = variable("TROUPE_CACHE").map(PathBuf::from).or_else(|| {
            let base = variable("XDG_CACHE_HOME").map(PathBuf::from);
            base.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))
                .map(|base| base.join("troupe"))
        })?;
        let manifest: Manifest =
            serde_json::from_slice(&fs::read(cache.join("local-model.json")).ok()?).ok()?;
        let model = variable("TROUPE_LOCAL_MODEL").map_or_else(|| cache.join(manifest.model), PathBuf::from);
        let threads = variable("TROUPE_LOCAL_THREADS")
            .and_then(|threads| threads.to_str()?.parse().ok())
            .filter(|threads| (1..=256).contains(threads))
            .unwrap_or(DEFAULT_THREADS);
        Some(Self { python: cache.join(manifest.python), model, threads })
    }

    /// The model file's name in lower case, without its extension and its quantisation:
    /// `SmolLM2-135M-Instruct.Q4_1.gguf` is `smollm2-135m-instruct`.
    pub(super) fn model_name(&self) -> String {
        let stem =
            self.model.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
        let name = match stem.rsplit_once(['.', '-']) {
            Some((name, last)) if is_quantisation(last) => name,
            _ => &stem,
        };
        // Model names appear in URLs and documents.
        name.replace(|character: char| character.is_whitespace() || character.is_control(), "-")
    }
}

/// `q4_1`, `iq3_xxs`, `f16`, `bf16` …
fn is_quantisation(text: &str) -> bool {
    if matches!(text, "f16" | "f32" | "bf16" | "fp16") {
        return true;
    }
    let digits = text.strip_prefix("iq").or_else(|| text.strip_prefix('q'));
    digits.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_model_is_named_after_its_file() {
        for (file, name) in [
            ("/x/SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
            ("Qwen3-0.6B-Q8_0.gguf", "qwen3-0.6b"),
            ("llama-3.2-1b-iq3_xxs.gguf", "llama-3.2-1b"),
            ("phi-bf16.gguf", "phi"),
            ("my model.gguf", "my-model"),
            ("plain.gguf", "plain"),
        ] {
            let config = LocalModelConfig { python: "python".into(), model: file.into(), threads: 1 };
            assert_eq!(config.model_name(), name);
        }
    }

    #[test]
    fn the_installation_is_found_by_its_manifest() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join(".cache/troupe");
        let mut variables =
            HashMap::from([("HOME", home.path().as_os_str().to_owned()), ("TROUPE_CACHE", "".into())]);
        assert_eq!(LocalModelConfig::discover_from(|name| variables.get(name).cloned()), None);

        fs::create_dir_all(&cache).unwrap();
        fs::write(
            cache.join("local-model.json"),
            r#"{"python": "r/bin/python", "model": "models/m.gguf", "pins": {}}"#,
        )
        .unwrap();
        let found = LocalModelConfig::discover_from(|name| variables.get(name).cloned()).unwrap();
        assert_eq!(
            found,
            LocalModelConfig {
                python: cache.join("r/bin/python"),
                model: cache.join("models/m.gguf"),
                threads: 1
            }
        );

        variables.insert("TROUPE_LOCAL_MODEL", "/elsewhere/better.gguf".into());
        variables.insert("TROUPE_LOCAL_THREADS", "4".into());
        let found = LocalModelConfig::discover_from(|name| variables.get(name).cloned()).unwrap();
        assert_eq!((found.model, found.threads), ("/elsewhere/better.gguf".into(), 4));
    }
}
