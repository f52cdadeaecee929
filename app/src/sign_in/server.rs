//! Signing in and out. The session's token is stored only in the cookie.

use crate::fault::Result;
#[cfg(feature = "ssr")]
use crate::{fault::Fault, session};
use leptos::prelude::*;

/// The cookie that holds the session's token.
#[cfg(feature = "ssr")]
const COOKIE: &str = "troupe_session";

/// Signs in and redirects to `next`, a path of this site.
#[server]
pub async fn sign_in(email: String, password: String, #[server(default)] next: String) -> Result<()> {
    let engine = session::engine()?;
    let missing = super::next::missing(&[
        ("email", &email, "enter your e-mail address"),
        ("password", &password, "enter your password"),
    ]);
    if !missing.is_empty() {
        return Err(Fault::Invalid { problems: missing }.answered());
    }
    let old = cookie();
    let session = engine.sign_in(email.trim(), password.into(), &peer(), old.as_deref()).await?;
    set_cookie(&session);
    leptos_axum::redirect(super::next::path_of(&next));
    Ok(())
}

/// Whether the one-time link still works.
#[server]
pub async fn first_run_valid(token: String) -> Result<bool> {
    Ok(session::engine()?.first_run_valid(&token).await?)
}

/// Creates the first admin and signs them in.
#[server]
pub async fn complete_first_run(token: String, email: String, name: String, password: String) -> Result<()> {
    let engine = session::engine()?;
    let missing = super::next::missing(&[
        ("email", &email, "enter your e-mail address"),
        ("name", &name, "enter your name"),
        ("password", &password, "choose a password of at least 10 characters"),
    ]);
    if !missing.is_empty() {
        return Err(Fault::Invalid { problems: missing }.answered());
    }
    let session = engine.complete_first_run(&token, email.trim(), name.trim(), password.into()).await?;
    set_cookie(&session);
    leptos_axum::redirect("/first-run?made=yes");
    Ok(())
}

/// Ends the session and redirects to the sign-in page.
#[server]
pub async fn sign_out() -> Result<()> {
    let engine = session::engine()?;
    if let Some(token) = cookie() {
        engine.sign_out(&token).await?;
    }
    write_cookie("", 0);
    leptos_axum::redirect("/sign-in");
    Ok(())
}

#[cfg(feature = "ssr")]
fn parts() -> Option<axum::http::request::Parts> {
    use_context()
}

#[cfg(feature = "ssr")]
fn cookie() -> Option<String> {
    let parts = parts()?;
    let headers = parts.headers.get_all(axum::http::header::COOKIE);
    let mut pairs = headers.iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE && !value.is_empty()).then(|| value.to_owned())
    })
}

/// The address of the connection, for throttling sign-in attempts.
#[cfg(feature = "ssr")]
fn peer() -> String {
    use axum::extract::ConnectInfo;
    use std::net::SocketAddr;
    let connection = parts().and_then(|parts| parts.extensions.get::<ConnectInfo<SocketAddr>>().cloned());
    connection.map_or_else(|| "unknown".to_owned(), |ConnectInfo(address)| address.ip().to_string())
}

#[cfg(feature = "ssr")]
fn set_cookie(session: &engine::Session) {
    use secrecy::ExposeSecret;
    use std::time::{SystemTime, UNIX_EPOCH};
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = domain::id::Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    write_cookie(session.token.expose_secret(), session.expires_at.since(now) / 1000);
}

#[cfg(feature = "ssr")]
fn write_cookie(value: &str, seconds: u64) {
    use axum::http::{HeaderValue, header::SET_COOKIE};
    let secure = parts().is_some_and(|parts| {
        parts.headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https")
    });
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}");
    match (HeaderValue::from_str(&cookie), use_context::<leptos_axum::ResponseOptions>()) {
        (Ok(header), Some(response)) => response.append_header(SET_COOKIE, header),
        _ => tracing::error!("the session cookie could not be written"),
    }
}
