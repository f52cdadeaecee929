//! Accepting connections: choosing the port, and dropping stalled clients.

use crate::settings::Listen;
use anyhow::{Context as _, Result, anyhow};
use axum::serve::Listener;
use std::{
    future::Future,
    io::{self, ErrorKind, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep_until},
};

const USUAL_HOST: &str = "127.0.0.1";
const USUAL_PORT: u16 = 3000;
/// How many ports after the usual one are tried before the system assigns any free one.
const NEXT_PORTS: u16 = 50;

/// Maximum time that a write may wait for the client. A stalled tab is then disconnected and its buffers are freed; it
/// reconnects with its cursor.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// A listener that drops connections whose client stalls.
pub struct PatientListener {
    listener: TcpListener,
    patience: Duration,
}

impl PatientListener {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, patience: PATIENCE }
    }
}

impl Listener for PatientListener {
    type Io = PatientStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (PatientStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Without it, each small piece of a stream would wait for the acknowledgement of the previous one. A failure
        // only makes the connection slower.
        drop(stream.set_nodelay(true));
        (PatientStream { stream, patience: self.patience, deadline: None }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose write fails if it waits longer than `patience`.
pub struct PatientStream {
    stream: TcpStream,
    patience: Duration,
    /// The deadline of the pending write; `None` if no write is pending.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl PatientStream {
    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.deadline = None;
            return polled;
        }
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the reader stalled")))
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

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

    #[tokio::test]
    async fn a_reader_that_stalls_is_dropped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listener = PatientListener { listener, patience: Duration::from_millis(100) };
        let _reader = TcpStream::connect(address).await.unwrap();
        let (mut stream, _) = Listener::accept(&mut listener).await;
        let error = loop {
            if let Err(error) = stream.write_all(&[0; 64 * 1024]).await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
