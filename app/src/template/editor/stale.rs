//! Resolving a conflict after another user saved the template in between. No typed text is lost.

use super::{compare::compare, state::Editor};
use crate::{
    fault::Fault,
    load::ask_in_browser,
    template::server::load_template,
    ui::{Button, ButtonVariant, Notice, Tone},
};
use domain::key::{ProjectKey, TemplateKey};
use leptos::prelude::*;

#[component]
pub fn Stale(
    editor: Editor,
    project: Memo<ProjectKey>,
    key: StoredValue<Option<TemplateKey>>,
    fault: Signal<Option<Fault>>,
    based_on: RwSignal<Option<u32>>,
    on_overwrite: Callback<()>,
) -> impl IntoView {
    let newest = Memo::new(move |_| match fault.get() {
        Some(Fault::Stale { newest }) if based_on.get().is_some_and(|version| version < newest) => {
            Some(newest)
        }
        _ => None,
    });
    let theirs = ask_in_browser(move || {
        let wanted = newest.get().and(key.get_value());
        let project = project.get_untracked();
        async move { load_template(project, wanted?, None).await.ok() }
    });
    let source = Memo::new(move |_| theirs.get().flatten().map(|detail| (detail.version, detail.source)));
    let overwrite = move || {
        based_on.set(source.get_untracked().map(|(version, _)| version).or(newest.get_untracked()));
        on_overwrite.run(());
    };
    let take = move || {
        if let Some((version, source)) = source.get_untracked() {
            editor.write(source);
            based_on.set(Some(version));
        }
    };
    let notice = move |newest: u32| {
        view! {
            <Notice tone=Tone::Warning title=format!("Version {newest} was saved in the meantime")>
                <p>"What you wrote is still here, and not saved. Lines that the other side lacks are marked."</p>
                {move || source.get().map(|(version, theirs)| view! { <Sides editor version theirs/> })}
                <div class="form-actions">
                    <Button on_click=take>"Take theirs"</Button>
                    <Button variant=ButtonVariant::Primary on_click=overwrite>
                        {format!("Save mine as version {}", newest + 1)}
                    </Button>
                </div>
            </Notice>
        }
    };
    move || newest.get().map(notice)
}

#[component]
fn Sides(editor: Editor, version: u32, theirs: String) -> impl IntoView {
    let sides = move || {
        let mine = editor.source.get();
        let (ours, others) = compare(&mine, &theirs);
        let lines = |lines: Vec<(&str, bool)>| {
            let line = |(line, shared): (&str, bool)| {
                view! { <span class="side-line" class:side-own=!shared>{format!("{line}\n")}</span> }
            };
            lines.into_iter().map(line).collect_view()
        };
        view! {
            <figure class="side">
                <figcaption>"Mine"</figcaption>
                <pre class="mono">{lines(ours)}</pre>
            </figure>
            <figure class="side">
                <figcaption>{format!("Theirs, version {version}")}</figcaption>
                <pre class="mono">{lines(others)}</pre>
            </figure>
        }
    };
    view! { <div class="sides">{sides}</div> }
}
