//! The menu on the left of a phone's top bar: the projects, and the sections that do not fit in the bottom bar.

use leptos::prelude::*;

use super::{Section, section::use_section_project};
use crate::{
    project::ProjectItems,
    ui::{Glyph, Menu, MenuItem, MenuSeparator},
};

#[component]
pub(super) fn PhoneMenu() -> impl IntoView {
    let project = use_section_project();
    let places = move || {
        project.get().map(|project| {
            Section::IN_PHONE_MENU
                .into_iter()
                .map(|section| {
                    view! {
                        <MenuItem href=section.href(&project) glyph=section.glyph()>
                            {section.label()}
                        </MenuItem>
                    }
                    .into_any()
                })
                .collect_view()
        })
    };
    view! {
        <div class="narrow-only">
            <Menu id="phone-menu" label="Menu" glyph=Glyph::Menu>
                {places}
                <MenuSeparator/>
                <ProjectItems/>
            </Menu>
        </div>
    }
}
