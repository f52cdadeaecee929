//! The page.

use super::{
    parts::{Buttons, Fields, Floating, Glyphs, Places, Rows, Statuses, TabsInTheUrl, Words},
    server::gallery_is_shown,
    stories::{Story, stories},
};
use crate::{
    layout::{PageHeader, ThemeToggle},
    live::LiveRun,
    load::{draw, load},
    router::NothingHere,
    run::Status,
    ui::{Button, ButtonVariant, Card, Glyph},
};
use domain::{id::RunNumber, key::ProjectKey};
use leptos::prelude::*;

#[component]
pub fn GalleryPage() -> impl IntoView {
    let shown = load(|| (), |()| gallery_is_shown());
    draw(shown, |shown| match shown {
        Ok(true) => view! { <Gallery/> }.into_any(),
        _ => view! { <NothingHere/> }.into_any(),
    })
}

#[component]
fn Gallery() -> impl IntoView {
    let actions = || {
        view! {
            <ThemeToggle/>
            <Button glyph=Glyph::Fork>"Fork"</Button>
            <Button variant=ButtonVariant::Primary glyph=Glyph::Play>"Run"</Button>
        }
    };
    view! {
        <PageHeader title="Gallery" subtitle="Every part in every state." actions>
            <TabsInTheUrl/>
        </PageHeader>
        <div class="stack">
            <RunStatuses/>
            <Buttons/>
            <Statuses/>
            <Rows/>
            <Fields/>
            <Floating/>
            <Words/>
            <Places/>
            <Glyphs/>
        </div>
    }
}

/// The status of a run, rendered by the component that messages use, for states folded from logs.
#[component]
fn RunStatuses() -> impl IntoView {
    let Ok(project) = ProjectKey::parse("gallery") else { return ().into_any() };
    let story = |(number, Story { name, state }): (u32, Story)| {
        let run = LiveRun::past(RunNumber(number), state);
        let id = format!("story-{number}");
        let heading = id.clone();
        view! {
            <section class="gallery-story" aria-labelledby=heading>
                <h3 id=id>{name}</h3>
                <Status project=project.clone() run open=true/>
            </section>
        }
    };
    let all = (1..).zip(stories()).map(story).collect_view();
    view! { <Card title="The status of a run"><div class="stack">{all}</div></Card> }.into_any()
}
