//! Sends an answer: at once if nothing stands against it, else piece by piece with delays, waits and faults.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{mpsc, watch};

use crate::answer::Answer;
use crate::ledger::Slip;
use crate::request::Request;
use crate::script::Fault;
use crate::shape::Shape;

/// The page behind a wrong base URL.
const PAGE: &str = "<!doctype html>\n<html>\n<head><title>Welcome</title></head>\n\n<body>\n<h1>It works!</h1>\n\n\
                    <p>There is no model here.</p>\n</body>\n</html>\n";

/// An answer in its protocol's form.
pub(crate) struct Plan {
    shape: Shape,
    stream: bool,
    answer: Answer,
    wire: Wire,
}

/// The frames of an answer. What is not streamed is one frame, `tail`.
#[derive(Default)]
pub(crate) struct Wire {
    pub head: String,
    /// One per piece of the text.
    pub pieces: Vec<String>,
    pub tail: String,
}

impl Plan {
    pub fn new(number: u64, request: &Request, answer: Answer) -> Self {
        let wire = if request.stream {
            request.shape.stream(number, request, &answer)
        } else {
            let tail = request.shape.whole(number, request, &answer).to_string();
            // Not streamed, an answer has one piece or none.
            Wire { tail, ..Wire::default() }
        };
        Self { shape: request.shape, stream: request.stream, answer, wire }
    }

    fn content_type(&self) -> &'static str {
        if self.stream { self.shape.stream_type() } else { "application/json" }
    }
}

/// Answers. Returns when the head of the response is due, which for a stalled request is never.
pub(crate) async fn send(plan: Plan, mut slip: Slip, releases: watch::Receiver<u64>) -> Response {
    match &plan.answer.fault {
        Some(Fault::Status { status, retry_after, message }) => {
            let message = message.as_deref().unwrap_or("the script says no");
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, plan.shape.error(status.as_u16(), message)).into_response();
            if let Some(value) = retry_after.as_ref().and_then(|value| value.parse().ok()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            slip.sent();
            return response;
        }
        Some(Fault::Html) => {
            slip.sent();
            return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response();
        }
        Some(Fault::Stall) => std::future::pending().await,
        _ => {}
    }
    let content_type = [(header::CONTENT_TYPE, plan.content_type())];
    if plan.answer.is_instant() {
        let Wire { mut head, pieces, tail } = plan.wire;
        pieces.iter().for_each(|piece| head.push_str(piece));
        head.push_str(&tail);
        // A client that reads it all cannot be told apart from one that leaves at once; both had their answer.
        slip.sent();
        return (content_type, head).into_response();
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(play(plan, slip, releases, sender));
    let frames =
        futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    (content_type, Body::from_stream(frames)).into_response()
}

type Sender = mpsc::Sender<io::Result<Bytes>>;

/// Sends frame after frame; stops early when the client has gone, or when a fault ends the stream.
async fn play(plan: Plan, mut slip: Slip, releases: watch::Receiver<u64>, sender: Sender) {
    // The client's leaving drops the receiving end, whatever this waits for.
    let ended = tokio::select! {
        ended = play_frames(plan, releases, &sender) => ended,
        () = sender.closed() => Err(Gone),
    };
    if ended.is_ok() {
        slip.sent();
    }
}

/// The client closed the connection.
struct Gone;

async fn play_frames(plan: Plan, mut releases: watch::Receiver<u64>, sender: &Sender) -> Result<(), Gone> {
    let Plan { shape, answer, wire, stream } = plan;
    let emit = async |frame: String| {
        if frame.is_empty() {
            return Ok(());
        }
        sender.send(Ok(Bytes::from(frame))).await.map_err(|_| Gone)
    };
    emit(wire.head).await?;
    let pieces = wire.pieces.len();
    let mut frames = wire.pieces.into_iter();
    // One turn more than there are pieces: a fault or a wait may come after the last one.
    for index in 0..=pieces {
        let delay = if index == 0 { answer.first_token_ms } else { answer.chunk_ms };
        if delay > 0 && (index < pieces || !stream) {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if answer.hold == Some(index) {
            // An error means that the server is gone, and with it whoever could release.
            releases.changed().await.map_err(|_| Gone)?;
        }
        match &answer.fault {
            Some(Fault::StallMidway { after }) if *after.min(&pieces) == index => {
                std::future::pending().await
            }
            Some(Fault::EndEarly { after }) if *after.min(&pieces) == index => return Ok(()),
            Some(Fault::Cut { after }) if *after.min(&pieces) == index => {
                // What was sent before shall arrive: an error drops what is not yet flushed.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return sender.send(Err(io::Error::other("cut by the script"))).await.map_err(|_| Gone);
            }
            Some(Fault::BadJson { after }) if *after.min(&pieces) == index => {
                emit(shape.bad_json(stream)).await?
            }
            Some(Fault::BadUtf8 { after }) if *after.min(&pieces) == index => {
                let frame = frames.next().unwrap_or_else(|| shape.bad_json(stream));
                sender.send(Ok(broken_text(frame))).await.map_err(|_| Gone)?;
                continue;
            }
            Some(Fault::ErrorEvent { after, message }) if *after.min(&pieces) == index => {
                return emit(shape.error_event(message.as_deref().unwrap_or("Overloaded"))).await;
            }
            _ => {}
        }
        if let Some(frame) = frames.next() {
            emit(frame).await?;
        }
    }
    emit(wire.tail).await?;
    if let Some(Fault::StallAtEnd) = answer.fault {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// The frame with a byte in its text that no UTF-8 has.
fn broken_text(frame: String) -> Bytes {
    let fields = ["\"content\":\"", "\"text\":\""];
    let at = fields.iter().find_map(|field| Some(frame.find(field)? + field.len())).unwrap_or(0);
    let mut bytes = frame.into_bytes();
    bytes.insert(at, 0xff);
    bytes.into()
}

/// Bodies of errors are JSON in every protocol.
pub(crate) struct ErrorBody(pub serde_json::Value);

impl IntoResponse for ErrorBody {
    fn into_response(self) -> Response {
        let content_type: [_; 1] = [(header::CONTENT_TYPE, "application/json")];
        (content_type, self.0.to_string()).into_response()
    }
}
