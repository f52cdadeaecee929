//! Prices of models, in US dollars per million tokens.

use super::{Items, json};
use crate::{
    AppState,
    extract::{Body, Caller, behind},
    problem::Result,
    router::Route,
};
use axum::{extract::State, http::StatusCode, response::Response};
use domain::{
    key::ModelName,
    price::{Price, Rate},
    problem::Problem,
    view::ModelPrice,
};
use engine::Error;
use serde::{Deserialize, Serialize};
use serde_json::Number;

const ALL: &str = "/api/v1/prices";

pub fn routes() -> Vec<Route> {
    vec![Route::get(ALL, list), Route::put(ALL, set)]
}

/// `input` and `output` are both null, or neither is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    model: ModelName,
    input: Option<Number>,
    output: Option<Number>,
}

impl From<ModelPrice> for Shape {
    fn from(ModelPrice { model, price }: ModelPrice) -> Self {
        let number = |rate: Rate| Number::from_f64(rate.0 as f64 / 1e6);
        Self {
            model,
            input: price.and_then(|price| number(price.input)),
            output: price.and_then(|price| number(price.output)),
        }
    }
}

async fn list(State(state): State<AppState>, Caller(user): Caller) -> Result<Response> {
    let prices = state.engine.prices(&user).await?;
    Ok(json(StatusCode::OK, Items::whole(prices.into_iter().map(Shape::from).collect())))
}

async fn set(State(state): State<AppState>, Caller(user): Caller, body: Body) -> Result<StatusCode> {
    let gate = async { state.engine.permits_installation(&user) };
    let sent = body.json().and_then(|draft: Shape| Ok((price(&draft)?, draft.model)));
    let (price, model) = behind(gate, sent).await?;
    state.engine.set_price(&user, model, price).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn price(draft: &Shape) -> Result<Option<Price>> {
    let rate = |path: &str, number: &Number| {
        Rate::parse(&number.to_string()).map_err(|why| vec![Problem::new(path, why.to_string())])
    };
    match (&draft.input, &draft.output) {
        (None, None) => Ok(None),
        (Some(input), Some(output)) => {
            let read = || Ok(Price { input: rate("input", input)?, output: rate("output", output)? });
            Ok(Some(read().map_err(Error::Invalid)?))
        }
        _ => Err(Error::invalid("output", "give both, or neither").into()),
    }
}
