//! Presets: named role assignments of the team. Choosing one fills in the roles; the current assignment can be saved
//! as one.

use super::server::{delete_preset, save_preset};
use crate::{
    fault::Fault,
    form::FaultNotice,
    ui::{
        Button, ButtonSize, ButtonVariant, Dialog, DialogSize, Glyph, IconButton, Select, SelectOption,
        TextField, Toast, Tone, use_toasts,
    },
};
use domain::{
    key::{ProjectKey, RoleKey, TemplateKey},
    view::{Preset, Role},
};
use leptos::{ev, prelude::*, task::spawn_local};
use std::collections::BTreeMap;

#[component]
pub fn Presets(
    place: StoredValue<(ProjectKey, TemplateKey)>,
    presets: Vec<Preset>,
    roles: StoredValue<Vec<Role>>,
    /// The names of the steps, and the chosen role of each.
    names: StoredValue<Vec<String>>,
    chosen: StoredValue<Vec<RwSignal<String>>>,
    prefix: &'static str,
) -> impl IntoView {
    let presets = RwSignal::new(presets);
    let current = RwSignal::new(String::new());
    let saving = RwSignal::new(false);
    let lost = RwSignal::new(Vec::<String>::new());
    let fault = RwSignal::new(None::<Fault>);
    let toasts = use_toasts();
    let options = Signal::derive(move || {
        let named =
            presets.get().into_iter().map(|preset| SelectOption::new(preset.name.clone(), preset.name));
        std::iter::once(SelectOption::new("", "Choose…")).chain(named).collect::<Vec<_>>()
    });
    let exists = move |key: &RoleKey| roles.with_value(|roles| roles.iter().any(|role| role.key == *key));
    let fill = move |name: String| {
        let Some(preset) = presets.get_untracked().into_iter().find(|preset| preset.name == name) else {
            return;
        };
        let mut gone = Vec::new();
        names.with_value(|names| {
            for (step, signal) in names.iter().zip(chosen.get_value()) {
                match preset.roles.get(step) {
                    Some(key) if exists(key) => signal.set(key.to_string()),
                    Some(key) => {
                        gone.push(format!("'{step}' is left open: there is no role '{key}' any more."));
                        signal.set(String::new());
                    }
                    None => signal.set(String::new()),
                }
            }
            let unknown = preset.roles.keys().filter(|step| !names.contains(step));
            gone.extend(unknown.map(|step| format!("There is no step '{step}' any more.")));
        });
        lost.set(gone);
    };
    let remove = move || {
        let name = current.get_untracked();
        let Some(before) = presets.get_untracked().into_iter().find(|preset| preset.name == name) else {
            return;
        };
        spawn_local(async move {
            let (project, template) = place.get_value();
            match delete_preset(project, template, name.clone()).await {
                Ok(left) => {
                    presets.set(left);
                    current.set(String::new());
                    let undo = move || {
                        let before = before.clone();
                        spawn_local(async move {
                            let (project, template) = place.get_value();
                            match save_preset(project, template, before.name, before.roles, false).await {
                                Ok(all) => _ = presets.try_set(all),
                                Err(why) => _ = fault.try_set(Some(why)),
                            }
                        });
                    };
                    toasts.show(
                        Toast::new(Tone::Info, format!("Preset '{name}' deleted")).action("Undo", undo),
                    );
                }
                Err(why) => _ = fault.try_set(Some(why)),
            }
        });
    };
    let any = Memo::new(move |_| !presets.read().is_empty());
    let some_chosen =
        Memo::new(move |_| chosen.with_value(|all| all.iter().any(|one| !one.read().is_empty())));
    view! {
        <div class="execute-presets">
            <Show when=move || any.get()>
                <Select
                    label="Preset"
                    name="preset"
                    id=format!("{prefix}-preset")
                    options
                    bind=current
                    on_change=fill
                    class="execute-all"
                />
                <Show when=move || !current.read().is_empty()>
                    <IconButton glyph=Glyph::Trash label="Delete this preset" size=ButtonSize::Small on_click=remove/>
                </Show>
            </Show>
            <Show when=move || some_chosen.get()>
                <Button
                    size=ButtonSize::Small
                    variant=ButtonVariant::Ghost
                    on_click=move || saving.set(true)
                >
                    "Save as preset…"
                </Button>
            </Show>
        </div>
        <ul class="execute-lost" aria-live="polite">
            {move || lost.get().into_iter().map(|text| view! { <li>{text}</li> }).collect_view()}
        </ul>
        <FaultNotice fault/>
        {move || {
            saving.get().then(|| view! { <Save place presets names chosen current saving prefix/> })
        }}
    }
    .into_any()
}

#[component]
fn Save(
    place: StoredValue<(ProjectKey, TemplateKey)>,
    presets: RwSignal<Vec<Preset>>,
    names: StoredValue<Vec<String>>,
    chosen: StoredValue<Vec<RwSignal<String>>>,
    current: RwSignal<String>,
    saving: RwSignal<bool>,
    prefix: &'static str,
) -> impl IntoView {
    let name = RwSignal::new(current.get_untracked());
    let fault = RwSignal::new(None::<Fault>);
    let busy = RwSignal::new(false);
    let taken = Memo::new(move |_| presets.read().iter().any(|preset| preset.name == name.read().trim()));
    let save = move || {
        let keys = chosen.get_value().into_iter().map(|one| RoleKey::parse(&one.get_untracked()).ok());
        let pairs = names.get_value().into_iter().zip(keys);
        let roles: BTreeMap<_, _> = pairs.filter_map(|(step, key)| Some((step, key?))).collect();
        let wanted = name.get_untracked();
        busy.set(true);
        spawn_local(async move {
            let (project, template) = place.get_value();
            let saved = save_preset(project, template, wanted.clone(), roles, taken.get_untracked()).await;
            _ = busy.try_set(false);
            match saved {
                Ok(all) => {
                    presets.set(all);
                    current.set(wanted.trim().to_owned());
                    saving.set(false);
                }
                Err(why) => _ = fault.try_set(Some(why)),
            }
        });
    };
    let keydown = move |event: ev::KeyboardEvent| {
        if event.key() == "Enter" {
            event.prevent_default();
            event.stop_propagation();
            save();
        }
    };
    let label = move || if taken.get() { "Replace" } else { "Save" };
    let footer = move || {
        view! {
            <Button on_click=move || saving.set(false)>"Cancel"</Button>
            <Button variant=ButtonVariant::Primary busy on_click=save>{label}</Button>
        }
    };
    view! {
        <Dialog open=saving title="Save as preset" size=DialogSize::Small footer>
            // Enter here saves the preset; in the surrounding form it would launch.
            <div on:keydown=keydown>
            <TextField
                label="Name"
                name="preset-name"
                id=format!("{prefix}-preset-name")
                bind=name
                hint="Such as Quick draft or Premium. Everybody in the project can choose it."
                max_length=100u32
                autofocus=true
            />
            </div>
            <FaultNotice fault/>
        </Dialog>
    }
    .into_any()
}
