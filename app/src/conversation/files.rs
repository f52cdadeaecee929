//! The side panel with the files of a conversation, in their versions at the end of the current branch. The URL
//! determines whether it is open.

use super::{server::FileHere, thread::Thread};
use crate::{
    run::file_href,
    ui::{ButtonLink, ButtonSize, ButtonVariant, Glyph, Icon, SidePanel, format_bytes},
};
use domain::key::ProjectKey;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Whether the URL opens the panel, and the links that open and close it.
#[derive(Clone, Copy)]
struct Panel {
    open: Memo<bool>,
    opened: Memo<String>,
    closed: Memo<String>,
}

fn panel() -> Panel {
    let query = use_query_map();
    let to = move |open: bool| {
        let mut query = query.get();
        query.remove("panel");
        if open {
            query.insert("panel", "files".to_owned());
        }
        let query = query.to_query_string();
        if query.is_empty() { "?".to_owned() } else { query }
    };
    Panel {
        open: Memo::new(move |_| query.read().get_str("panel") == Some("files")),
        opened: Memo::new(move |_| to(true)),
        closed: Memo::new(move |_| to(false)),
    }
}

/// The link to the panel, if there are files.
#[component]
pub fn FilesLink(thread: Thread) -> impl IntoView {
    let Panel { open, opened, closed } = panel();
    let count = Memo::new(move |_| thread.files.read().len());
    let href = Signal::derive(move || if open.get() { closed.get() } else { opened.get() });
    move || {
        (count.get() > 0).then(|| {
            view! {
                <ButtonLink href variant=ButtonVariant::Ghost size=ButtonSize::Small glyph=Glyph::File>
                    {move || match count.get() {
                        1 => "1 file".to_owned(),
                        many => format!("{many} files"),
                    }}
                </ButtonLink>
            }
        })
    }
}

#[component]
pub fn FilesPanel(project: ProjectKey, thread: Thread) -> impl IntoView {
    let Panel { open, closed, .. } = panel();
    let row = move |file: &FileHere| {
        let name = file.path.to_string();
        let run = format!("/p/{project}/runs/{}", file.run);
        view! {
            <li>
                <a class="file-link" href=file_href(&run, &file.path, Some(file.version))>
                    <Icon glyph=Glyph::File/>
                    <span class="file-name" title=name.clone()>{name.clone()}</span>
                    <span class="file-fact">"v" {file.version}</span>
                    <span class="file-fact">{format_bytes(file.bytes)}</span>
                    <span class="file-step">"run " {file.run.0}</span>
                </a>
            </li>
        }
    };
    move || {
        let row = row.clone();
        open.get().then(|| {
            view! {
                <SidePanel title="Files" close_href=closed>
                    <p class="muted">"As they stand at the end of what you read."</p>
                    <div class="file-list">
                        <ul aria-label="Files">
                            {move || thread.files.with(|files| files.iter().map(&row).collect_view())}
                        </ul>
                    </div>
                    <p class="muted" hidden=move || !thread.files.read().is_empty()>
                        "None yet. A step writes files when its template says so: with: {files: true}."
                    </p>
                </SidePanel>
            }
        })
    }
}
