//! The last lines of a run's log. Times are relative to its acknowledgement, so they do not depend on clocks.

use crate::{live::LiveRun, ui::format_duration};
use domain::run::Level;
use leptos::prelude::*;

#[component]
pub fn Log(run: LiveRun) -> impl IntoView {
    let lines = Memo::new(move |_| {
        run.state.with(|state| {
            let from = state.acknowledged_at;
            let lines =
                state.log.iter().map(|line| (line.at.since(from), line.kind.level(), line.text(state)));
            lines.collect::<Vec<_>>()
        })
    });
    view! {
        <details class="run-log">
            <summary>"Log " <span class="stored-text-size">{move || lines.read().len()} " lines"</span></summary>
            <ol class="run-log-lines">
                {move || {
                    lines
                        .get()
                        .into_iter()
                        .map(|(at, level, text)| {
                            let class = match level {
                                Level::Info => "run-log-line",
                                Level::Warning => "run-log-line run-log-warning",
                                Level::Error => "run-log-line run-log-error",
                            };
                            view! {
                                <li class=class>
                                    <span class="run-log-time">"+" {format_duration(at)}</span>
                                    <span>{text}</span>
                                </li>
                            }
                        })
                        .collect_view()
                }}
            </ol>
        </details>
    }
    .into_any()
}
