//! "3 live": how many runs of the project are under way, from any page, and the way to them.

use super::server::count_live;
use crate::{
    live::{Refresh, use_live},
    load::load,
    project::use_project_here,
    ui::{Glyph, Icon},
};
use domain::{key::ProjectKey, view::Subject};
use leptos::{prelude::*, task::spawn_local};

#[component]
pub fn LiveRuns() -> impl IntoView {
    let project = use_project_here();
    let counted = load(
        move || project.get(),
        |project| async move {
            let project = project?;
            let (live, changes) = count_live(project.clone()).await.ok()?;
            Some((project, live, changes))
        },
    );
    view! {
        <Transition>
            {move || Suspend::new(async move {
                counted.await.map(|(project, live, changes)| view! { <LiveCount project live changes/> })
            })}
        </Transition>
    }
}

#[component]
fn LiveCount(project: ProjectKey, live: u32, changes: u64) -> impl IntoView {
    let count = RwSignal::new(live);
    let href = format!("/p/{project}/runs?status=running");
    let key = StoredValue::new(project.clone());
    let refresh = Refresh::new(move || {
        spawn_local(async move {
            if let Ok((live, _)) = count_live(key.get_value()).await {
                _ = count.try_set(live);
            }
        });
    });
    use_live().watch(&project, changes, move |change| {
        if matches!(change.subject, Subject::Run { .. }) {
            refresh.soon();
        }
    });
    move || {
        let href = href.clone();
        (count.get() > 0).then(|| {
            view! {
                <a class="live-count" href=href>
                    <Icon glyph=Glyph::Running/>
                    {count.get()}
                    " live"
                </a>
            }
        })
    }
}
