//! Choosing one of the models that the providers offer, or entering another one.

use super::server::Offered;
use crate::{
    fault,
    form::sentence,
    load::Loaded,
    ui::{Field, Glyph, Icon, TextField},
};
use domain::key::ModelName;
use leptos::prelude::*;
use std::collections::BTreeMap;

/// The option that shows the field for another model; not a model's name.
const OTHER: &str = "other…";
const ID: &str = "field-model";

/// The control named `role[model]`. Until the providers have responded, it is a plain text field.
#[component]
pub fn ModelField(
    offered: Loaded<fault::Result<Offered>>,
    #[prop(into)] value: String,
    error: MaybeProp<String>,
) -> impl IntoView {
    let waiting = value.clone();
    let fallback = move || {
        let hint = "Asking the providers what they offer…".to_owned();
        view! { <ModelText value=waiting.clone() hint error/> }
    };
    view! {
        <Suspense fallback>
            {move || {
                let value = value.clone();
                Suspend::new(async move {
                    match offered.await {
                        Ok(offered) => view! { <ModelSelect offered value error/> }.into_any(),
                        Err(fault) => view! { <ModelText value hint=fault.to_string() error/> }.into_any(),
                    }
                })
            }}
        </Suspense>
    }
}

#[component]
fn ModelText(value: String, hint: String, error: MaybeProp<String>) -> impl IntoView {
    view! {
        <TextField
            id=ID
            label="Model"
            name="role[model]"
            value
            placeholder="provider/model"
            hint
            error
            mono=true
            required=true
        />
    }
}

#[component]
fn ModelSelect(offered: Offered, value: String, error: MaybeProp<String>) -> impl IntoView {
    let mut groups: BTreeMap<String, Vec<ModelName>> = BTreeMap::new();
    for model in offered.models {
        groups.entry(model.provider().to_string()).or_default().push(model);
    }
    let failed = view! { <Failed failed=offered.failed/> };
    if groups.is_empty() {
        let hint = "No provider offers a model just now. Name one as provider/model.".to_owned();
        return view! {
            <ModelText value hint error/>
            {failed}
        }
        .into_any();
    }
    let known = value.is_empty() || groups.values().flatten().any(|model| model.to_string() == value);
    let other = RwSignal::new(false);
    let selected = value.clone();
    let group = move |(provider, models): (String, Vec<ModelName>)| {
        let option = |model: ModelName| {
            let name = model.to_string();
            let is = name == selected;
            view! {
                <option value=name selected=is>
                    {model.model().to_owned()}
                </option>
            }
        };
        view! { <optgroup label=provider>{models.into_iter().map(option).collect_view()}</optgroup> }
    };
    let choose = value.is_empty().then(|| view! { <option value="">"Choose a model"</option> });
    let unknown = (!known).then(|| {
        view! {
            <option value=value.clone() selected=true>
                {format!("{value} (not offered just now)")}
            </option>
        }
    });
    let typed = StoredValue::new(value);
    let shown_error = Signal::derive(move || if other.get() { None } else { error.get() });
    let type_name = move || {
        view! {
            <ModelText
                value=typed.get_value()
                hint="As provider/model, such as openai/gpt-5-mini.".to_owned()
                error
            />
        }
    };
    view! {
        <Field label="Model" for_id="field-model-choice" error=shown_error>
            <div class="select">
                <select
                    class="input"
                    id="field-model-choice"
                    name=move || (!other.get()).then_some("role[model]")
                    aria-describedby="field-model-choice-error"
                    aria-invalid=move || shown_error.read().is_some().then_some("true")
                    on:change=move |event| other.set(event_target_value(&event) == OTHER)
                >
                    {choose}
                    {unknown}
                    {groups.into_iter().map(group).collect_view()}
                    <option value=OTHER>"Another model…"</option>
                </select>
                <Icon glyph=Glyph::ChevronDown/>
            </div>
        </Field>
        {move || other.get().then(type_name)}
        {failed}
    }
    .into_any()
}

#[component]
fn Failed(failed: Vec<(domain::key::ProviderKey, String)>) -> impl IntoView {
    let line = |(provider, reason): (domain::key::ProviderKey, String)| {
        view! {
            <p class="field-hint model-failed">
                <strong>{provider.to_string()}</strong>
                " did not say what it offers. "
                {sentence(&reason)}
            </p>
        }
    };
    failed.into_iter().map(line).collect_view()
}
