//! `/settings/models`: the providers of models, their current status, and a form to add one.

use super::{
    prices::PricesCard,
    provider::ProviderCard,
    provider_form::ProviderFields,
    server::{Providers, SaveProvider, list_providers},
    tabs::SettingsHead,
};
use crate::{
    form::{FaultPage, fault_of},
    load::{draw_in_place, load},
    ui::{Card, Notice, Skeleton, SkeletonShape, Tone},
};
use leptos::{html, prelude::*};

#[component]
pub fn ModelsPage() -> impl IntoView {
    let changes = RwSignal::new(0_u32);
    let providers = load(move || changes.get(), |_| list_providers());
    view! {
        <SettingsHead current="models"/>
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Card count=3/> }>
            {draw_in_place(providers, move |answer| match answer {
                Ok(providers) => view! { <All providers changes/> }.into_any(),
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn All(providers: Providers, changes: RwSignal<u32>) -> impl IntoView {
    let Providers { list, may_change, may_ask, prices } = providers;
    let only_local = list.iter().all(|provider| provider.key.as_str() == "local");
    let cards = list
        .into_iter()
        .map(|provider| view! { <ProviderCard provider may_change may_ask changes/> })
        .collect_view();
    let better = (only_local && may_change).then(|| {
        view! {
            <Notice tone=Tone::Info title="Only the small local model answers">
                "It needs no key and shows how everything works, but its answers are poor. Add a provider below, then choose one of its models in a role."
            </Notice>
        }
    });
    let foot = if may_change {
        view! {
            <Add changes/>
            <PricesCard prices changes/>
        }
        .into_any()
    } else {
        view! { <p class="field-hint">"Administrators of this installation add and change providers."</p> }
            .into_any()
    };
    view! {
        <div class="stack">
            {better}
            {cards}
            {foot}
        </div>
    }
}

#[component]
fn Add(changes: RwSignal<u32>) -> impl IntoView {
    let action = ServerAction::<SaveProvider>::new();
    let fault = fault_of(action);
    let node = NodeRef::<html::Form>::new();
    Effect::new(move |_| {
        if matches!(action.value().get(), Some(Ok(_))) {
            if let Some(form) = node.get_untracked() {
                form.reset();
            }
            changes.update(|changes| *changes += 1);
        }
    });
    view! {
        <Card title="Add a provider">
            <ActionForm action node_ref=node>
                <ProviderFields existing=None fault busy=action.pending()/>
            </ActionForm>
        </Card>
    }
}
