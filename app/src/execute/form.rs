//! The execute form: input on the left, role assignments on the right. A plain form: it launches without script too.
//!
//! With script it also shows a preview of the launch, remembers the chosen roles, and sends an idempotency key with
//! each try, so that a double click starts only one run.

use super::{
    again::{self, AsLastTime},
    draft::Draft,
    estimate::Estimated,
    input::InputControls,
    list::Lists,
    presets::Presets,
    remembered,
    server::{Launch, LaunchForm, Ready, load_form, preview_launch},
    steps::{SameForAll, StepRow, takes_role},
};
use crate::{
    fault::Fault,
    form::{FaultNotice, FaultPage, fault_of, sentence},
    keyboard::send_form,
    layout::{PageHeader, use_crumb},
    load::{draw, load},
    project::{ReadOnly, use_may_edit},
    run::letter,
    ui::{
        Button, ButtonKind, ButtonLink, ButtonSize, ButtonVariant, EmptyState, Glyph, Kbd, Notice, Skeleton,
        SkeletonShape, Tone,
    },
};
use domain::{
    branch::Branch,
    comparison::MOST_COMPARED,
    id::TaskId,
    key::{ProjectKey, TemplateKey},
    problem::Problem,
    schema::FieldKind,
    view::{LaunchPreview, Launched},
};
use leptos::{ev, html, leptos_dom::helpers::TimeoutHandle, prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;
use std::{collections::BTreeMap, time::Duration};

const PAUSE: Duration = Duration::from_millis(250);
const PREFIX: &str = "execute";

#[component]
pub fn ExecuteForm(
    project: ProjectKey,
    template: TemplateKey,
    /// The conversation to continue; `None` to start a new one.
    #[prop(optional_no_strip)]
    task: Option<TaskId>,
    /// The conversation's branch to continue; `None` for the most recently changed one.
    #[prop(optional, into)]
    branch: MaybeProp<Branch>,
    /// Whether the form is a page of its own, which then has the page's title.
    #[prop(optional)]
    page: bool,
    /// The initial text of the form's first text field.
    #[prop(optional_no_strip)]
    given: Option<String>,
    on_launched: Callback<Launched>,
) -> impl IntoView {
    let place = StoredValue::new((project, template));
    let given = StoredValue::new(given);
    let ready = load(move || place.get_value(), |(project, template)| load_form(project, template));
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Card count=2/> }>
            {draw(ready, move |ready| {
                let (project, template) = place.get_value();
                let title = ready.as_ref().ok().filter(|_| page).map(|ready| {
                    let name = ready.template.document.name.clone();
                    view! { <Title name href=format!("/p/{project}/templates/{template}")/> }
                });
                let form = match ready {
                    Ok(_) if !use_may_edit() => view! { <ReadOnly can="run templates"/> }.into_any(),
                    Ok(ready) if ready.roles.is_empty() => view! { <NoRoles project/> }.into_any(),
                    Ok(ready) => view! { <Filled project template ready task branch given on_launched/> }.into_any(),
                    Err(fault) => view! { <FaultPage fault/> }.into_any(),
                };
                view! {
                    {title}
                    {form}
                }
                    .into_any()
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Title(name: String, href: String) -> impl IntoView {
    let title = format!("Execute {name}");
    use_crumb(move || Some(name.clone()));
    let actions = move || view! { <ButtonLink href>"Show the template"</ButtonLink> };
    view! { <PageHeader title actions/> }
}

#[component]
fn NoRoles(project: ProjectKey) -> impl IntoView {
    let href = format!("/p/{project}/roles/new?key=general_worker&name=General%20worker");
    let action = move || view! { <ButtonLink href variant=ButtonVariant::Primary>"Make a role"</ButtonLink> };
    view! {
        <EmptyState title="No role could do it" glyph=Glyph::Roles action>
            "A step is done by a role, and this project has none yet."
        </EmptyState>
    }
}

#[component]
fn Filled(
    project: ProjectKey,
    template: TemplateKey,
    ready: Ready,
    task: Option<TaskId>,
    branch: MaybeProp<Branch>,
    given: StoredValue<Option<String>>,
    on_launched: Callback<Launched>,
) -> impl IntoView {
    let document = ready.template.document;
    let version = ready.template.version;
    let names: Vec<_> = document.steps.iter().map(|step| step.name.clone()).collect();
    let names = StoredValue::new(names);
    let input_fields = StoredValue::new(super::read::fields(&document));
    let lists = Lists::new();
    let chosen: Vec<_> = document.steps.iter().map(|_| RwSignal::new(String::new())).collect();
    // The first assignment is the form's own; these are the additional ones.
    let variants = RwSignal::new(0_usize);
    let other = || document.steps.iter().map(|_| RwSignal::new(String::new())).collect::<Vec<_>>();
    let others: Vec<_> = (1..MOST_COMPARED).map(|_| other()).collect();
    let choosers = document.steps.iter().filter(|step| takes_role(step)).count();
    let action = ServerAction::<Launch>::new();
    let launch_fault = fault_of(action);
    let pending = action.pending();
    let form = NodeRef::<html::Form>::new();
    let mint = RwSignal::new(String::new());
    let place = StoredValue::new((project.clone(), template.clone()));
    let rows_chosen = StoredValue::new(chosen.clone());
    let roles = StoredValue::new(ready.roles);

    let draft = Draft::new(ready.owner, &project, &template, input_fields, form);
    draft.keep_on_leaving();
    let looked = look_ahead(form, place, version, ready.preview, variants, draft);
    Effect::new(move |_| {
        variants.track();
        looked.soon();
    });
    for one in chosen.clone() {
        Effect::new(move |_| {
            one.track();
            looked.soon();
        });
    }
    let takes: Vec<bool> = document.steps.iter().map(takes_role).collect();
    let takes = StoredValue::new(takes);
    // Warnings about steps whose last role no longer exists, shown until another role is chosen.
    let gone = RwSignal::new(Vec::<(String, RwSignal<String>)>::new());
    // Restores the last assignments, for steps and roles that still exist.
    Effect::new(move |_| {
        mint.set(mint_key());
        let (project, template) = place.get_value();
        let last = remembered::read(&project, &template);
        let exists =
            |key: &String| roles.with_value(|roles| roles.iter().any(|role| role.key.as_str() == key));
        let mut lost = Vec::new();
        names.with_value(|names| {
            let steps = names.iter().zip(rows_chosen.get_value()).zip(takes.get_value());
            for ((name, signal), takes) in steps {
                let Some(key) = last.get(name) else { continue };
                if !exists(key) {
                    if takes {
                        let text = format!("'{name}' was done by '{key}' last time, and that role is gone.");
                        lost.push((text, signal));
                    }
                } else if signal.read_untracked().is_empty() {
                    signal.set(key.clone());
                }
            }
        });
        gone.set(lost);
    });
    let navigate = use_navigate();
    Effect::new(move |_| match action.value().get() {
        Some(Ok(started)) => {
            let (project, template) = place.get_value();
            let keys = rows_chosen.get_value().into_iter().map(|one| one.get_untracked());
            let pairs = names.get_value().into_iter().zip(keys).filter(|(_, key)| !key.is_empty());
            remembered::write(&project, &template, &pairs.collect::<BTreeMap<_, _>>());
            if let Some(form) = form.get_untracked() {
                place.with_value(|of| input_fields.with_value(|fields| again::keep(of, fields, &form)));
            }
            draft.launched();
            mint.set(mint_key());
            if started.side_by_side.is_empty() {
                on_launched.run(started.launched);
            } else {
                navigate(&started.href(&project), Default::default());
            }
        }
        // After a lost response the launch may have succeeded, so the next try keeps its idempotency key. Any other
        // fault is a response, and the next try is a new launch.
        Some(Err(Fault::Connection { .. })) | None => {}
        Some(Err(_)) => mint.set(mint_key()),
    });

    // Problems of fields are shown after the first try; problems that prevent any launch are shown at once.
    let fault = Signal::derive(move || launch_fault.get());
    let standing = Memo::new(move |_| {
        let problems = looked.preview.read().errors.clone();
        let stands = |problem: &Problem| !problem.path.starts_with("input");
        problems.into_iter().filter(stands).collect::<Vec<_>>()
    });
    let fields: Vec<_> = input_fields
        .get_value()
        .iter()
        .map(|field| format!("input.{}", field.name))
        .chain(names.get_value().iter().map(|name| format!("roleAssignments.{name}")))
        .chain(["input".to_owned()])
        .collect();
    let lists_at =
        input_fields.get_value().into_iter().filter(|field| matches!(field.kind, FieldKind::List(_)));
    let lists_at: Vec<_> = lists_at.map(|field| format!("input.{}[", field.name)).collect();
    let general = Signal::derive(move || elsewhere(launch_fault.get(), &fields, &lists_at));
    let preview = Signal::from(looked.preview);
    let rows = document
        .steps
        .iter()
        .cloned()
        .enumerate()
        .zip(chosen)
        .map(|((index, step), chosen)| {
            let others = others.iter().map(|other| other[index]).collect();
            view! { <StepRow index step roles chosen others variants preview fault prefix=PREFIX/> }
        })
        .collect_view();
    let same = (choosers > 1).then(|| view! { <SameForAll roles chosen=rows_chosen prefix=PREFIX/> });
    // Works in every field of the form; a text area has handled the key itself.
    let keydown = move |event: ev::KeyboardEvent| send_form(&event);
    let changed = Callback::new(move |()| looked.soon());
    view! {
        <ActionForm
            action
            node_ref=form
            attr:class="execute"
            on:input=move |_| looked.soon()
            on:keydown=keydown
        >
            <input type="hidden" name="project" value=project.to_string()/>
            <input type="hidden" name="template" value=template.to_string()/>
            <input type="hidden" name="form[version]" value=version.to_string()/>
            <input type="hidden" name="form[task]" value=task.map(|task| task.to_string()).unwrap_or_default()/>
            <input
                type="hidden"
                name="form[branch]"
                value=move || branch.get().map(|branch| branch.to_string()).unwrap_or_default()
            />
            <input type="hidden" name="form[idempotency_key]" prop:value=move || mint.get()/>
            <div class="execute-columns">
                <section class="execute-input" aria-label="Input">
                    <div class="execute-roles-head">
                        <h2 class="section-title">"Input"</h2>
                        <AsLastTime of=place fields=input_fields lists form draft given on_filled=changed/>
                    </div>
                    <InputControls template=document fault prefix=PREFIX lists changed/>
                </section>
                <section class="execute-roles" aria-label="Roles">
                    <div class="execute-roles-head">
                        <h2 class="section-title">"Who does it"</h2>
                        {same}
                    </div>
                    {(choosers > 0)
                        .then(|| {
                            view! { <Presets place presets=ready.presets roles names chosen=rows_chosen prefix=PREFIX/> }
                        })}
                    <ul class="execute-lost" aria-live="polite">
                        {move || {
                            let open = gone.get().into_iter().filter(|(_, chosen)| chosen.get().is_empty());
                            open.map(|(text, _)| view! { <li>{text}</li> }).collect_view()
                        }}
                    </ul>
                    <ol class="execute-steps" role="list">
                        {rows}
                    </ol>
                </section>
            </div>
            <footer class="execute-foot">
                <Foresight preview standing lost=looked.lost/>
                <FaultNotice fault=general/>
                <div class="form-actions">
                    <Button
                        kind=ButtonKind::Submit
                        variant=ButtonVariant::Primary
                        size=ButtonSize::Large
                        glyph=Glyph::Play
                        busy=pending
                        disabled=Signal::derive(move || !standing.read().is_empty())
                    >
                        {move || if pending.get() { "Launching…".to_owned() } else { run_words(variants.get()) }}
                    </Button>
                    <span class="execute-keys">
                        <Kbd keys="Ctrl Enter"/>
                    </span>
                    {(choosers > 0).then(|| view! { <Variants variants/> })}
                    <Estimated preview variants=looked.variants/>
                </div>
            </footer>
        </ActionForm>
    }
}

/// "Run", "Run A and B", "Run A, B and C".
fn run_words(variants: usize) -> String {
    let letters: Vec<_> = (0..variants).map(|place| letter(place).to_string()).collect();
    match variants {
        0 => "Run".to_owned(),
        last => format!("Run {} and {}", letters.join(", "), letter(last)),
    }
}

/// Buttons that add and remove further assignments, which run side by side with the first.
#[component]
fn Variants(variants: RwSignal<usize>) -> impl IntoView {
    view! {
        <div class="execute-variants">
            <Show when=move || { variants.get() + 1 < MOST_COMPARED }>
                <Button
                    size=ButtonSize::Small
                    variant=ButtonVariant::Ghost
                    glyph=Glyph::Compare
                    on_click=move || variants.update(|variants| *variants += 1)
                >
                    "Compare with other roles"
                </Button>
            </Show>
            <Show when=move || { variants.get() > 0 }>
                <Button
                    size=ButtonSize::Small
                    variant=ButtonVariant::Ghost
                    glyph=Glyph::Close
                    on_click=move || variants.update(|variants| *variants -= 1)
                >
                    {move || format!("Without {}", letter(variants.get()))}
                </Button>
            </Show>
        </div>
    }
}

/// The part of a fault that is not shown under a field. `lists` are the path prefixes of the lists' items.
fn elsewhere(fault: Option<Fault>, fields: &[String], lists: &[String]) -> Option<Fault> {
    match fault? {
        Fault::Invalid { problems } => {
            let elsewhere = |problem: &Problem| {
                !fields.contains(&problem.path) && !lists.iter().any(|list| problem.path.starts_with(list))
            };
            let rest: Vec<_> = problems.into_iter().filter(elsewhere).collect();
            (!rest.is_empty()).then_some(Fault::Invalid { problems: rest })
        }
        fault => Some(fault),
    }
}

/// The preview of the launch: the problems that prevent it, and warnings.
#[component]
fn Foresight(
    preview: Signal<LaunchPreview>,
    standing: Memo<Vec<Problem>>,
    lost: RwSignal<Option<Fault>>,
) -> impl IntoView {
    let warnings = Memo::new(move |_| preview.read().warnings.clone());
    let list = |texts: Vec<String>| {
        let item = |text: String| view! { <li>{sentence(&text)}</li> };
        view! { <ul class="notice-list">{texts.into_iter().map(item).collect_view()}</ul> }
    };
    view! {
        {move || {
            let texts: Vec<_> = standing.get().into_iter().map(|problem| problem.message).collect();
            (!texts.is_empty())
                .then(|| {
                    view! {
                        <Notice tone=Tone::Error title="It cannot be launched">
                            {list(texts)}
                        </Notice>
                    }
                })
        }}
        {move || {
            let texts = warnings.get();
            (!texts.is_empty()).then(|| view! { <Notice tone=Tone::Warning>{list(texts)}</Notice> })
        }}
        {move || {
            lost.get()
                .map(|fault| {
                    view! { <Notice tone=Tone::Info>"What would happen is not known just now. " {fault.to_string()}</Notice> }
                })
        }}
    }
}

/// Requests the preview of a launch from the server, shortly after the last change.
#[derive(Clone, Copy)]
struct LookAhead {
    preview: RwSignal<LaunchPreview>,
    /// Why the last request failed.
    lost: RwSignal<Option<Fault>>,
    /// Number of additional assignments that the preview covers.
    variants: RwSignal<usize>,
    asked: StoredValue<u64>,
    timer: StoredValue<Option<TimeoutHandle>>,
    ask: Callback<u64>,
}

fn look_ahead(
    form: NodeRef<html::Form>,
    place: StoredValue<(ProjectKey, TemplateKey)>,
    version: u32,
    preview: LaunchPreview,
    given: RwSignal<usize>,
    draft: Draft,
) -> LookAhead {
    let preview = RwSignal::new(preview);
    let lost = RwSignal::new(None);
    let variants = RwSignal::new(0);
    let asked = StoredValue::new(0);
    let ask = Callback::new(move |number: u64| {
        let Some(form) = form.get_untracked() else { return };
        draft.keep();
        let of = given.get_untracked();
        let form = LaunchForm { version, ..LaunchForm::in_page(&form) };
        let (project, template) = place.get_value();
        spawn_local(async move {
            let outcome = preview_launch(project, template, form).await;
            if asked.try_get_value() != Some(number) {
                return;
            }
            match outcome {
                Ok(seen) => {
                    lost.set(None);
                    variants.set(of);
                    preview.set(seen);
                }
                Err(fault) => lost.set(Some(fault)),
            }
        });
    });
    LookAhead { preview, lost, variants, asked, timer: StoredValue::new(None), ask }
}

impl LookAhead {
    fn soon(self) {
        self.asked.update_value(|asked| *asked += 1);
        let number = self.asked.get_value();
        // The form may have been left by then.
        let due = move || {
            if self.asked.try_get_value() == Some(number) {
                self.ask.run(number);
            }
        };
        let timer = set_timeout_with_handle(due, PAUSE).ok();
        let before = self.timer.try_update_value(|held| std::mem::replace(held, timer)).flatten();
        if let Some(before) = before {
            before.clear();
        }
    }
}

/// A new idempotency key.
fn mint_key() -> String {
    let part = || format!("{:08x}", (js_sys::Math::random() * f64::from(u32::MAX)) as u32);
    format!("web-{:x}-{}{}", js_sys::Date::now() as u64, part(), part())
}
