//! The files that a run wrote. Their tab is rendered on the server only, because it depends on nothing but its URL; a
//! run's message links to it.

use super::server::{draw_files, list_files};
use crate::{
    fault,
    form::FaultPage,
    live::{LiveRun, Refresh},
    load::{Loaded, ask_in_browser, draw_in_place, load},
    ui::{
        Skeleton, SkeletonShape,
        focus::{Move, active_element, move_focus},
    },
};
use domain::{file::FilePath, id::RunNumber, key::ProjectKey, run::RunState};
use leptos::{html::Div, prelude::*};
use leptos_router::hooks::use_query_map;

/// Maximum number of files listed in a message.
const NAMED: usize = 20;

/// The files of the run in the URL, while this tab is open (`shown`); during time travel, those of its first `writes`
/// writes.
pub fn load_files(
    project: Memo<ProjectKey>,
    number: Memo<Option<RunNumber>>,
    shown: Memo<bool>,
    writes: RwSignal<Option<u32>>,
) -> Loaded<Option<fault::Result<String>>> {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let query = query.read();
        let version = query.get("version").and_then(|version| version.parse().ok());
        let number = number.get().filter(|_| shown.get())?;
        Some((project.get(), number, query.get("file"), version, query.get("view"), writes.get()))
    });
    load(
        move || asked.get(),
        |asked| async move {
            let (project, number, path, version, view, writes) = asked?;
            Some(draw_files(project, number, path, version, view, writes).await)
        },
    )
}

#[component]
pub fn Files(run: LiveRun, files: Loaded<Option<fault::Result<String>>>) -> impl IntoView {
    let written = Memo::new(move |_| run.state.read().files.iter().map(|file| file.writes).sum::<u32>());
    let refresh = Refresh::new(move || files.refetch());
    let again = StoredValue::new(false);
    Effect::new(move |before: Option<u32>| {
        let written = written.get();
        if before.is_some_and(|before| before < written) {
            refresh.soon();
        }
        written
    });
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=4/> }>
            {draw_in_place(files, move |answer| match answer {
                Some(Ok(html)) => {
                    let again = again.try_update_value(|again| std::mem::replace(again, true));
                    view! { <Drawn html again=again == Some(true)/> }.into_any()
                }
                Some(Err(fault)) => view! { <FaultPage fault/> }.into_any(),
                None => ().into_any(),
            })}
        </Transition>
        <p class="run-writing">{move || writing(&run.state.read())}</p>
    }
}

/// The server's HTML, inserted verbatim: the server has escaped all texts of users and models.
#[component]
fn Drawn(
    html: String,
    /// Whether it replaces earlier HTML, one of whose links may have had the focus.
    again: bool,
) -> impl IntoView {
    let node = NodeRef::<Div>::new();
    Effect::new(move |_| {
        let Some(node) = node.get().filter(|_| again) else { return };
        if active_element().is_none_or(|element| element.tag_name() == "BODY") {
            let here = window().location().search().unwrap_or_default().replace('"', "");
            move_focus(&node, &format!("a[href=\"{here}\"]"), Move::First);
        }
    });
    view! { <div class="run-files" node_ref=node inner_html=html></div> }
}

/// The files that streaming answers have begun and not finished.
fn writing(state: &RunState) -> Option<String> {
    let begun = |path: &&FilePath| !state.files.iter().any(|file| file.path == **path);
    let paths: Vec<_> = state.files_requested.iter().filter(begun).map(FilePath::as_str).collect();
    (!state.phase.is_end() && !paths.is_empty()).then(|| format!("writing {} …", paths.join(", ")))
}

/// The files of a run in its message, each with a link to the files tab.
#[component]
pub fn FileLine(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let any = Memo::new(move |_| run.state.with(|state| !state.files.is_empty() || writing(state).is_some()));
    move || any.get().then(|| view! { <FileLinks project=project.clone() run/> })
}

#[component]
fn FileLinks(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let written = Memo::new(move |_| {
        run.state.with(|state| {
            let files = state.files.iter().map(|file| (file.path.clone(), file.writes));
            files.collect::<Vec<_>>()
        })
    });
    let base = format!("/p/{project}/runs/{}", run.number);
    // Version numbers count per conversation, so a run's state does not have them.
    let versions = ask_in_browser(move || {
        let (any, project) = (!written.read().is_empty(), project.clone());
        async move { if any { list_files(project, run.number).await } else { Ok(Vec::new()) } }
    });
    let version_of = move |path: &FilePath| {
        let versions = versions.read();
        let known = versions.as_ref()?.as_ref().ok()?.iter().find(|(known, _)| known == path.as_str())?;
        Some(format!(" v{}", known.1))
    };
    let links = move || {
        let written = written.read();
        let links = written.iter().take(NAMED).map(|(path, _)| {
            let href = file_href(&base, path, None);
            view! { <span><a class="link" href=href>{path.to_string()}</a> {version_of(path)}</span> }
        });
        let links = links.collect_view();
        let more = written.len().saturating_sub(NAMED);
        let more =
            (more > 0).then(|| view! { <a class="link" href=format!("{base}?tab=files")>{more} " more"</a> });
        (links, more)
    };
    view! {
        <p class="run-file-line">
            <span class="muted">"files"</span>
            {links}
            <span class="muted">{move || writing(&run.state.read())}</span>
        </p>
    }
    .into_any()
}

/// The address of a file in the files tab of its run.
pub fn file_href(run: &str, path: &FilePath, version: Option<u32>) -> String {
    let version = version.map(|version| format!("&version={version}")).unwrap_or_default();
    format!("{run}?tab=files&file={}{version}", escaped(path))
}

/// The path encoded for a URL, identically on server and browser.
pub(super) fn escaped(path: &FilePath) -> String {
    let mut text = String::new();
    for byte in path.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => text.push(byte.into()),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_any_name() {
        let path = FilePath::parse("src/Über & so.html").expect("it is a file's name");
        assert_eq!(escaped(&path), "src/%C3%9Cber%20%26%20so.html");
        assert_eq!(
            file_href("/r", &path, Some(2)),
            "/r?tab=files&file=src/%C3%9Cber%20%26%20so.html&version=2"
        );
    }
}
