//! Forwards a live stream to a viewer. Every ten seconds it sends a heartbeat and checks that the viewer still has
//! access. Nothing is buffered here: frames are polled only when the viewer reads them.

use crate::{AppState, guard::Credential};
use axum::{
    http::{HeaderName, HeaderValue, header::CACHE_CONTROL},
    response::{
        IntoResponse, Response, Sse,
        sse::{self, KeepAlive},
    },
};
use domain::view::LiveFrame;
use engine::{Cursor, Engine, Error, LiveStream, Seat};
use futures::{Stream, StreamExt, stream};
use std::{convert::Infallible, time::Duration};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

const HEARTBEAT: Duration = Duration::from_secs(10);

pub enum Seen {
    Frame(Cursor, Box<LiveFrame>),
    Heartbeat,
    /// The viewer has lost access, with the reason. The last item.
    Gone(&'static str),
}

struct Watch {
    /// Held while the stream is open.
    _seat: Seat,
    frames: LiveStream,
    beat: Interval,
    engine: Engine,
    credential: Credential,
}

/// Ends when the stream ends, when the viewer loses access, and when the server stops.
pub fn watch(
    state: &AppState,
    credential: Credential,
    seat: Seat,
    frames: LiveStream,
) -> impl Stream<Item = Seen> + use<> {
    let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch { _seat: seat, frames, beat, engine: state.engine.clone(), credential };
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        tokio::select! {
            frame = watch.frames.next() => match frame? {
                Ok((cursor, frame)) => Some((Seen::Frame(cursor, Box::new(frame)), Some(watch))),
                Err(error) => farewell(&error).map(|why| (Seen::Gone(why), None)),
            },
            _ = watch.beat.tick() => match watch.credential.user(&watch.engine).await {
                Ok(Some(_)) => Some((Seen::Heartbeat, Some(watch))),
                Ok(None) => Some((Seen::Gone("the session has ended"), None)),
                Err(error) => farewell(&error).map(|why| (Seen::Gone(why), None)),
            }
        }
    })
    .take_until(state.stopping.clone().cancelled_owned())
}

/// Why the viewer must disconnect. `None` if the server failed: the client may then reconnect with its cursor.
fn farewell(error: &Error) -> Option<&'static str> {
    match error {
        Error::Unauthenticated(_) => Some("the session has ended"),
        Error::Forbidden(_) | Error::AdminsOnly | Error::EditorsOnly | Error::NotFound { .. } => {
            Some("the project can no longer be read")
        }
        error => {
            tracing::error!(%error, source = ?std::error::Error::source(error), "a live stream broke");
            None
        }
    }
}

/// A response of server-sent events that proxies must not buffer.
pub fn answer(events: impl Stream<Item = sse::Event> + Send + 'static) -> Response {
    let events = events.map(Ok::<_, Infallible>);
    // A comment keeps silent connections open; pages listen for the named heartbeat.
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// An event with the data as JSON. All shapes serialise; if one did not, the event would be an empty object.
pub fn event(data: &impl serde::Serialize) -> sse::Event {
    let data = serde_json::to_string(data).unwrap_or_else(|error| {
        tracing::error!(%error, "an event could not be written");
        "{}".to_owned()
    });
    sse::Event::default().data(data)
}
