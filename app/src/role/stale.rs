//! Resolving a conflict after another user saved the role in between. No typed text is lost.

use super::server::{RoleForm, load_role};
use crate::{
    fault::Fault,
    form::reload,
    load::ask_in_browser,
    ui::{Button, ButtonVariant, Notice, Tone},
};
use domain::{
    key::{ProjectKey, RoleKey},
    view::Role,
};
use leptos::{html, prelude::*};

#[component]
pub fn StaleRole(
    project: Memo<ProjectKey>,
    #[prop(into)] fault: Signal<Option<Fault>>,
    based_on: RwSignal<Option<u32>>,
    form: NodeRef<html::Form>,
) -> impl IntoView {
    let newest = Memo::new(move |_| match fault.get() {
        Some(Fault::Stale { newest }) if based_on.get().is_some_and(|version| version < newest) => {
            Some(newest)
        }
        _ => None,
    });
    let theirs = ask_in_browser(move || {
        let wanted = newest.get().is_some();
        let key = form.get_untracked().map(|form| RoleForm::in_page(&form).key);
        let project = project.get_untracked();
        async move {
            match key.and_then(|key| RoleKey::parse(&key).ok()) {
                Some(key) if wanted => load_role(project, key).await.ok(),
                _ => None,
            }
        }
    });
    let notice = move |newest: u32| {
        let title = format!("Version {newest} was saved in the meantime");
        view! {
            <Notice tone=Tone::Warning title>
                <p>"What you typed is still here, and not saved."</p>
                {move || theirs.get().flatten().map(|role| view! { <Theirs role/> })}
                <div class="form-actions">
                    <Button on_click=reload>"Take theirs"</Button>
                    <Button variant=ButtonVariant::Primary on_click=move || based_on.set(Some(newest))>
                        {format!("Keep mine, as version {}", newest + 1)}
                    </Button>
                </div>
            </Notice>
        }
    };
    move || newest.get().map(notice)
}

#[component]
fn Theirs(role: Role) -> impl IntoView {
    view! {
        <details>
            <summary>"Show theirs"</summary>
            <dl class="facts">
                <dt>"Name"</dt>
                <dd>{role.name}</dd>
                <dt>"Model"</dt>
                <dd class="mono">{role.model.to_string()}</dd>
            </dl>
            <pre class="code">{role.base_prompt}</pre>
        </details>
    }
}
