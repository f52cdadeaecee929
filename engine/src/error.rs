//! Errors of commands. They have two audiences: the message is for the caller and safe to show; the source of an
//! internal error is for the operator, and is logged once, where it leaves the engine.

use domain::{access::Permission, problem::Problem};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong e-mail or password, an expired session, a revoked token.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Too many failed attempts to sign in.
    #[error("too many failed attempts; try again in {}", minutes(.retry_after_seconds))]
    Throttled { retry_after_seconds: u64 },
    /// The user has as much under way as one person may have.
    #[error("{what}, which is the most; try again in a moment")]
    TooMany { what: String, retry_after_seconds: u64 },
    #[error("this needs the permission '{}' in the project", .0.as_str())]
    Forbidden(Permission),
    #[error("only an administrator of this installation may do this")]
    AdminsOnly,
    #[error("only the editors of a project may do this, because it calls a provider of models")]
    EditorsOnly,
    /// `what` names the kind and the key, e.g. "template 'code-review'".
    #[error("there is no {what}")]
    NotFound { what: String },
    /// The input cannot be accepted; each problem names its place.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
    /// Conflict with existing data: a key in use, a run that has ended, an idempotency key used before.
    #[error("{0}")]
    Conflict(String),
    /// Another user has saved in between; `newest` is the current version.
    #[error("it was changed in the meantime; the newest version is {newest}")]
    Stale { newest: u32 },
    #[error("{0}")]
    TooLarge(String),
    /// The server is shutting down or its disk does not take writes.
    #[error("{0}")]
    Unavailable(String),
    #[error("something went wrong on the server; its log has the details")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub fn not_found(kind: &str, key: impl std::fmt::Display) -> Self {
        Self::NotFound { what: format!("{kind} '{key}'") }
    }

    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Problem::new(path, message)])
    }

    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match crate::store::why_no_write(&error) {
            Some(why) => Self::Unavailable(format!("nothing can be stored just now: {why}")),
            None if crate::store::is_passing(&error) => {
                tracing::error!(%error, "the database cannot be used");
                Self::Unavailable("the database cannot be used just now; try again in a while".to_owned())
            }
            None => Self::Internal(Box::new(error)),
        }
    }
}

/// Why the engine could not start. Each error names the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "the data folder {path} is in use by another Troupe server{}; stop it, or choose another with TROUPE_DATA",
        named(.process)
    )]
    Locked { path: String, process: Option<u32> },
    #[error(
        "the database in {path} is of an older version of Troupe, and a server that may be of that version works on \
         it{}; stop that server, then give the command again",
        named(.process)
    )]
    OlderServer { path: String, process: Option<u32> },
    #[error("the data folder {path} cannot be used")]
    Folder { path: String, source: std::io::Error },
    #[error(
        "the database {path} cannot be written: {why}; see to it that it can, and its folder too, then start again"
    )]
    NoWrites { path: String, why: &'static str },
    #[error("the database cannot be opened")]
    Database(#[from] sqlx::Error),
    #[error("the database cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the data folder's secret.key is not a key made by Troupe; restore it from a backup")]
    SecretKey,
    #[error("the stored providers of models cannot be read: {0:?}")]
    Providers(Error),
    #[error("{0}")]
    Settings(String),
    #[error("the demo project could not be made: {0}")]
    Seed(Error),
}

fn named(process: &Option<u32>) -> String {
    process.map(|process| format!(" (process {process})")).unwrap_or_default()
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn minutes(seconds: &u64) -> String {
    match seconds.div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}
