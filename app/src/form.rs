//! Shows faults in forms: the problems of a field under the field, everything else in a notice.

use crate::{
    fault::Fault,
    ui::{ButtonLink, ButtonVariant, EmptyState, Glyph, Notice, Tone},
};
use domain::problem::Problem;
use leptos::{prelude::*, server_fn::ServerFn};

/// The fault of a form's last submission. Without script it comes from the URL.
pub fn fault_of<S>(action: ServerAction<S>) -> Signal<Option<Fault>>
where
    S: ServerFn<Error = Fault> + Clone + Send + Sync + 'static,
    S::Output: Clone + Send + Sync + 'static,
{
    let value = action.value();
    Signal::derive(move || {
        value.with(|value| value.as_ref().and_then(|outcome| outcome.as_ref().err().cloned()))
    })
}

/// The error of the field whose problems have the path `path`.
pub fn error_at(fault: Signal<Option<Fault>>, path: impl Into<String>) -> MaybeProp<String> {
    let path = path.into();
    Signal::derive(move || fault.with(|fault| error_in(fault.as_ref(), &path))).into()
}

/// As [`error_at`], for a given fault.
pub fn error_in(fault: Option<&Fault>, path: &str) -> Option<String> {
    fault.and_then(|fault| joined(fault.problems_at(path)))
}

fn joined<'a>(problems: impl Iterator<Item = &'a Problem>) -> Option<String> {
    let texts: Vec<_> = problems.map(|problem| sentence(&problem.message)).collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}

/// The notice for a form's fault. Problems of the fields in `fields` are shown under those fields instead; `Stale` has
/// its own notice with the possible actions.
#[component]
pub fn FaultNotice(
    #[prop(into)] fault: Signal<Option<Fault>>,
    #[prop(optional)] fields: &'static [&'static str],
) -> impl IntoView {
    let text = Memo::new(move |_| match fault.get()? {
        Fault::Stale { .. } => None,
        Fault::Invalid { problems } => {
            let elsewhere = |problem: &Problem| fields.contains(&problem.path.as_str());
            let rest: Vec<_> = problems.into_iter().filter(|problem| !elsewhere(problem)).collect();
            (!rest.is_empty()).then(|| Fault::Invalid { problems: rest }.to_string())
        }
        fault => Some(fault.to_string()),
    });
    move || text.get().map(|text| view! { <Notice tone=Tone::Error>{text}</Notice> })
}

/// Replaces a page that could not be loaded.
#[component]
pub fn FaultPage(fault: Fault) -> impl IntoView {
    let title = match &fault {
        Fault::NotFound { .. } => "Not found",
        Fault::Forbidden { .. } => "Not allowed",
        Fault::Unauthenticated { .. } => "Signed out",
        Fault::Connection { .. } => "No connection",
        _ => "This did not work",
    };
    let text = fault.to_string();
    if matches!(fault, Fault::Unauthenticated { .. }) {
        let action = || {
            view! {
                <ButtonLink href="/sign-in" variant=ButtonVariant::Primary>
                    "Sign in"
                </ButtonLink>
            }
        };
        view! { <EmptyState title glyph=Glyph::Key action>{text}</EmptyState> }.into_any()
    } else {
        view! { <EmptyState title glyph=Glyph::Warning>{text}</EmptyState> }.into_any()
    }
}

/// Formats a message as a sentence; the checks produce clauses.
pub fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

/// Reloads the page.
pub fn reload() {
    // Fails only if there is no page to load.
    let _ = window().location().reload();
}
