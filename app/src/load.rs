//! How a page comes by what it shows.
//!
//! A [`Loaded`] is asked for while the server draws the page, travels inside it, and is asked for again in the browser when its source
//! changes. Server and browser number these values in the order in which they are made, so a page makes all of its own at its top,
//! never inside a `Suspend`: what is made there comes in the order in which answers arrive.

use leptos::{
    either::Either,
    prelude::*,
    server::codee::{Decoder, Encoder},
    task::spawn_local,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{future::Future, pin::Pin};

pub type Loaded<T> = Resource<T, Json>;

/// JSON, read as bytes: the answers of server functions are, and reading text in another way would bring every type's
/// reader into the browser twice.
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

/// `serde_json::from_str`, sharing its code with all else that reads JSON.
pub fn parse<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_slice(text.as_bytes())
}

/// Asks again when what `source` reads has changed.
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

/// What comes of a question does not depend on how it was asked: one set of code per type of answer.
fn boxed<S, T, F>(
    ask: impl Fn(S) -> F + Send + Sync + 'static,
) -> impl Fn(S) -> Pin<Box<dyn Future<Output = T> + Send>> + Send + Sync + 'static
where
    F: Future<Output = T> + Send + 'static,
{
    move |source| Box::pin(ask(source))
}

/// Shows what `loaded` answers, and every later answer when it has come: as a page of its own, in the place of the one before.
///
/// What stands on the page stays alive until then. `view` may read what it likes without being called again for it: were it,
/// the signals of the page on the screen would be gone while the next answer travels, and the first event of a live run, or
/// the next second, would meet a page that cannot answer.
///
/// Nothing of the page before is used again. A title that is rebuilt in place leaves its reader behind (`leptos_meta` goes
/// on with the old title's number), which then asks a page that is gone.
pub fn draw<T>(loaded: Loaded<T>, view: impl Fn(T) -> AnyView + Clone + Send + 'static) -> impl IntoView
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let odd = StoredValue::new(false);
    move || {
        let view = view.clone();
        Suspend::new(async move {
            let view = drawn(loaded, view).await;
            // What changes sides is built anew.
            let odd = odd.try_update_value(|odd| {
                *odd = !*odd;
                *odd
            });
            if odd == Some(true) { Either::Right(view) } else { Either::Left(view) }
        })
    }
}

/// As [`draw`], for a part without a title, in place: its fields stay, and the focus in them.
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

/// Asked by the browser alone, once the page stands, and again when what `ask` reads has changed; the last answer stays
/// until the next one is there. The page waits for none of it, on either side.
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
            // Overtaken by a newer question, or nobody is there to hear it.
            if asked.try_get_value() == Some(mine) {
                set_answer.try_set(Some(came));
            }
        });
    });
    answer
}
