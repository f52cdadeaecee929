//! The estimated usage of a launch, based on past runs. Shows nothing if there are none.

use crate::ui::format_count;
use domain::view::LaunchPreview;
use leptos::prelude::*;

#[component]
pub fn Estimated(preview: Signal<LaunchPreview>, variants: RwSignal<usize>) -> impl IntoView {
    let words = Memo::new(move |_| {
        let estimate = preview.read().estimate?;
        let cost = estimate.usage.cost.map(|cost| format!("{}, ", cost.short())).unwrap_or_default();
        let tokens = format_count(estimate.usage.total());
        let past = match estimate.runs {
            1 => "1 past run".to_owned(),
            runs => format!("{runs} past runs"),
        };
        let together = if variants.get() > 0 { " together" } else { "" };
        Some(format!("About {cost}{tokens} tokens{together}, from {past}"))
    });
    view! {
        <p class="execute-estimate" aria-live="polite">
            {move || words.get()}
        </p>
    }
}
