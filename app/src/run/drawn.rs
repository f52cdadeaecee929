//! The HTML of a run's files tab: the list of files, and one of them as a preview, as text, or as the changes from its
//! previous version. Content that a model wrote is never part of this page: a preview is a separate document in a
//! sandbox.

use super::{
    files::{escaped, file_href},
    server::TEXT_LIMIT,
};
use crate::{
    changes::{between, coloured},
    ui::{ButtonLink, ButtonSize, EmptyState, Glyph, Icon, format_bytes},
};
use domain::{
    event::head,
    file::FilePath,
    key::ProjectKey,
    run::RunState,
    view::{FileText, FileVersion, RunDetail},
};
use leptos::{prelude::*, tachys::view::RenderHtml};

/// Maximum number of a file's versions with a link; the newest ones.
const VERSIONS: usize = 20;

/// The views of a file.
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

    /// The views that the file has, the default one first.
    fn of(open: &FileText) -> Vec<Self> {
        let page = matches!(open.file.path.extension().as_deref(), Some("html" | "htm"));
        let views =
            [(Self::Preview, page), (Self::Text, true), (Self::Changes, open.before.is_some())].into_iter();
        views.filter(|(_, has)| *has).map(|(view, _)| view).collect()
    }
}

/// `open` is the shown file, `view` the requested view.
pub fn files_html(
    project: &ProjectKey,
    run: &RunDetail,
    files: &[FileVersion],
    open: Option<FileText>,
    view: Option<&str>,
) -> String {
    let Some(open) = open else { return no_files(&run.state).to_html() };
    let number = run.summary.number;
    let api = format!("/api/v1/projects/{project}/runs/{number}");
    let rows = files.iter().map(|file| row(&run.state, file, file.path == open.file.path)).collect_view();
    // The newest version at the shown event: later versions are not listed.
    let newest = files.iter().find(|file| file.path == open.file.path).map_or(0, |file| file.version);
    view! {
        <div class="file-list">
            <ul aria-label="Files">{rows}</ul>
            <ButtonLink href=format!("{api}/files.zip") external=true size=ButtonSize::Small glyph=Glyph::Download>
                "Download all (zip)"
            </ButtonLink>
        </div>
        {opened(&api, open, newest, view)}
    }
    .to_html()
}

fn no_files(state: &RunState) -> AnyView {
    let text = if state.phase.is_end() {
        "A step writes files when its template says so: with: {files: true}."
    } else {
        "They appear here as steps write them."
    };
    view! { <EmptyState title="No files" glyph=Glyph::File>{text}</EmptyState> }.into_any()
}

fn row(state: &RunState, file: &FileVersion, current: bool) -> AnyView {
    let written = state.files.iter().find(|written| written.path == file.path);
    let step = written.map(|written| state.label(written.step));
    let name = file.path.to_string();
    view! {
        <li>
            <a
                class="file-link"
                href=file_href("", &file.path, None)
                data-noscroll="true"
                aria-current=current.then_some("true")
            >
                <Icon glyph=Glyph::File/>
                <span class="file-name" title=name.clone()>{name.clone()}</span>
                <span class="file-fact">{format!("v{}", file.version)}</span>
                <span class="file-fact">{format_bytes(file.bytes)}</span>
                <span class="file-step">{step}</span>
            </a>
        </li>
    }
    .into_any()
}

fn opened(api: &str, open: FileText, newest: u32, view: Option<&str>) -> AnyView {
    let views = View::of(&open);
    let asked = views.iter().copied().find(|one| view == Some(one.as_str()));
    let shown = asked.unwrap_or(views[0]);
    let FileVersion { path, version, bytes, .. } = &open.file;
    let (path, version) = (path.clone(), *version);
    let raw = format!("{api}/files/{}?version={version}", escaped(&path));
    let chip = |version: u32, view: View, label: String, current: bool| {
        let href = format!("{}&view={}", file_href("", &path, Some(version)), view.as_str());
        view! {
            <a class="run-chip" href=href data-noscroll="true" aria-current=current.then_some("true")>{label}</a>
        }
    };
    let views =
        views.iter().map(|&one| chip(version, one, one.label().to_owned(), one == shown)).collect_view();
    let known = open.versions.iter().copied().filter(|one| *one <= newest.max(version));
    let versions = known
        .rev()
        .take(VERSIONS)
        .map(|one| chip(one, shown, format!("v{one}"), one == version))
        .collect_view();
    view! {
        <section class="file" aria-label=path.to_string()>
            <header class="file-head">
                <h2>{path.to_string()}</h2>
                <span class="file-fact">{format_bytes(*bytes)}</span>
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
            {match shown {
                View::Preview => preview(&path, raw),
                View::Text => text(&path, &open.text),
                View::Changes => changes(open.before.as_deref().unwrap_or_default(), &open.text),
            }}
        </section>
    }
    .into_any()
}

fn preview(path: &FilePath, raw: String) -> AnyView {
    let title = format!("Preview of {path}");
    view! { <iframe class="file-preview" sandbox="allow-scripts" src=raw title=title></iframe> }.into_any()
}

fn text(path: &FilePath, text: &str) -> AnyView {
    let shown = head(text, TEXT_LIMIT as usize).to_owned();
    let cut = shown.len() < text.len();
    view! {
        // The HTML parser drops a line break right after the tag.
        <pre class="run-text file-text" tabindex="0" role="region" aria-label=format!("Text of {path}")>"\n" {shown}</pre>
        {cut.then(|| view! { <p class="muted">"Its beginning is shown here; download it for the rest."</p> })}
    }
    .into_any()
}

fn changes(before: &str, after: &str) -> AnyView {
    let lines = coloured(&between(before, after));
    view! {
        <pre class="run-text file-text file-changes" tabindex="0" role="region" aria-label="Changes">{lines}</pre>
    }
    .into_any()
}
