//! All routes, and the layers around them.

use crate::{
    AppState, body, browser, guard, headers, pages, problem::ProblemDetails, routes, site, telemetry,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::{Method, StatusCode, Uri},
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodFilter, MethodRouter, on},
};
use std::path::Path;
use tower_http::compression::CompressionLayer;

/// A route: the router is built from this list, tests iterate over it, and `openapi.json` is compared with it.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    handler: MethodRouter<AppState>,
}

impl Route {
    fn new<H, T>(method: Method, filter: MethodFilter, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self { method, path, handler: on(filter, handler) }
    }

    pub(crate) fn get<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::GET, MethodFilter::GET, path, handler)
    }

    pub(crate) fn post<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::POST, MethodFilter::POST, path, handler)
    }

    pub(crate) fn put<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::PUT, MethodFilter::PUT, path, handler)
    }

    pub(crate) fn patch<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::PATCH, MethodFilter::PATCH, path, handler)
    }

    pub(crate) fn delete<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::DELETE, MethodFilter::DELETE, path, handler)
    }
}

/// All routes except the site's files and Leptos' routes: REST, and the routes that pages need in addition.
pub fn table() -> Vec<Route> {
    let mut table = routes::all();
    table.extend(browser::routes());
    table
}

/// The addresses of pages and the paths of server functions, for tests.
pub fn pages_and_functions() -> (Vec<String>, Vec<(&'static str, Method)>) {
    let pages = pages::list().iter().map(|page| page.path().to_owned()).collect();
    (pages, leptos::server_fn::axum::server_fn_paths().collect())
}

pub fn router(state: &AppState) -> Router {
    let mut router = pages::router(state).merge(site::router(Path::new(state.options.site_root.as_ref())));
    for route in table() {
        router = router.route(route.path, route.handler);
    }
    router
        .method_not_allowed_fallback(wrong_method)
        // `body` limits every body, with a limit per route.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state.clone(), body::bound))
        .layer(from_fn_with_state(state.clone(), guard::guard))
        .layer(CompressionLayer::new())
        .layer(from_fn(headers::add))
        .layer(from_fn(telemetry::trace))
        .with_state(state.clone())
}

async fn wrong_method(method: Method, uri: Uri) -> ProblemDetails {
    ProblemDetails::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("{} does not answer to {method}", uri.path()),
    )
}
