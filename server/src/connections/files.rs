//! The limit of open files, which bounds the number of connections.

/// File handles for connections. The rest is for the database, the calls of providers and the site's files.
pub fn for_connections() -> usize {
    limit().map_or(usize::MAX, |limit| limit - limit / 4)
}

/// Raises the limit as far as the system allows, and reports one that is low.
pub fn raise_limit() {
    /// Enough for a team: their tabs and the calls of their runs.
    const ENOUGH: usize = 1_024;
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let now = getrlimit(Resource::Nofile);
        if now.current != now.maximum
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, ..now })
        {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
    if let Some(limit) = limit().filter(|limit| *limit < ENOUGH) {
        tracing::warn!(
            limit,
            connections = for_connections(),
            "few files may be open at once, so few connections are taken; raise the limit with `ulimit -n` or \
             LimitNOFILE"
        );
    }
}

/// `None`: there is no limit.
fn limit() -> Option<usize> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok())
    }
    #[cfg(not(unix))]
    None
}
