//! "3 live": the number of the project's live runs, on every page, as a link to the dashboard.

use crate::{
    standing::use_standing,
    ui::{Glyph, Icon},
};
use leptos::prelude::*;

#[component]
pub fn LiveRuns() -> impl IntoView {
    let standing = use_standing();
    view! {
        <Transition>
            {move || {
                standing
                    .get()
                    .filter(|(_, standing)| standing.live_runs > 0)
                    .map(|(project, standing)| {
                        view! {
                            <a class="live-count" href=format!("/p/{project}/dashboard")>
                                <Icon glyph=Glyph::Running/>
                                {standing.live_runs}
                                " live"
                            </a>
                        }
                    })
            }}
        </Transition>
    }
    .into_any()
}
