//! Prices of models. Once set, runs show their cost and launches an estimate.

use super::server::SavePrice;
use crate::{
    form::{FaultNotice, error_at, fault_of},
    ui::{Button, ButtonKind, ButtonSize, ButtonVariant, Card, Glyph, TextField},
};
use domain::{price::Rate, view::ModelPrice};
use leptos::prelude::*;

#[component]
pub fn PricesCard(prices: Vec<ModelPrice>, changes: RwSignal<u32>) -> impl IntoView {
    let rows = prices.into_iter().map(Some).chain([None]);
    let rows = rows.map(|existing| view! { <PriceForm existing changes/> }).collect_view();
    view! {
        <Card title="Prices">
            <p class="field-hint">
                "US dollars per million tokens. A run is counted at the prices of the moment it began; a change counts for the runs that begin after it. Runs of a model without a price show no cost. Both fields empty: no price."
            </p>
            <ul class="prices" role="list">
                {rows}
            </ul>
        </Card>
    }
}

/// `existing` is `None` for a model that is not listed.
#[component]
fn PriceForm(existing: Option<ModelPrice>, changes: RwSignal<u32>) -> impl IntoView {
    let action = ServerAction::<SavePrice>::new();
    let fault = fault_of(action);
    Effect::new(move |_| {
        if matches!(action.value().get(), Some(Ok(()))) {
            changes.update(|changes| *changes += 1);
        }
    });
    let price = existing.as_ref().and_then(|existing| existing.price);
    let model = existing.map(|existing| existing.model.to_string());
    let prefix = model.clone().unwrap_or_else(|| "other".to_owned());
    let of = model.clone().unwrap_or_else(|| "another model".to_owned());
    let id_of = move |field: &str| format!("price-{prefix}-{field}");
    let model_id = id_of("model");
    let rate_of = of.clone();
    let rate = move |what: &str, name: &'static str, rate: Option<Rate>| {
        view! {
            <TextField
                label=format!("{what} of {rate_of}, per million tokens")
                hide_label=true
                name
                id=id_of(name)
                value=rate.map(|rate| rate.to_string()).unwrap_or_default()
                placeholder=format!("{what}, $")
                error=error_at(fault, name)
                mono=true
            />
        }
    };
    let adds = model.is_none();
    let named = match model {
        Some(model) => view! {
            <span class="price-model mono">{model.clone()}</span>
            <input type="hidden" name="model" value=model/>
        }
        .into_any(),
        None => view! {
            <TextField
                label="Another model"
                hide_label=true
                name="model"
                id=model_id
                placeholder="provider/model"
                error=error_at(fault, "model")
                mono=true
            />
        }
        .into_any(),
    };
    view! {
        <li class="price">
            <ActionForm action attr:class="price-form">
                {named}
                {rate("Prompt", "input", price.map(|price| price.input))}
                {rate("Answer", "output", price.map(|price| price.output))}
                <Button
                    kind=ButtonKind::Submit
                    size=ButtonSize::Small
                    variant=if adds { ButtonVariant::Secondary } else { ButtonVariant::Ghost }
                    glyph=if adds { Glyph::Plus } else { Glyph::Check }
                    busy=action.pending()
                    title=format!("Save the price of {of}")
                >
                    {if adds { "Add" } else { "Save" }}
                </Button>
            </ActionForm>
            <FaultNotice fault fields=&["model", "input", "output"]/>
        </li>
    }
    .into_any()
}
