//! The engine's settings, read once at start.

use secrecy::SecretString;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Clone)]
pub struct Config {
    /// Holds the database, the secret key and the lock; made when missing.
    pub data: PathBuf,
    /// Take the exclusive lock on the data folder and execute runs. Off for the command line's other verbs, which work
    /// beside a running server.
    pub serve: bool,
    /// Make the demo project when the database is new.
    pub seed_demo: bool,
    pub environment: Environment,
}

/// Settings by their usual names, from the process or the data folder's `.env`: `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`,
/// `GEMINI_API_KEY` and `OLLAMA_HOST` define providers; `TROUPE_CACHE`, `TROUPE_LOCAL_MODEL` and `TROUPE_LOCAL_THREADS`
/// say where the local model is (these are looked for in the process too when they are not here).
#[derive(Clone, Default)]
pub struct Environment(pub BTreeMap<String, SecretString>);

impl Environment {
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name)
    }
}
