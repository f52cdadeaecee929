//! The user of a request. The server's middleware resolves the session; server functions get the user here.

use crate::fault::Result;
use domain::view::User;
use leptos::prelude::*;

/// The engine and the user of the request, for a server function that requires sign-in.
///
/// # Errors
/// `Unauthenticated` if no user is signed in.
#[cfg(feature = "ssr")]
pub async fn caller() -> Result<(engine::Engine, User)> {
    use crate::fault::Fault;
    let engine = engine()?;
    match user() {
        Some(user) => Ok((engine, user)),
        None => {
            let message = "You are not signed in. Sign in and try again.".into();
            Err(Fault::Unauthenticated { message }.answered())
        }
    }
}

/// The engine alone, for the few calls that require no sign-in.
#[cfg(feature = "ssr")]
pub fn engine() -> Result<engine::Engine> {
    use_context::<engine::Engine>().ok_or_else(|| {
        tracing::error!("the engine is not in the context of a server function");
        crate::fault::Fault::Internal { message: "Something went wrong on the server.".into() }
    })
}

/// Draws HTML in the user's turn (see [`engine::Engine::compute`]).
#[cfg(feature = "ssr")]
pub async fn draw<T: Send + 'static>(
    engine: &engine::Engine,
    user: &User,
    draw: impl FnOnce() -> T + Send + 'static,
) -> engine::Result<T> {
    // The signals of what is drawn need an owner.
    engine.compute(user, move || Owner::new().with(draw)).await
}

#[cfg(feature = "ssr")]
pub fn user() -> Option<User> {
    use_context::<axum::http::request::Parts>().and_then(|parts| parts.extensions.get::<User>().cloned())
}

/// The signed-in user; `None` on the pages that require no sign-in.
#[server]
pub async fn current_user() -> Result<Option<User>> {
    Ok(user())
}

/// Whether the browser itself posted the form: the response is then a redirect.
#[cfg(feature = "ssr")]
pub fn posted_without_script() -> bool {
    use axum::http::{Method, header::ACCEPT, request::Parts};
    use_context::<Parts>().is_some_and(|parts| {
        let accept = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
        parts.method != Method::GET && accept.contains("text/html")
    })
}
