//! The browser's event stream as a value: open while the value exists, closed when it is dropped.
//!
//! It does not reconnect by itself: an error closes it, and its owner opens another one at the current cursor.

use domain::id::RunNumber;
use std::{collections::BTreeSet, rc::Rc};
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, EventSource, MessageEvent};

/// What arrives over the stream.
pub(super) enum Heard {
    Open,
    /// A live frame, as JSON.
    Frame(String),
    Heartbeat,
    /// The server ended the stream, because the session or the membership has ended. Do not reconnect.
    Gone,
    /// `refused`: the server responded, but not with a stream.
    Lost {
        refused: bool,
    },
}

pub(super) struct Connection {
    source: EventSource,
    /// The subscribed runs, independent of the cursor's progress.
    pub runs: BTreeSet<RunNumber>,
    pub changes: bool,
    _listeners: [Closure<dyn FnMut(Event)>; 5],
}

impl Connection {
    /// `None` if the browser cannot open the stream at all.
    pub fn open(
        url: &str,
        runs: BTreeSet<RunNumber>,
        changes: bool,
        tell: Rc<dyn Fn(Heard)>,
    ) -> Option<Self> {
        let source = EventSource::new(url).ok()?;
        let listen = |name: &str, heard: Box<dyn Fn(Event) -> Option<Heard>>| {
            let tell = tell.clone();
            let listener = Closure::<dyn FnMut(Event)>::new(move |event| {
                if let Some(heard) = heard(event) {
                    tell(heard);
                }
            });
            // Fails only if the listener is not a function.
            _ = source.add_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
            listener
        };
        let state = source.clone();
        let listeners = [
            listen("open", Box::new(|_| Some(Heard::Open))),
            listen(
                "message",
                Box::new(|event| event.dyn_ref::<MessageEvent>()?.data().as_string().map(Heard::Frame)),
            ),
            listen("heartbeat", Box::new(|_| Some(Heard::Heartbeat))),
            listen("gone", Box::new(|_| Some(Heard::Gone))),
            listen(
                "error",
                Box::new(move |_| Some(Heard::Lost { refused: state.ready_state() == EventSource::CLOSED })),
            ),
        ];
        Some(Self { source, runs, changes, _listeners: listeners })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.source.close();
    }
}
