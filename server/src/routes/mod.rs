//! The REST interface, one file per resource. Its shapes are described by `openapi.json` in this crate.

pub mod templates;

mod comparisons;
mod description;
mod files;
mod inbox;
mod prices;
mod projects;
mod providers;
mod roles;
mod runs;
mod search;
mod tasks;

use crate::router::Route;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

/// The routes that need no authentication.
pub const OPEN: [&str; 3] = description::OPEN;

/// All REST routes.
pub fn all() -> Vec<Route> {
    [
        description::routes(),
        providers::routes(),
        prices::routes(),
        projects::routes(),
        roles::routes(),
        templates::routes(),
        runs::routes(),
        comparisons::routes(),
        files::routes(),
        inbox::routes(),
        search::routes(),
        tasks::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The cursor of a list: `next` of the previous page.
#[derive(Deserialize)]
struct From {
    cursor: Option<String>,
}

/// A page of a list. `next` is null on the last page.
#[derive(Serialize)]
struct Items<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T> Items<T> {
    fn of<S>(page: domain::view::Page<S>, shape: impl FnMut(S) -> T) -> Self {
        Self { items: page.items.into_iter().map(shape).collect(), next: page.next }
    }

    /// A list that is always short enough for one page.
    fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

fn json(status: StatusCode, value: impl Serialize) -> Response {
    (status, axum::Json(value)).into_response()
}
