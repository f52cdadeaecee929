//! Trying a role: one message to the drafted role, with a streamed answer. Nothing is stored.

use super::stream::Frames;
use crate::{form::sentence, load::parse};
use domain::{key::ProjectKey, usage::Usage, view::RoleDraft};
use leptos::{prelude::*, task::spawn_local};
use serde::Deserialize;
use serde_json::Value;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The answer received so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub text: String,
    pub usage: Option<Usage>,
    pub error: Option<String>,
    pub warning: Option<String>,
}

/// Runs one trial at a time: starting another cancels the previous one.
#[derive(Clone, Copy)]
pub struct Trial {
    pub answer: RwSignal<Answer>,
    pub running: RwSignal<bool>,
    /// `None` on the server, where a thread-local value would be dropped on another thread.
    abort: Option<StoredValue<Option<web_sys::AbortController>, LocalStorage>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Frame {
    Text(String),
    Warning(String),
    Usage(Usage),
    Error(Value),
}

impl Trial {
    /// A trial that has not started; it is cancelled with the calling component.
    pub fn idle() -> Self {
        let trial = Self {
            answer: RwSignal::new(Answer::default()),
            running: RwSignal::new(false),
            abort: (!cfg!(feature = "ssr")).then(|| StoredValue::new_local(None)),
        };
        // The component that shows the answer is unmounted too, so the signals must not notify it any more.
        on_cleanup(move || trial.hang_up());
        trial
    }

    /// Cancels the call; the received text stays.
    pub fn stop(&self) {
        self.hang_up();
        self.running.set(false);
    }

    fn hang_up(&self) {
        let open = self.abort.and_then(|abort| abort.try_update_value(Option::take).flatten());
        if let Some(open) = open {
            open.abort();
        }
    }

    pub fn start(&self, project: &ProjectKey, draft: &RoleDraft, message: &str) {
        self.stop();
        self.answer.set(Answer::default());
        self.running.set(true);
        let trial = *self;
        let url = format!("/p/{project}/roles/try");
        let body = serde_json::json!({ "draft": draft, "message": message }).to_string();
        let Ok(abort) = web_sys::AbortController::new() else { return };
        let signal = abort.signal();
        if let Some(held) = self.abort {
            held.set_value(Some(abort));
        }
        spawn_local(async move {
            let outcome = trial.follow(&url, &body, &signal).await;
            // Cancelled, perhaps for the next trial: the signals no longer belong to this call.
            if signal.aborted() {
                return;
            }
            if let Err(message) = outcome {
                trial.fail(message);
            }
            let _ = trial.running.try_set(false);
        });
    }

    async fn follow(&self, url: &str, body: &str, signal: &web_sys::AbortSignal) -> Result<(), String> {
        let response = ask(url, body, signal).await.map_err(|_| "The server could not be reached.")?;
        if !response.ok() {
            return Err(refusal(&response).await);
        }
        let cut = || "The answer broke off.".to_owned();
        let stream = response.body().ok_or_else(cut)?;
        let reader = stream.get_reader().unchecked_into::<web_sys::ReadableStreamDefaultReader>();
        let mut frames = Frames::default();
        loop {
            let piece = JsFuture::from(reader.read()).await.map_err(|_| cut())?;
            if signal.aborted() || get(&piece, "done").is_truthy() {
                return Ok(());
            }
            let bytes = js_sys::Uint8Array::new(&get(&piece, "value")).to_vec();
            for frame in frames.push(&bytes) {
                self.take(&frame);
            }
        }
    }

    fn take(&self, frame: &str) {
        match parse(frame) {
            Ok(Frame::Text(text)) => drop(self.answer.try_update(|answer| answer.text.push_str(&text))),
            Ok(Frame::Warning(text)) => drop(self.answer.try_update(|answer| answer.warning = Some(text))),
            Ok(Frame::Usage(usage)) => drop(self.answer.try_update(|answer| answer.usage = Some(usage))),
            Ok(Frame::Error(error)) => self.fail(words_of(&error)),
            // A frame of an unknown kind, from a newer server.
            Err(_) => {}
        }
    }

    fn fail(&self, message: String) {
        let _ = self.answer.try_update(|answer| answer.error = Some(sentence(&message)));
    }
}

async fn ask(url: &str, body: &str, signal: &web_sys::AbortSignal) -> Result<web_sys::Response, JsValue> {
    let headers = web_sys::Headers::new()?;
    headers.set("content-type", "application/json")?;
    headers.set("accept", "text/event-stream")?;
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&body.into());
    init.set_signal(Some(signal));
    let promise = window().fetch_with_str_and_init(url, &init);
    JsFuture::from(promise).await?.dyn_into()
}

/// Why the server refused, in its own words if it sent any.
async fn refusal(response: &web_sys::Response) -> String {
    let text = match response.text() {
        Ok(promise) => JsFuture::from(promise).await.ok().and_then(|text| text.as_string()),
        Err(_) => None,
    };
    let problem = text.and_then(|text| parse::<Value>(&text).ok());
    problem
        .map_or_else(|| format!("The server answered {}.", response.status()), |problem| words_of(&problem))
}

fn words_of(error: &Value) -> String {
    let field = ["detail", "message", "title"].iter().find_map(|word| error.get(word)?.as_str());
    error.as_str().or(field).unwrap_or("It did not work").to_owned()
}

fn get(object: &JsValue, key: &str) -> JsValue {
    js_sys::Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}
