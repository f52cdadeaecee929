//! The counts of a project for the signed-in user: live runs and inbox items. Read once per page, updated by the
//! project's changes, and shown wherever a page has a count: the sidebar, the top bar, the browser's tab.

use crate::{
    fault::Fault,
    layout::Preferences,
    live::{Refresh, use_live},
    load::{Loaded, load},
    project::use_project_here,
};
use domain::{key::ProjectKey, view::ProjectCounts};
use leptos::{prelude::*, task::spawn_local};

/// The counts, and the change number at which they were read. `None` for a project that the user cannot access, so
/// that the page around it is still shown.
#[server]
pub async fn count_standing(project: ProjectKey) -> Result<Option<(ProjectCounts, u64)>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    // Read before the counts: a change in between is then received twice rather than missed.
    let changes = match engine.project_cursor(&user, &project).await {
        Ok(changes) => changes,
        Err(engine::Error::NotFound { .. } | engine::Error::Forbidden(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some((engine.counts(&user, &project).await?, changes)))
}

/// The server's counts of this project.
type Counted = Option<(ProjectKey, ProjectCounts, u64)>;

#[derive(Clone, Copy)]
pub struct StandingHere {
    drawn: Loaded<Counted>,
    newer: RwSignal<Option<(ProjectKey, ProjectCounts)>>,
    /// Number of recounts started. Responses may arrive out of order; only the newest one's counts.
    counted: StoredValue<u32>,
}

impl StandingHere {
    /// Call once per page, inside the router.
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

    /// Must be read inside a `Transition`: the server waits for the counts. Outside any project, the counts of the
    /// last visited one.
    pub fn get(self) -> Option<(ProjectKey, ProjectCounts)> {
        let (project, drawn, _) = self.drawn.get().flatten()?;
        let newer = self.newer.get().filter(|(newer, _)| *newer == project);
        Some(newer.unwrap_or((project, drawn)))
    }

    /// Sets counts that the user's own action changed.
    pub fn know(self, project: ProjectKey, standing: ProjectCounts) {
        self.count();
        _ = self.newer.try_set(Some((project, standing)));
    }

    /// Invalidates the recount under way.
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

/// The count before the title of every page: "(2) Runs". It outlives the page, because the server renders titles after
/// the page's own signals have been disposed of.
#[derive(Clone)]
pub struct TitleBadge(ArcRwSignal<u32>);

impl TitleBadge {
    /// Call once, in `App`.
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

/// Counts from [`ProjectCounts::MOST`] on are not exact.
pub fn count_words(count: u32) -> String {
    if count < ProjectCounts::MOST { count.to_string() } else { format!("{}+", ProjectCounts::MOST - 1) }
}

/// A count next to a section's name in the sidebar, if it is not zero. `words` describe it for screen readers.
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
