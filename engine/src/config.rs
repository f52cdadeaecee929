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

/// Provider keys by their usual names (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, …), from the process or the data
/// folder's `.env`.
#[derive(Clone, Default)]
pub struct Environment(pub BTreeMap<String, SecretString>);

impl Environment {
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name)
    }
}
