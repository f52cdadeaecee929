//! The connections to providers, pooled and shared by all of them.

use std::time::Duration;

use domain::error::ErrorClass;
use reqwest::{Client, ClientBuilder, Url};

use super::error::ModelError;

/// Until a connection stands. Answers have no time limit here: a step's own limit says when enough is enough.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept. Short, for a request on a connection that the server is just closing is lost,
/// and would count as an attempt.
const IDLE: Duration = Duration::from_secs(20);

/// Cheap to clone. Make one and give it to every [`ProviderClient`](super::ProviderClient).
#[derive(Clone, Debug)]
pub struct Http {
    /// By the system's proxy settings and certificates; or why there is none.
    outside: Result<Client, String>,
    /// Straight, whatever the proxy settings say: no proxy reaches this machine's own loopback interface.
    loopback: Result<Client, String>,
}

impl Http {
    pub fn new() -> Self {
        let build =
            |builder: ClientBuilder| builder.build().map_err(|error| super::wire_error::innermost(&error));
        Self {
            outside: build(builder()),
            // No certificates are needed there, so none can be missing: the local model works on the barest machine.
            loopback: build(builder().no_proxy().tls_certs_only([])),
        }
    }

    /// The connections for this base URL.
    ///
    /// # Errors
    /// `network` when the machine has no certificates to know servers by.
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
        // A redirect would carry the key to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        // One attempt is one request; by default some protocol errors are tried again in silence.
        .retry(reqwest::retry::never())
}

fn is_plain_loopback(url: &Url) -> bool {
    use std::net::IpAddr;
    let host = url.host_str().unwrap_or_default();
    let is_loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback && url.scheme() == "http"
}
