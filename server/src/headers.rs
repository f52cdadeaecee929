//! Response headers for security and caching.

use axum::{
    extract::Request,
    http::{
        HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::Response,
};
use leptos::{nonce::use_nonce, prelude::use_context};
use leptos_axum::ResponseOptions;

pub const NO_STORE: &str = "no-store";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The policy of a page; `nonce` is a source such as ` 'nonce-…'`, or nothing.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'self'; script-src 'self'{nonce} 'wasm-unsafe-eval'; style-src 'self'{nonce}; \
         img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; \
         object-src 'none'"
    )
}

/// Allows the rendered page to run the scripts that Leptos writes into it, and no others. Must be called in the page's
/// context, which has its nonce.
pub fn allow_nonce() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else { return };
    if let Ok(value) = HeaderValue::from_str(&policy(&format!(" 'nonce-{nonce}'"))) {
        response.insert_header(CONTENT_SECURITY_POLICY, value);
    }
}

/// Adds the headers that the response does not set itself.
pub async fn add(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if !headers.contains_key(CONTENT_SECURITY_POLICY)
        && let Ok(value) = HeaderValue::from_str(&policy(""))
    {
        headers.insert(CONTENT_SECURITY_POLICY, value);
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
        (CACHE_CONTROL, NO_STORE),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
