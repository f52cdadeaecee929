//! The engine's settings, read once at start.

use secrecy::SecretString;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Clone)]
pub struct Config {
    /// Holds the database, the secret key and the lock; created if missing.
    pub data: PathBuf,
    /// Whether to lock the data folder and execute runs. False for the command line's other commands, which work next
    /// to a running server.
    pub serve: bool,
    /// Whether to create the demo project if the database is new.
    pub seed_demo: bool,
    pub environment: Environment,
}

/// Settings by their usual names, from the process or the data folder's `.env`: `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`,
/// `GEMINI_API_KEY` and `OLLAMA_HOST` define providers; `TROUPE_CACHE`, `TROUPE_LOCAL_MODEL` and `TROUPE_LOCAL_THREADS`
/// locate the local model (if they are not here, the process's variables apply).
#[derive(Clone, Default)]
pub struct Environment(pub BTreeMap<String, SecretString>);

impl Environment {
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name)
    }
}
