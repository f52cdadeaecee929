//! The HTTP connections to providers, pooled and shared by all of them.

use std::time::Duration;

use domain::error::ErrorClass;
use reqwest::{Client, ClientBuilder, Url};

use super::error::ModelError;

/// Time limit for connecting. Answers have no time limit here; a step's own limit applies.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Short, because a request on a connection that the server is just closing fails,
/// and would count as an attempt.
const IDLE: Duration = Duration::from_secs(20);

/// Cheap to clone. Create one and share it among all [`ProviderClient`](super::ProviderClient)s.
#[derive(Clone, Debug)]
pub struct Http {
    /// Uses the system's proxy settings and certificates; or the reason why it could not be built.
    outside: Result<Client, String>,
    /// Ignores the proxy settings: no proxy reaches this machine's own loopback interface.
    loopback: Result<Client, String>,
}

/// Chooses the cryptography of every HTTP client that this process makes. Without a choice, making one panics.
pub fn install_cryptography() {
    // Fails if one is installed: then that one stays.
    drop(rustls::crypto::ring::default_provider().install_default());
}

impl Http {
    pub fn new() -> Self {
        install_cryptography();
        let build =
            |builder: ClientBuilder| builder.build().map_err(|error| super::wire_error::innermost(&error));
        Self {
            outside: build(builder()),
            // Loopback needs no certificates, so the local model works even on a machine without any.
            loopback: build(builder().no_proxy().tls_certs_only([])),
        }
    }

    /// The HTTP client for this base URL.
    ///
    /// # Errors
    /// `network` if the machine has no root certificates.
    pub(super) fn client(&self, base_url: &Url) -> Result<Client, ModelError> {
        let client = if is_plain_loopback(base_url) { &self.loopback } else { &self.outside };
        client.clone().map_err(|reason| {
            ModelError::new(
                ErrorClass::Network,
                format!("Cannot make secure connections on this machine: {reason}"),
            )
        })
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("troupe/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        // A redirect would carry the key to another server.
        .redirect(reqwest::redirect::Policy::none())
        // One attempt is one request; by default, some protocol errors are retried silently.
        .retry(reqwest::retry::never())
}

fn is_plain_loopback(url: &Url) -> bool {
    use std::net::IpAddr;
    let host = url.host_str().unwrap_or_default();
    let is_loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback && url.scheme() == "http"
}
