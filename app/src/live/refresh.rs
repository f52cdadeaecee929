//! Debounced reloading after changes.

use leptos::prelude::*;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(300);

/// Runs its callback shortly after it is requested, once for any number of requests meanwhile.
#[derive(Clone, Copy)]
pub struct Refresh {
    asked: StoredValue<bool>,
    run: Callback<()>,
}

impl Refresh {
    pub fn new(run: impl Fn() + Send + Sync + 'static) -> Self {
        Self { asked: StoredValue::new(false), run: Callback::new(move |()| run()) }
    }

    pub fn soon(self) {
        if self.asked.try_update_value(|asked| std::mem::replace(asked, true)) == Some(false) {
            set_timeout(
                move || {
                    // `None` if the page was left meanwhile.
                    if self.asked.try_set_value(false).is_none() {
                        self.run.run(());
                    }
                },
                SOON,
            );
        }
    }
}
