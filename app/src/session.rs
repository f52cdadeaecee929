//! Who is asking. The server's middleware finds the user of a request's session; server functions learn it here.

use crate::fault::Result;
use domain::view::User;
use leptos::prelude::*;

/// The engine and the user of the request, for a server function that needs somebody signed in.
///
/// # Errors
/// `Unauthenticated` when nobody is.
#[cfg(feature = "ssr")]
pub async fn caller() -> Result<(engine::Engine, User)> {
    use crate::fault::{Fault, answer_with};
    let engine = engine()?;
    match user() {
        Some(user) => Ok((engine, user)),
        None => {
            answer_with(axum::http::StatusCode::UNAUTHORIZED);
            Err(Fault::Unauthenticated { message: "You are not signed in. Sign in and try again.".into() })
        }
    }
}

/// The engine alone, for the few calls that need nobody signed in.
#[cfg(feature = "ssr")]
pub fn engine() -> Result<engine::Engine> {
    use_context::<engine::Engine>().ok_or_else(|| {
        tracing::error!("the engine is not in the context of a server function");
        crate::fault::Fault::Internal { message: "Something went wrong on the server.".into() }
    })
}

#[cfg(feature = "ssr")]
pub fn user() -> Option<User> {
    use_context::<axum::http::request::Parts>().and_then(|parts| parts.extensions.get::<User>().cloned())
}

/// Who is signed in; none on the pages that need nobody.
#[server]
pub async fn current_user() -> Result<Option<User>> {
    Ok(user())
}
