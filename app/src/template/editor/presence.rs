//! The other people who have this template open for editing, as initials in the toolbar, so that they can avoid
//! conflicts.

use super::preview::Origin;
use crate::{
    kept::Kept,
    live::{Live, use_live},
    template::server::{attend_template, leave_template},
    ui::{role_hue, role_initials},
};
use domain::{
    key::{ProjectKey, TemplateKey},
    view::Present,
};
use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*, task::spawn_local};
use std::time::Duration;

/// Interval at which this tab reports its presence.
const BEAT: Duration = Duration::from_secs(10);
/// Maximum number of people shown; the rest are counted.
const SHOWN: usize = 5;

/// The presence data of this tab.
#[derive(Clone, Copy)]
struct Room {
    origin: Origin,
    live: Live,
    /// The component's owner: subscriptions end with it.
    owner: StoredValue<Option<Owner>>,
    /// The tab's id.
    tab: StoredValue<String>,
    /// Start time of this visit, which distinguishes it from the tab's other visits.
    visit: StoredValue<u64>,
    followed: StoredValue<bool>,
    people: RwSignal<Vec<Present>>,
    newest: RwSignal<Option<u32>>,
}

impl Room {
    /// Reports this tab and receives the others. From the first response on, the change feed reports further changes.
    fn say(self) {
        let Some(Some(key)) = self.origin.key.try_get_value() else { return };
        let (Some(project), Some(tab)) = (self.origin.project.try_get_untracked(), self.tab.try_get_value())
        else {
            return;
        };
        let Some(visit) = self.visit.try_get_value() else { return };
        spawn_local(async move {
            // A user without the permission, or without a session, is informed elsewhere.
            let Ok(there) = attend_template(project.clone(), key.clone(), tab, visit).await else { return };
            if self.people.try_set(there.people).is_some() {
                return;
            }
            _ = self.newest.try_set(Some(there.newest));
            if let (Some(Some(owner)), Some(false)) =
                (self.owner.try_get_value(), self.followed.try_get_value())
            {
                self.followed.set_value(true);
                owner.with(|| self.follow(&project, key, there.changes));
            }
        });
    }

    fn follow(self, project: &ProjectKey, key: TemplateKey, changes: u64) {
        let own = key.clone();
        self.live.watch_presence(
            project,
            changes,
            move |change| {
                if change.subject.is_template(&own) {
                    self.say();
                }
            },
            move |template, now| {
                if *template == key {
                    self.people.set(now.to_vec());
                }
            },
        );
    }
}

/// The tab's id survives a reload: otherwise the tab would see itself as another one.
fn name_of_tab() -> String {
    const PLACE: &str = "troupe:tab";
    Kept::InTab.text(PLACE).unwrap_or_else(|| {
        let name = format!("{:x}", (js_sys::Math::random() * 9e15) as u64);
        // Without storage, a reloaded tab counts as another one for half a minute.
        Kept::InTab.put(PLACE, &name);
        name
    })
}

#[component]
pub fn Presence(
    origin: Origin,
    /// The version being edited.
    based_on: RwSignal<Option<u32>>,
) -> impl IntoView {
    let people = RwSignal::new(Vec::<Present>::new());
    let newest = RwSignal::new(None::<u32>);
    let tab = StoredValue::new(String::new());
    let owner = StoredValue::new(Owner::current());
    let visit = StoredValue::new(0);
    let followed = StoredValue::new(false);
    let room = Room { origin, live: use_live(), owner, tab, visit, followed, people, newest };
    let beat = StoredValue::new(None::<IntervalHandle>);
    Effect::new(move |_| {
        tab.set_value(name_of_tab());
        visit.set_value(js_sys::Date::now() as u64);
        room.say();
        beat.set_value(set_interval_with_handle(move || room.say(), BEAT).ok());
    });
    on_cleanup(move || {
        if let Some(beat) = beat.try_get_value().flatten() {
            beat.clear();
        }
        let (Some(Some(key)), Some(tab)) = (origin.key.try_get_value(), tab.try_get_value()) else { return };
        let visit = visit.try_get_value().unwrap_or_default();
        if let (false, Some(project)) = (tab.is_empty(), origin.project.try_get_untracked()) {
            spawn_local(async move { _ = leave_template(project, key, tab, visit).await });
        }
    });
    let others = Memo::new(move |_| {
        let own = tab.get_value();
        let mut others: Vec<(String, bool)> = Vec::new();
        for one in people.read().iter().filter(|one| one.tab != own) {
            let other = (one.name.clone(), one.mine);
            if !others.contains(&other) {
                others.push(other);
            }
        }
        others
    });
    let chip = |(name, mine): &(String, bool)| {
        let title = match mine {
            true => "You have this open in another tab, too".to_owned(),
            false => format!("{name} has this open, too"),
        };
        let said = title.clone();
        view! {
            <li class=format!("present-one {}", role_hue(name)) title=title>
                <span aria-hidden="true">{role_initials(name)}</span>
                <span class="visually-hidden">{said}</span>
            </li>
        }
    };
    let row = move || {
        let others = others.get();
        let more = others.len().saturating_sub(SHOWN);
        let chips = others.iter().take(SHOWN).map(chip).collect_view();
        let names: Vec<_> = others.iter().skip(SHOWN).map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        view! {
            {chips}
            {(more > 0)
                .then(|| view! { <li class="present-one" title=names>{format!("+{more}")}</li> })}
        }
    };
    let behind =
        Memo::new(move |_| newest.get().filter(|newest| based_on.get().is_some_and(|own| own < *newest)));
    view! {
        <ul class="present" role="list" aria-label="Also editing" aria-live="polite">
            {row}
        </ul>
        <p class="present-behind" role="status">
            {move || behind.get().map(|version| format!("Version {version} was saved meanwhile"))}
        </p>
    }
}
