//! The files that a run wrote: their list, one of them as a preview, as text, or against the version before it. File,
//! version and view are in the address. What a model wrote is never part of this page: a preview is a document of its
//! own, in a sandbox.

use super::server::{FilesPage, OpenFile, list_files, open_files};
use crate::{
    fault,
    form::FaultPage,
    live::{LiveRun, Refresh},
    load::{Loaded, ask_in_browser, load},
    ui::{ButtonLink, ButtonSize, EmptyState, Glyph, Icon, Skeleton, SkeletonShape, format_bytes},
};
use domain::{file::FilePath, id::RunNumber, key::ProjectKey, run::RunState, view::FileVersion};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// How many of a file's versions have a link, the newest ones.
const VERSIONS: u32 = 20;

/// Those of the run in the address, while this tab is open (`shown`).
pub fn load_files(
    project: Memo<ProjectKey>,
    number: Memo<Option<RunNumber>>,
    shown: Memo<bool>,
) -> Loaded<Option<fault::Result<FilesPage>>> {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let query = query.read();
        let path = query.get("file").and_then(|path| FilePath::parse(&path).ok());
        let version = query.get("version").and_then(|version| version.parse().ok());
        number.get().filter(|_| shown.get()).map(|number| (project.get(), number, path, version))
    });
    load(
        move || asked.get(),
        |asked| async move {
            let (project, number, path, version) = asked?;
            Some(open_files(project, number, path, version).await)
        },
    )
}

/// What a file is shown as.
#[derive(Clone, Copy, PartialEq)]
enum View {
    Preview,
    Text,
    Changes,
}

impl View {
    fn as_str(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Text => "text",
            Self::Changes => "changes",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Preview => "Preview",
            Self::Text => "Text",
            Self::Changes => "Changes",
        }
    }
}

#[component]
pub fn Files(
    project: ProjectKey,
    run: LiveRun,
    files: Loaded<Option<fault::Result<FilesPage>>>,
) -> impl IntoView {
    let project = StoredValue::new(project);
    let written = Memo::new(move |_| run.state.read().files.iter().map(|file| file.writes).sum::<u32>());
    let refresh = Refresh::new(move || files.refetch());
    Effect::new(move |before: Option<u32>| {
        let written = written.get();
        if before.is_some_and(|before| before < written) {
            refresh.soon();
        }
        written
    });
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=4/> }>
            {move || Suspend::new(async move {
                match files.await? {
                    Ok(page) => Some(view! { <FileList project=project.get_value() run page/> }.into_any()),
                    Err(fault) => Some(view! { <FaultPage fault/> }.into_any()),
                }
            })}
        </Transition>
        {move || writing(&run.state.read()).map(|paths| view! { <p class="run-writing">{paths}</p> })}
    }
}

/// The files that answers have come to and not yet finished.
fn writing(state: &RunState) -> Option<String> {
    let begun = |path: &&FilePath| !state.files.iter().any(|file| file.path == **path);
    let paths: Vec<_> = state.files_requested.iter().filter(begun).map(FilePath::as_str).collect();
    (!state.phase.is_end() && !paths.is_empty()).then(|| format!("writing {} …", paths.join(", ")))
}

#[component]
fn FileList(project: ProjectKey, run: LiveRun, page: FilesPage) -> impl IntoView {
    if page.files.is_empty() {
        let text = if run.is_live().get_untracked() {
            "They appear here as steps write them."
        } else {
            "A step writes files when its template says so: with: {files: true}."
        };
        return view! { <EmptyState title="No files" glyph=Glyph::File>{text}</EmptyState> }.into_any();
    }
    let open = page.open.as_ref().map(|open| open.file.path.clone());
    let step_of = |path: &FilePath| {
        run.state.with_untracked(|state| {
            let file = state.files.iter().find(|file| file.path == *path);
            file.map(|file| state.label(file.step)).unwrap_or_default()
        })
    };
    let newest = page.files.iter().find(|file| Some(&file.path) == open.as_ref()).map(|file| file.version);
    let rows = page.files.iter().map(|file| {
        let path = file.path.to_string();
        view! {
            <li>
                <a
                    class="file-link"
                    href=file_href("", &file.path, None)
                    data-noscroll="true"
                    aria-current=(open.as_ref() == Some(&file.path)).then_some("true")
                >
                    <Icon glyph=Glyph::File/>
                    <span class="file-name" title=path.clone()>{path.clone()}</span>
                    <span class="file-fact">{format!("v{}", file.version)}</span>
                    <span class="file-fact">{format_bytes(file.bytes)}</span>
                    <span class="file-step">{step_of(&file.path)}</span>
                </a>
            </li>
        }
    });
    let rows = rows.collect_view();
    let zip = format!("/api/v1/projects/{project}/runs/{}/files.zip", run.number);
    view! {
        <div class="run-files">
            <div class="file-list">
                <ul aria-label="Files">{rows}</ul>
                <ButtonLink href=zip external=true size=ButtonSize::Small glyph=Glyph::Download>
                    "Download all (zip)"
                </ButtonLink>
            </div>
            {page.open.map(|open| {
                let newest = newest.unwrap_or_default().max(open.file.version);
                view! { <OpenedFile project run=run.number open newest/> }
            })}
        </div>
    }
    .into_any()
}

#[component]
fn OpenedFile(project: ProjectKey, run: RunNumber, open: OpenFile, newest: u32) -> impl IntoView {
    let FileVersion { path, version, bytes, .. } = open.file;
    let is_page = matches!(path.extension().as_deref(), Some("html" | "htm"));
    let views: Vec<_> =
        [is_page.then_some(View::Preview), Some(View::Text), open.changes.is_some().then_some(View::Changes)]
            .into_iter()
            .flatten()
            .collect();
    let first = views[0];
    let query = use_query_map();
    let asked = views.clone();
    let view = Memo::new(move |_| {
        let wanted = query.read().get("view");
        asked.iter().copied().find(|view| wanted.as_deref() == Some(view.as_str())).unwrap_or(first)
    });
    let raw = format!("/api/v1/projects/{project}/runs/{run}/files/{}?version={version}", escaped(&path));
    let here = file_href("", &path, Some(version));
    let views = views.into_iter().map(|one| {
        view! {
            <a
                class="run-chip"
                href=format!("{here}&view={}", one.as_str())
                data-noscroll="true"
                aria-current=move || (view.get() == one).then_some("true")
            >
                {one.label()}
            </a>
        }
    });
    let views = views.collect_view();
    let versions = (1..=newest).rev().take(VERSIONS as usize).map(|one| {
        let href = file_href("", &path, Some(one));
        view! {
            <a
                class="run-chip"
                href=move || format!("{href}&view={}", view.get().as_str())
                data-noscroll="true"
                aria-current=(one == version).then_some("true")
            >
                "v" {one}
            </a>
        }
    });
    let versions = versions.collect_view();
    let name = path.to_string();
    let (heading, label) = (name.clone(), name.clone());
    let title = format!("Preview of {name}");
    let (text, changes) = (open.text, open.changes.unwrap_or_default());
    let cut = open.cut;
    view! {
        <section class="file" aria-label=label>
            <header class="file-head">
                <h2>{heading}</h2>
                <span class="file-fact">{format_bytes(bytes)}</span>
                <ButtonLink
                    href=format!("{raw}&download=true")
                    external=true
                    size=ButtonSize::Small
                    glyph=Glyph::Download
                >
                    "Download"
                </ButtonLink>
            </header>
            <div class="file-chips">
                <div class="file-chips" role="group" aria-label="Views">{views}</div>
                <div class="file-chips" role="group" aria-label="Versions">{versions}</div>
            </div>
            {move || match view.get() {
                View::Preview => view! {
                    <iframe class="file-preview" sandbox="allow-scripts" src=raw.clone() title=title.clone()></iframe>
                }
                .into_any(),
                View::Text => view! {
                    <pre class="run-text file-text" tabindex="0" role="region" aria-label=name.clone()>{text.clone()}</pre>
                    {cut.then(|| view! { <p class="muted">"Its beginning is shown here; download it for the rest."</p> })}
                }
                .into_any(),
                View::Changes => view! {
                    <pre class="run-text file-text file-changes" tabindex="0" role="region" aria-label="Changes">
                        {changes.lines().map(changed_line).collect_view()}
                    </pre>
                }
                .into_any(),
            }}
        </section>
    }
    .into_any()
}

/// A line of a diff; its first character says what became of it.
fn changed_line(line: &str) -> impl IntoView + use<> {
    let class = match line.as_bytes().first() {
        Some(b'+') => "change change-added",
        Some(b'-') => "change change-gone",
        Some(b'@') => "change change-place",
        _ => "change",
    };
    view! { <span class=class>{line.to_owned()}</span> }
}

/// The files of a run in its message: each leads to its tab.
#[component]
pub fn FileLine(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let any = Memo::new(move |_| run.state.with(|state| !state.files.is_empty() || writing(state).is_some()));
    let project = StoredValue::new(project);
    view! {
        <Show when=move || any.get()>
            <FileLinks project=project.get_value() run/>
        </Show>
    }
}

#[component]
fn FileLinks(project: ProjectKey, run: LiveRun) -> impl IntoView {
    let written = Memo::new(move |_| {
        run.state
            .with(|state| state.files.iter().map(|file| (file.path.clone(), file.writes)).collect::<Vec<_>>())
    });
    let base = StoredValue::new(format!("/p/{project}/runs/{}", run.number));
    // Versions count in the conversation, of which a run alone knows nothing.
    let versions = ask_in_browser(move || {
        written.track();
        list_files(project.clone(), run.number)
    });
    let version_of = move |path: &FilePath| {
        let versions = versions.read();
        let known = versions.as_ref()?.as_ref().ok()?.iter().find(|file| file.path == *path)?;
        Some(format!(" v{}", known.version))
    };
    let more = move || written.read().len().saturating_sub(FILES);
    view! {
        <p class="run-file-line">
            <span class="muted">"files"</span>
            <For each=move || written.get().into_iter().take(FILES) key=|(path, _)| path.clone() let:file>
                <span>
                    <a class="link" href=base.with_value(|base| file_href(base, &file.0, None))>{file.0.to_string()}</a>
                    {move || version_of(&file.0)}
                </span>
            </For>
            <Show when=move || { more() > 0 }>
                <a class="link" href=base.with_value(|base| format!("{base}?tab=files"))>{more} " more"</a>
            </Show>
            <span class="muted">{move || writing(&run.state.read())}</span>
        </p>
    }
    .into_any()
}

/// How many files a message names.
const FILES: usize = 20;

/// The place of a file in the tab of its run.
fn file_href(run: &str, path: &FilePath, version: Option<u32>) -> String {
    let version = version.map(|version| format!("&version={version}")).unwrap_or_default();
    format!("{run}?tab=files&file={}{version}", escaped(path))
}

/// The path for an address, the same on server and browser.
fn escaped(path: &FilePath) -> String {
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
