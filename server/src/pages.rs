//! The pages: Leptos' routes and server functions, each with the engine in its context.

use crate::{AppState, headers, problem::ProblemDetails};
use app::{
    App, ShowGallery,
    project::{MayEdit, project_of},
    shell,
};
use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use domain::{access::Permission, view::User};
use leptos::prelude::provide_context;
use leptos_axum::{AxumRouteListing, LeptosRoutes, generate_route_list};

/// The addresses of all pages.
pub fn list() -> Vec<AxumRouteListing> {
    generate_route_list(App)
}

/// All pages, all server functions, and the page for an unknown address.
pub fn router(state: &AppState) -> Router<AppState> {
    let options = state.options.clone();
    Router::new()
        .leptos_routes_with_context(state, list(), context(state), move || shell(options.clone()))
        .fallback(nowhere)
        .layer(middleware::from_fn_with_state(state.clone(), permission))
}

/// Adds to a page's request whether its user may edit the page's project.
async fn permission(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let user = request.extensions().get::<User>();
    if let (Some(user), Some(key)) = (user, project_of(request.uri().path()))
        && let Ok(project) = state.engine.project(user, &key).await
    {
        request.extensions_mut().insert(MayEdit(project.permission >= Permission::Editor));
    }
    next.run(request).await
}

fn context(state: &AppState) -> impl Fn() + Clone + Send + Sync + 'static {
    let (engine, gallery) = (state.engine.clone(), ShowGallery(state.gallery));
    move || {
        provide_context(engine.clone());
        provide_context(gallery);
        headers::allow_nonce();
    }
}

async fn nowhere(State(state): State<AppState>, request: Request) -> Response {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if path.starts_with("/api/") || !reads {
        return ProblemDetails::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("there is nothing at {path}"),
        )
        .into_response();
    }
    let options = state.options.clone();
    let draw = leptos_axum::render_app_async_with_context(context(&state), move || shell(options.clone()));
    let mut response = draw(request).await;
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}
