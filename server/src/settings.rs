//! Settings, read once at start: from arguments, the environment, and `.env` in the data folder.

use anyhow::{Result, bail};
use engine::{Config, Environment};
use std::{
    env,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// The settings of the server.
pub struct Settings {
    pub engine: Config,
    pub listen: Listen,
    /// The folder of the built site: `pkg/` and the files of `public/`.
    pub site: PathBuf,
    /// Whether to serve the gallery of the design system, for developers of Troupe.
    pub gallery: bool,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// This address; starting fails if it is taken.
    At(String),
    /// No address was given: the usual one, or the next free port.
    Default,
}

/// Reads `.env` in the data folder into the environment; variables that are already set take precedence.
///
/// # Errors
/// The file cannot be read or parsed.
pub fn load_env_file(data: &Path) -> Result<()> {
    let path = data.join(".env");
    match dotenvy::from_path(&path) {
        Ok(()) => Ok(()),
        Err(dotenvy::Error::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
        // The line may contain a key, so the message does not quote it.
        Err(dotenvy::Error::LineParse(..)) => {
            bail!("{} has a line that is not NAME=value", path.display())
        }
        Err(error) => bail!("{} cannot be read: {error}", path.display()),
    }
}

/// # Errors
/// `DATABASE_URL` names an unsupported database.
pub fn check_database_url() -> Result<()> {
    let url = env::var("DATABASE_URL").unwrap_or_default();
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        bail!(
            "DATABASE_URL names a Postgres database, which is not supported yet; unset it, and the data is kept in \
             SQLite in the data folder"
        );
    }
    if !url.is_empty() {
        bail!("DATABASE_URL is set, but the data is kept in SQLite in the data folder only; unset it");
    }
    Ok(())
}

/// The engine's settings, with the providers from the environment.
pub fn engine_config(data: PathBuf, serve: bool) -> Config {
    let wanted = |name: &str| {
        ["_API_KEY", "_BASE_URL", "_HOST"].iter().any(|ending| name.ends_with(ending))
            || name.starts_with("TROUPE_")
    };
    let found = env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        (wanted(&name) && !value.is_empty()).then(|| (name, value.into()))
    });
    Config { data, serve, seed_demo: true, environment: Environment(found.collect()) }
}

/// The requested folder, else the first of the usual folders that contains a site.
pub fn site_folder(asked: Option<PathBuf>) -> PathBuf {
    let beside = |relative: &str| Some(env::current_exe().ok()?.parent()?.join(relative));
    let usual = [beside("site"), beside("../site")];
    asked
        .or_else(|| usual.into_iter().flatten().find(|folder| folder.join("pkg").is_dir()))
        .unwrap_or_else(|| PathBuf::from("target/site"))
}
