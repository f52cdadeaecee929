//! How the project stands for the one who looks: how many of its runs are live, how much waits in the inbox. Read once
//! per page, kept current by the project's changes, and shown wherever a page has a count: the sidebar, the top bar, the
//! browser's tab.

use crate::{
    fault::Fault,
    layout::Preferences,
    live::{Refresh, use_live},
    load::{Loaded, load},
    project::use_project_here,
};
use domain::{key::ProjectKey, view::ProjectCounts};
use leptos::{prelude::*, task::spawn_local};

/// The counts, and the change at which they were made; none for a project that the caller does not see, which is no
/// reason to refuse the page around it.
#[server]
pub async fn count_standing(project: ProjectKey) -> Result<Option<(ProjectCounts, u64)>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    // Before the counts: a change in between is heard again rather than missed.
    let Ok(changes) = engine.project_cursor(&user, &project).await else { return Ok(None) };
    Ok(Some((engine.counts(&user, &project).await?, changes)))
}

/// What the server counted for this project.
type Counted = Option<(ProjectKey, ProjectCounts, u64)>;

#[derive(Clone, Copy)]
pub struct StandingHere {
    drawn: Loaded<Counted>,
    newer: RwSignal<Option<(ProjectKey, ProjectCounts)>>,
    /// How often it was counted again: answers may overtake each other, and only the newest one's counts.
    counted: StoredValue<u32>,
}

impl StandingHere {
    /// Once per page, inside the router.
    pub fn provide() {
        let here = use_project_here();
        let preferences = expect_context::<Preferences>();
        let project = Memo::new(move |_| here.get().or_else(|| preferences.last_project()));
        let drawn = load(
            move || project.get(),
            |project| async move {
                let project = project?;
                let (standing, changes) = count_standing(project.clone()).await.ok()??;
                Some((project, standing, changes))
            },
        );
        let here = Self { drawn, newer: RwSignal::new(None), counted: StoredValue::new(0) };
        provide_context(here);
        here.keep_current();
        if let Some(TitleBadge(badge)) = use_context() {
            Effect::new(move |_| badge.set(here.get().map_or(0, |(_, standing)| standing.inbox)));
        }
    }

    /// Where it is read, a `Transition` must stand around it: the server waits for the counts. On a page of no project, those of the last one.
    pub fn get(self) -> Option<(ProjectKey, ProjectCounts)> {
        let (project, drawn, _) = self.drawn.get().flatten()?;
        let newer = self.newer.get().filter(|(newer, _)| *newer == project);
        Some(newer.unwrap_or((project, drawn)))
    }

    /// What somebody's own deed changed.
    pub fn know(self, project: ProjectKey, standing: ProjectCounts) {
        self.count();
        _ = self.newer.try_set(Some((project, standing)));
    }

    /// Whatever is being counted just now is out of date.
    fn count(self) -> Option<u32> {
        self.counted.try_update_value(|counted| {
            *counted += 1;
            *counted
        })
    }

    fn keep_current(self) {
        let (live, newer) = (use_live(), self.newer);
        Effect::new(move |_| {
            let Some((project, _, changes)) = self.drawn.get().flatten() else { return };
            let key = project.clone();
            let refresh = Refresh::new(move || {
                let (key, mine) = (key.clone(), self.count());
                spawn_local(async move {
                    if let Ok(Some((standing, _))) = count_standing(key.clone()).await
                        && self.counted.try_get_value() == mine
                    {
                        _ = newer.try_set(Some((key, standing)));
                    }
                });
            });
            live.watch(&project, changes, move |change| {
                if change.subject.is_run() {
                    refresh.soon();
                }
            });
        });
    }
}

pub fn use_standing() -> StandingHere {
    expect_context()
}

/// What stands before the title of every page: "(2) Runs". The server writes titles when nothing of the page's own may be
/// read any more: this outlives it.
#[derive(Clone)]
pub struct TitleBadge(ArcRwSignal<u32>);

impl TitleBadge {
    /// Once, in `App`.
    pub fn provide() -> Self {
        let badge = Self(ArcRwSignal::new(0));
        provide_context(badge.clone());
        badge
    }

    /// The title of the browser's tab.
    pub fn around(&self, title: &str) -> String {
        match self.0.get() {
            0 => format!("{title} · Troupe"),
            waiting => format!("({}) {title} · Troupe", count_words(waiting)),
        }
    }
}

/// Counting ends somewhere.
pub fn count_words(count: u32) -> String {
    if count < ProjectCounts::MOST { count.to_string() } else { format!("{}+", ProjectCounts::MOST - 1) }
}

/// A count beside a section's name in the sidebar, where there is something to count. `words` say what, to those who
/// hear it.
#[component]
pub fn SectionCount(
    of: fn(&ProjectCounts) -> u32,
    words: &'static str,
    class: &'static str,
) -> impl IntoView {
    let standing = use_standing();
    let count = move || standing.get().map(|(_, standing)| of(&standing)).filter(|count| *count > 0);
    view! {
        <Transition>
            {move || {
                count()
                    .map(|count| {
                        view! {
                            <span class=class>{count_words(count)}<span class="visually-hidden">" " {words}</span></span>
                        }
                    })
            }}
        </Transition>
    }
    .into_any()
}
