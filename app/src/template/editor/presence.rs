//! Who else has this template open for editing, as initials in the bar. Two people who know of each other need no diff.

use super::preview::Origin;
use crate::{
    live::use_live,
    template::server::{attend_template, leave_template},
    ui::{role_hue, role_initials},
};
use domain::view::{Present, Subject};
use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*, task::spawn_local};
use std::{rc::Rc, time::Duration};

/// How often this tab says that it is still there.
const BEAT: Duration = Duration::from_secs(10);
/// So many are shown; the rest are counted.
const SHOWN: usize = 5;

#[component]
pub fn Presence(
    origin: Origin,
    /// The version that is being changed.
    based_on: RwSignal<Option<u32>>,
) -> impl IntoView {
    let people = RwSignal::new(Vec::<Present>::new());
    let newest = RwSignal::new(None::<u32>);
    let tab = StoredValue::new(String::new());
    let (live, owner) = (use_live(), Owner::current());
    let followed = StoredValue::new(false);
    let say = StoredValue::new_local(None::<Rc<dyn Fn()>>);
    let say_now = move || _ = say.try_with_value(|say| say.as_ref().map(|say| say()));
    let ask = move || {
        let Some(key) = origin.key.get_value() else { return };
        let (project, owner) = (origin.project.get_untracked(), owner.clone());
        spawn_local(async move {
            // Who may not edit, or is not signed in any more, is told so elsewhere.
            let asked = attend_template(project.clone(), key.clone(), tab.get_value()).await;
            let Ok(there) = asked else { return };
            if people.try_set(there.people).is_some() {
                return;
            }
            _ = newest.try_set(Some(there.newest));
            // From the first answer on the change feed tells at once.
            let (Some(owner), Some(false)) = (owner, followed.try_get_value()) else { return };
            followed.set_value(true);
            owner.with(|| {
                let (here, own) = (key.clone(), key);
                live.watch_presence(
                    &project,
                    there.changes,
                    move |change| {
                        if matches!(&change.subject, Subject::Template { key } if *key == here) {
                            say_now();
                        }
                    },
                    move |template, now| {
                        if *template == own {
                            people.set(now.to_vec());
                        }
                    },
                );
            });
        });
    };
    say.set_value(Some(Rc::new(ask)));
    let beat = StoredValue::new(None::<IntervalHandle>);
    Effect::new(move |_| {
        tab.set_value(format!("{:x}", (js_sys::Math::random() * 9e15) as u64));
        say_now();
        beat.set_value(set_interval_with_handle(say_now, BEAT).ok());
    });
    on_cleanup(move || {
        if let Some(beat) = beat.try_get_value().flatten() {
            beat.clear();
        }
        let (Some(Some(key)), Some(tab)) = (origin.key.try_get_value(), tab.try_get_value()) else { return };
        if let (false, Some(project)) = (tab.is_empty(), origin.project.try_get_untracked()) {
            spawn_local(async move { _ = leave_template(project, key, tab).await });
        }
    });
    let others = Memo::new(move |_| {
        let own = tab.get_value();
        let mut names: Vec<String> = Vec::new();
        for one in people.read().iter().filter(|one| one.tab != own) {
            let name = if one.mine { "You, in another tab".to_owned() } else { one.name.clone() };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    });
    let chip = |name: &String| {
        let title = format!("{name} has this open, too");
        let said = title.clone();
        view! {
            <li class=format!("present-one {}", role_hue(name)) title=title>
                <span aria-hidden="true">{role_initials(name)}</span>
                <span class="visually-hidden">{said}</span>
            </li>
        }
    };
    let row = move || {
        let names = others.get();
        let more = names.len().saturating_sub(SHOWN);
        let chips = names.iter().take(SHOWN).map(chip).collect_view();
        view! {
            {chips}
            {(more > 0)
                .then(|| view! { <li class="present-one" title=names[SHOWN..].join(", ")>{format!("+{more}")}</li> })}
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
