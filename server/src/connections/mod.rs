//! Serving connections (HTTP/1.1; HTTP/2 is the business of a proxy), with limits on their number and on the time that
//! each part of a request and its response may take.
//!
//! | limit | number | beyond it |
//! |---|---|---|
//! | a header, and the wait for the next request | [`HEADER`] | the connection is closed |
//! | a header's size | [`HEADER_BYTES`] | 431 |
//! | a body | see `body` | 408 |
//! | a write that the client does not read | see `stream` | the connection is closed |
//! | connections, those that wait, those of one peer | see `slots` | those that have waited longest are closed, else 503 |
//!
//! Invariant: a connection that waits for its client is closed before any client is refused.

mod files;
mod slots;
mod stream;

pub use files::raise_limit;
pub use slots::Slot;

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    response::Response,
};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use slots::{Admission, Slots};
use std::{
    convert::Infallible,
    io::{self, ErrorKind},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use stream::PatientStream;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

/// Time limit of a request's header, counted from the connection's beginning or from the previous response.
const HEADER: Duration = Duration::from_secs(10);
/// The largest header, with the address and the cookies.
const HEADER_BYTES: usize = 32 * 1024;
/// After the stop, how long a connection that waits for its client stays open: a response may still be on its way.
const FLUSHED: Duration = Duration::from_secs(1);
/// After the stop, how long open requests may take.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after a failed accept, for example because other parts of the server use all file handles.
const PAUSE: Duration = Duration::from_millis(10);

const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nContent-Length: 44\r\n\r\nToo many connections are open; try it later.";

/// Serves until `stop` is cancelled, then closes the connections that wait, and lets open requests end.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let slots = Slots::new(files::for_connections());
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => match slots.admit(address.ip()) {
                Admission::Slot(slot) => {
                    let one = serve_one(stream, address, router.clone(), Arc::new(slot), stop.clone());
                    let cut = cut.clone();
                    connections.spawn(async move { cut.run_until_cancelled(one).await });
                }
                Admission::Full => {
                    // Fails only if the client has gone.
                    drop(stream.try_write(REFUSAL));
                }
            },
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                slots.close_longest_waiting();
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(FLUSHED, connections.wait()).await.is_ok() {
        return;
    }
    slots.close_all_waiting();
    if timeout(GRACE, connections.wait()).await.is_err() {
        tracing::warn!("some requests were cut off");
        cut.cancel();
        connections.wait().await;
    }
}

/// Whether a connection ended before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn serve_one(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    slot: Arc<Slot>,
    stop: CancellationToken,
) {
    // Without it, each small piece of a stream would wait for the acknowledgement of the previous one. A failure only
    // makes the connection slower.
    drop(stream.set_nodelay(true));
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        slot.mark_waiting();
        request.extensions_mut().insert(ConnectInfo(address));
        request.extensions_mut().insert(slot.clone());
        let (mut router, slot) = (router.clone(), slot.clone());
        async move {
            let response: Response = router.call(Request::map(request, Body::new)).await?;
            slot.mark_busy();
            Ok::<_, Infallible>(response.map(|body| Sent { body, slot }))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER)
            .max_header_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(PatientStream::new(stream)), service)
    );
    tokio::select! {
        // A connection that breaks off is no error of the server.
        _ = connection.as_mut() => return,
        () = slot.closed() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = slot.closed() => {}
    }
}

/// A response's body. When it has been sent, the connection waits for the next request.
struct Sent {
    body: Body,
    slot: Arc<Slot>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.slot.mark_waiting();
    }
}
