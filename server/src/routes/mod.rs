//! The REST interface, a file per resource. Shapes are those of `openapi.json` beside this crate's sources.

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

pub const HEALTH: &str = description::HEALTH;

/// All of them.
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

/// Where a list goes on: `next` of the page before.
#[derive(Deserialize)]
struct From {
    cursor: Option<String>,
}

/// A page of a list. `next` is null on the last one.
#[derive(Serialize)]
struct Items<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T> Items<T> {
    fn of<S>(page: domain::view::Page<S>, shape: impl FnMut(S) -> T) -> Self {
        Self { items: page.items.into_iter().map(shape).collect(), next: page.next }
    }

    /// A list that is never long.
    fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

fn json(status: StatusCode, value: impl Serialize) -> Response {
    (status, axum::Json(value)).into_response()
}
