//! Choosing the port.

use crate::settings::Listen;
use anyhow::{Context as _, Result, anyhow};
use std::io::ErrorKind;
use tokio::net::TcpListener;

const USUAL_HOST: &str = "127.0.0.1";
const USUAL_PORT: u16 = 3000;
/// How many ports after the usual one are tried before the system assigns any free one.
const NEXT_PORTS: u16 = 50;

/// Binds the port. The returned text reports that the usual port was taken.
///
/// # Errors
/// The requested address cannot be bound.
pub async fn bind(listen: &Listen) -> Result<(TcpListener, Option<String>)> {
    match listen {
        Listen::At(address) => Ok((bind_to(address).await?, None)),
        Listen::Default => bind_near_usual().await,
    }
}

async fn bind_to(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "cannot listen on {address}: the port is in use; stop what uses it, or choose another with PORT, \
             TROUPE_LISTEN or --listen"
        ),
        ErrorKind::PermissionDenied => anyhow!(
            "cannot listen on {address}: not allowed; ports below 1024 usually need privileges, choose another with \
             PORT, TROUPE_LISTEN or --listen"
        ),
        _ => anyhow!("cannot listen on {address}: {error}; give a place such as 127.0.0.1:3000"),
    })
}

async fn bind_near_usual() -> Result<(TcpListener, Option<String>)> {
    match TcpListener::bind((USUAL_HOST, USUAL_PORT)).await {
        Ok(listener) => return Ok((listener, None)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {}
        Err(error) => return Err(error).context(format!("cannot listen on {USUAL_HOST}:{USUAL_PORT}")),
    }
    for port in (USUAL_PORT + 1..=USUAL_PORT + NEXT_PORTS).chain([0]) {
        if let Ok(listener) = TcpListener::bind((USUAL_HOST, port)).await {
            let port = listener.local_addr()?.port();
            return Ok((listener, Some(format!("Port {USUAL_PORT} is in use; taking {port} instead."))));
        }
    }
    Err(anyhow!("no free port could be found; choose one with PORT, TROUPE_LISTEN or --listen"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_asked_for_and_taken_is_an_error_that_names_it_and_the_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = bind(&Listen::At(address.clone())).await.unwrap_err().to_string();
        assert!(error.contains(&address) && error.contains("PORT"), "{error}");
    }

    #[tokio::test]
    async fn the_next_port_is_taken_and_said_when_none_was_asked_for() {
        // The usual port is taken now, by this test or by another process.
        let _taken = TcpListener::bind((USUAL_HOST, USUAL_PORT)).await;
        let (listener, said) = bind(&Listen::Default).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_ne!(port, USUAL_PORT);
        assert!(said.unwrap().contains(&port.to_string()));
    }
}
