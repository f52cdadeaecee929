//! Launching what the rerun dialog shows. A launch follows the preview of what is chosen: a click on Rerun while that
//! preview is pending waits for it.

use super::{
    super::server::{RerunForm, RerunFrom},
    choice::Choice,
    preview::{Preview, Standing},
    roles::NewRoles,
};
use crate::{fault::Fault, form::fault_of, live::use_live};
use domain::{id::RunNumber, key::ProjectKey};
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

#[derive(Clone, Copy)]
pub(super) struct Launch {
    project: StoredValue<ProjectKey>,
    run: RunNumber,
    choice: Memo<Choice>,
    preview: Preview,
    roles: NewRoles,
    action: ServerAction<RerunFrom>,
    /// What was sent last.
    sent: RwSignal<Option<Choice>>,
    /// What is to be sent when its preview is here.
    waiting: RwSignal<Option<Choice>>,
    /// The idempotency key: the same until a launch succeeded or was rejected, however often it is sent.
    key: StoredValue<String>,
}

impl Launch {
    pub fn of(
        project: StoredValue<ProjectKey>,
        run: RunNumber,
        choice: Memo<Choice>,
        preview: Preview,
        roles: NewRoles,
    ) -> Self {
        Self {
            project,
            run,
            choice,
            preview,
            roles,
            action: ServerAction::new(),
            sent: RwSignal::new(None),
            waiting: RwSignal::new(None),
            key: StoredValue::new(new_key()),
        }
    }

    /// A click on Rerun. A preview that failed does not prevent the launch: the server checks the same, and the person has
    /// seen the failure.
    pub fn click(self) {
        let choice = self.choice.get_untracked();
        if untrack(move || self.preview.standing()) == Standing::Pending {
            self.waiting.set(Some(choice));
        } else {
            self.send(choice);
        }
    }

    fn send(self, choice: Choice) {
        // The field of a choice that cannot be read shows the error already.
        let Ok(form) = choice.form() else { return };
        let (role_assignments, idempotency_key) = (self.roles.chosen(), self.key.get_value());
        let form = RerunForm { role_assignments, idempotency_key, ..form };
        self.sent.set(Some(choice));
        self.action.dispatch(RerunFrom { project: self.project.get_value(), run: self.run, form });
    }

    /// Sends the waiting choice when its preview is here, closes the dialog after a launch, and with `leave` goes to the
    /// page of the new run.
    pub fn follow(self, open: RwSignal<bool>, leave: bool) {
        Effect::new(move |_| {
            let Some(waiting) = self.waiting.get() else { return };
            if !open.get() || waiting != *self.choice.read() {
                self.waiting.set(None);
                return;
            }
            match self.preview.standing() {
                Standing::Pending => return,
                Standing::Good => self.send(waiting),
                Standing::Failed => {}
            }
            self.waiting.set(None);
        });
        let (live, navigate) = (use_live(), use_navigate());
        Effect::new(move |_| match self.action.value().get() {
            Some(Ok(launched)) => {
                let project = self.project.get_value();
                live.expect(&project, launched.run);
                open.set(false);
                self.key.set_value(new_key());
                if leave {
                    navigate(&format!("/p/{project}/runs/{}", launched.run), Default::default());
                }
            }
            // Rejected with this content; other content is another launch.
            Some(Err(Fault::Invalid { .. } | Fault::Conflict { .. })) => self.key.set_value(new_key()),
            _ => {}
        });
    }

    pub fn is_busy(self) -> Signal<bool> {
        Signal::derive(move || self.action.pending().get() || self.waiting.read().is_some())
    }

    /// What is wrong with the choice: a field that cannot be read, else why its launch was rejected, else the problems that
    /// the preview found.
    pub fn fault(self) -> Signal<Option<Fault>> {
        let rejected = fault_of(self.action);
        Signal::derive(move || {
            let choice = self.choice.read();
            if let Err(fault) = choice.template_version() {
                return Some(fault);
            }
            let rejected = rejected.get().filter(|_| self.sent.read().as_ref() == Some(&*choice));
            rejected.or_else(|| self.preview.fault().filter(|fault| matches!(fault, Fault::Invalid { .. })))
        })
    }
}

fn new_key() -> String {
    format!("rerun-{}-{}", js_sys::Date::now(), js_sys::Math::random())
}
