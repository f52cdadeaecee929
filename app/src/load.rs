//! Loading the data of a page.
//!
//! A [`Loaded`] is requested while the server renders the page, is embedded in it, and is requested again in the
//! browser when its source changes. Server and browser number these values in the order of their creation. A page must
//! therefore create all of its values at its top and never inside a `Suspend`, where the order depends on the order of
//! responses.

use leptos::{
    either::Either,
    prelude::*,
    server::codee::{Decoder, Encoder},
    task::spawn_local,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{future::Future, pin::Pin};

pub type Loaded<T> = Resource<T, Json>;

/// JSON, read as bytes. Server functions read their responses as bytes too, so every type needs only one deserialiser
/// in the browser.
pub struct Json;

impl<T: Serialize> Encoder<T> for Json {
    type Error = serde_json::Error;
    type Encoded = String;

    fn encode(value: &T) -> serde_json::Result<String> {
        serde_json::to_string(value)
    }
}

impl<T: DeserializeOwned> Decoder<T> for Json {
    type Error = serde_json::Error;
    type Encoded = str;

    fn decode(text: &str) -> serde_json::Result<T> {
        parse(text)
    }
}

/// `serde_json::from_str`, sharing its code with all other JSON reading.
pub fn parse<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_slice(text.as_bytes())
}

/// Requests again when the signals that `source` reads change.
pub fn load<S, T, F>(
    source: impl Fn() -> S + Send + Sync + 'static,
    ask: impl Fn(S) -> F + Send + Sync + 'static,
) -> Loaded<T>
where
    S: Clone + PartialEq + Send + Sync + 'static,
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = T> + Send + 'static,
{
    Resource::new_with_options(source, boxed(ask), false)
}

/// Type-erases the request's future, so that the code is generated once per response type.
fn boxed<S, T, F>(
    ask: impl Fn(S) -> F + Send + Sync + 'static,
) -> impl Fn(S) -> Pin<Box<dyn Future<Output = T> + Send>> + Send + Sync + 'static
where
    F: Future<Output = T> + Send + 'static,
{
    move |source| Box::pin(ask(source))
}

/// Renders the response of `loaded`, and every later response when it has arrived, as a new page in place of the
/// previous one.
///
/// The previous page stays alive until then. The signals that `view` reads do not cause another render: otherwise the
/// signals of the shown page would be disposed of while the next response is on its way, and the next event of a live
/// run, or the next tick of the clock, would access disposed signals.
///
/// No part of the previous page is reused. A title that is rebuilt in place keeps a reader of the old title
/// (`leptos_meta` reuses its number), which would then access the disposed page.
pub fn draw<T>(loaded: Loaded<T>, view: impl Fn(T) -> AnyView + Clone + Send + 'static) -> impl IntoView
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let odd = StoredValue::new(false);
    move || {
        let view = view.clone();
        Suspend::new(async move {
            let view = drawn(loaded, view).await;
            // Alternating the sides of the `Either` forces a complete rebuild.
            let odd = odd.try_update_value(|odd| {
                *odd = !*odd;
                *odd
            });
            if odd == Some(true) { Either::Right(view) } else { Either::Left(view) }
        })
    }
}

/// As [`draw`], for a part without a title, in place: its fields and their focus stay.
pub fn draw_in_place<T>(
    loaded: Loaded<T>,
    view: impl Fn(T) -> AnyView + Clone + Send + 'static,
) -> impl IntoView
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    move || Suspend::new(drawn(loaded, view.clone()))
}

async fn drawn<T>(loaded: Loaded<T>, view: impl FnOnce(T) -> AnyView) -> AnyView
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let answer = loaded.await;
    #[cfg(not(feature = "ssr"))]
    crate::project::permission_known().await;
    untrack(|| view(answer))
}

/// Requests only in the browser, after the page is rendered, and again when the signals that `ask` reads change. The
/// last response stays until the next one arrives. The page does not wait for it on either side.
pub fn ask_in_browser<T, F>(ask: impl Fn() -> F + 'static) -> ReadSignal<Option<T>>
where
    T: Send + Sync + 'static,
    F: Future<Output = T> + 'static,
{
    let (answer, set_answer) = signal(None);
    let asked = StoredValue::new(0_u32);
    Effect::new(move |_| {
        let question = ask();
        asked.update_value(|asked| *asked += 1);
        let mine = asked.get_value();
        spawn_local(async move {
            let came = question.await;
            // Ignored if a newer request has started, or the component is gone.
            if asked.try_get_value() == Some(mine) {
                set_answer.try_set(Some(came));
            }
        });
    });
    answer
}
