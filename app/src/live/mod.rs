//! The tab's one live connection.
//!
//! Pages say what they show: runs ([`Live::follow`]) and lists ([`Live::watch`]). The tab keeps one event stream for all
//! of it, closed while the tab is hidden. The stream's cursor is never stored: it is made of the states at hand whenever
//! a stream is opened, so a lost connection, a gap or a new run have the same cure: open another one from here.
//! On the server nothing is followed; what pages draw there is what they were given.

mod connection;
mod feed;
mod notice;
mod refresh;
mod server;
mod tab;
mod text;

use crate::load::parse;
pub use feed::LiveRun;
pub use notice::LiveNotice;
pub use refresh::Refresh;
#[cfg(feature = "ssr")]
pub use server::server_time;
pub use text::LiveText;

use crate::{fault::Fault, ui::use_clock};
use connection::Heard;
use domain::{
    id::{RunNumber, Timestamp},
    key::{ProjectKey, TemplateKey},
    view::{Change, Present, RunDetail},
};
use feed::Feed;
use leptos::{ev, prelude::*};
use std::{rc::Rc, time::Duration};
use tab::{PresenceWatcher, Tab};

/// How the connection stands, for notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// All is well, or there is nothing to follow.
    Fine,
    /// Nothing has been heard for too long; it tries on.
    Reconnecting,
    /// The browser has no network.
    Offline,
    /// The server refuses: signed out, or no longer a member.
    Gone,
}

/// How long a silence may last; the server says something every ten seconds.
const SILENCE_MS: f64 = 25_000.0;

/// Follows of one page come in one by one; a stream is opened for all of them.
const SETTLE: Duration = Duration::from_millis(30);

#[derive(Clone, Copy)]
pub struct Live {
    link: RwSignal<Link>,
    /// The server's time by this tab's clock; none until the first tick, so that the first drawing equals the server's.
    clock: Signal<Option<Timestamp>>,
    /// None on the server.
    tab: Option<StoredValue<Tab, LocalStorage>>,
}

/// Makes the connection of this tab, for all pages below. The page's clock must be there.
pub fn provide_live() {
    let tab = (!cfg!(feature = "ssr")).then(|| StoredValue::new_local(Tab::default()));
    let clock = use_clock();
    let server_time = move || {
        let here = clock.second()?;
        Some(tab.map_or(here, |tab| tab.with_value(|tab| tab.server_time(here))))
    };
    let live = Live { link: RwSignal::new(Link::Fine), clock: Signal::derive(server_time), tab };
    provide_context(live);
    if cfg!(feature = "ssr") {
        return;
    }
    Effect::new(move |_| {
        let hidden = window_event_listener(ev::visibilitychange, move |_| live.show_or_hide());
        let online = window_event_listener(ev::online, move |_| live.come_back());
        let offline = window_event_listener(ev::offline, move |_| live.lose_network());
        on_cleanup(move || {
            hidden.remove();
            online.remove();
            offline.remove();
        });
    });
    Effect::new(move |_| {
        if clock.second().is_some() {
            live.mind_silence();
        }
    });
}

/// The tab's connection. A page outside of any has one that follows nothing.
pub fn use_live() -> Live {
    use_context().unwrap_or_else(|| Live {
        link: RwSignal::new(Link::Fine),
        clock: Signal::stored(None),
        tab: None,
    })
}

impl Live {
    pub fn link(self) -> Signal<Link> {
        self.link.into()
    }

    /// The server's time, for what counts seconds; none before the first tick and on the server.
    pub fn clock(self) -> Signal<Option<Timestamp>> {
        self.clock
    }

    /// Shows a run, and follows it while it is live and the calling component is there. `drawn_at` is the server's time
    /// at which `detail` was read.
    pub fn follow(self, project: &ProjectKey, detail: RunDetail, drawn_at: Timestamp) -> LiveRun {
        let number = detail.summary.number;
        let feed = match self.tab {
            None => Feed::new(detail.state),
            Some(tab) => {
                tab.update_value(|tab| tab.learn_time(drawn_at));
                on_cleanup(move || {
                    tab.try_update_value(|tab| tab.leave(number));
                    self.settle();
                });
                let feed = tab.try_update_value(|tab| tab.enter(project, number));
                let feed = feed.unwrap_or_else(|| Feed::new(detail.state.clone()));
                feed.meet(detail.state);
                self.settle();
                feed
            }
        };
        LiveRun::new(number, feed, drawn_at, self.clock)
    }

    /// Follows a run that was just launched here, before any page shows it: what comes early is kept.
    pub fn expect(self, project: &ProjectKey, run: RunNumber) {
        if let Some(tab) = self.tab {
            tab.update_value(|tab| tab.expect(project, run));
            self.settle();
        }
    }

    /// Calls `heard` with every change of the project after `drawn_at`, while the calling component is there.
    pub fn watch(self, project: &ProjectKey, drawn_at: u64, heard: impl Fn(&Change) + 'static) {
        self.watch_all(project, drawn_at, Rc::new(heard), None);
    }

    /// As [`Self::watch`], and calls `present` whenever who has a template open for editing changes.
    pub fn watch_presence(
        self,
        project: &ProjectKey,
        drawn_at: u64,
        heard: impl Fn(&Change) + 'static,
        present: impl Fn(&TemplateKey, &[Present]) + 'static,
    ) {
        self.watch_all(project, drawn_at, Rc::new(heard), Some(Rc::new(present)));
    }

    fn watch_all(
        self,
        project: &ProjectKey,
        drawn_at: u64,
        heard: Rc<dyn Fn(&Change)>,
        present: Option<PresenceWatcher>,
    ) {
        let Some(tab) = self.tab else { return };
        let watch = tab.try_update_value(|tab| {
            let watch = tab.watch(project, drawn_at, heard.clone());
            if let Some(present) = present {
                tab.attend(watch.0, present);
            }
            watch
        });
        let Some((watch, missed)) = watch else { return };
        if !missed.is_empty() {
            set_timeout(move || missed.iter().for_each(|change| heard(change)), Duration::ZERO);
        }
        on_cleanup(move || {
            tab.try_update_value(|tab| tab.unwatch(watch));
            self.settle();
        });
        self.settle();
    }

    /// Soon makes the stream fit what is to be followed.
    fn settle(self) {
        let Some(tab) = self.tab else { return };
        if tab.try_update_value(|tab| std::mem::replace(&mut tab.settling, true)) == Some(false) {
            set_timeout(move || self.settle_now(), SETTLE);
        }
    }

    fn settle_now(self) {
        let Some(tab) = self.tab else { return };
        let open = tab.try_update_value(|tab| {
            tab.settling = false;
            let wanted = tab.wanted();
            if wanted.is_nothing() && self.link.get_untracked() == Link::Reconnecting {
                // Nobody will say that all is well again.
                self.link.set(Link::Fine);
            }
            if wanted.is_nothing() || document().hidden() || self.link.get_untracked() == Link::Gone {
                tab.connection = None;
                return false;
            }
            !tab.connection.as_ref().is_some_and(|open| wanted.is_served_by(open))
        });
        if open == Some(true) {
            self.open();
        }
    }

    /// Drops the stream, if there is one, and opens another where the pages stand, after `delay`.
    fn reopen(self, delay: Duration) {
        let Some(tab) = self.tab else { return };
        if tab.try_update_value(|tab| {
            tab.connection = None;
            std::mem::replace(&mut tab.reopening, true)
        }) == Some(false)
        {
            set_timeout(
                move || {
                    tab.try_update_value(|tab| tab.reopening = false);
                    self.settle_now();
                },
                delay,
            );
        }
    }

    fn open(self) {
        let Some(tab) = self.tab else { return };
        let tell = Rc::new(move |heard| self.hear(heard));
        tab.update_value(|tab| tab.open(tell));
        if tab.with_value(|tab| tab.connection.is_none()) {
            self.link.set(Link::Reconnecting);
        }
    }

    fn hear(self, heard: Heard) {
        let Some(tab) = self.tab else { return };
        tab.try_update_value(|tab| tab.last_heard = js_sys::Date::now());
        match heard {
            Heard::Open | Heard::Heartbeat => self.well(),
            Heard::Frame(json) => {
                self.well();
                // A frame this version does not know (the server is newer) is not for this page.
                let Ok(frame) = parse(&json) else { return };
                let ask = tab.try_update_value(|tab| tab.queue(frame));
                if ask == Some(true) {
                    request_animation_frame(move || self.flush());
                }
            }
            // The stream is closed outside of its own callback.
            Heard::Gone => {
                self.link.set(Link::Gone);
                self.settle();
            }
            Heard::Lost { refused } => {
                let failures = tab.try_update_value(|tab| {
                    tab.failures += 1;
                    tab.failures
                });
                let failures = failures.unwrap_or(1);
                if failures > 1 && self.link.get_untracked() != Link::Offline {
                    self.link.set(Link::Reconnecting);
                }
                if refused {
                    self.ask_why();
                }
                set_timeout(move || self.reopen(backoff(failures)), Duration::ZERO);
            }
        }
    }

    fn well(self) {
        if let Some(tab) = self.tab {
            tab.try_update_value(|tab| tab.failures = 0);
        }
        if matches!(self.link.get_untracked(), Link::Reconnecting | Link::Offline) {
            self.link.set(Link::Fine);
        }
    }

    fn lose_network(self) {
        if self.link.get_untracked() != Link::Gone {
            self.link.set(Link::Offline);
        }
    }

    fn come_back(self) {
        if self.link.get_untracked() == Link::Offline {
            self.link.set(Link::Reconnecting);
        }
        self.reopen(Duration::ZERO);
    }

    /// A refused stream has no body to read; a plain question has an answer.
    fn ask_why(self) {
        let Some(project) = self.tab.and_then(|tab| tab.with_value(|tab| tab.project.clone())) else {
            return;
        };
        leptos::task::spawn_local(async move {
            if let Err(fault) = server::pulse(project).await
                && shuts_out(&fault)
            {
                self.link.set(Link::Gone);
                self.settle();
            }
        });
    }

    /// Gives the pages what has come since the last frame of the screen.
    fn flush(self) {
        let Some(tab) = self.tab else { return };
        let Some(batch) = tab.try_update_value(Tab::take_queue) else { return };
        // Outside of the tab's own lock: pages that hear of a change may follow something new.
        let mut whole = true;
        for (feed, events, deltas) in &batch.runs {
            whole &= feed.take(events, deltas);
        }
        for change in &batch.changes {
            for heard in &batch.watchers {
                heard(change);
            }
        }
        for (template, people) in &batch.present {
            for heard in &batch.presence {
                heard(template, people);
            }
        }
        if !whole {
            let failures = tab.try_update_value(|tab| {
                tab.gaps += 1;
                tab.gaps
            });
            self.reopen(backoff(failures.unwrap_or(1)));
        } else if !batch.runs.is_empty() {
            tab.try_update_value(|tab| tab.gaps = 0);
        }
    }

    fn show_or_hide(self) {
        if document().hidden() {
            self.flush();
        }
        self.settle_now();
    }

    /// A stream that says nothing for too long is dead, whatever the browser thinks of it.
    fn mind_silence(self) {
        if self.tab.and_then(|tab| tab.try_with_value(|tab| tab.is_silent(SILENCE_MS))) == Some(true) {
            if self.link.get_untracked() != Link::Offline {
                self.link.set(Link::Reconnecting);
            }
            self.reopen(Duration::ZERO);
        }
    }
}

/// Half a second, doubling up to 15 s, and up to a half more so that tabs do not come back all at once.
fn backoff(failures: u32) -> Duration {
    let base = 500u32.saturating_mul(1 << failures.saturating_sub(1).min(5)).min(15_000);
    Duration::from_millis(u64::from(base) + (js_sys::Math::random() * f64::from(base) / 2.0) as u64)
}

/// Whether asking again is of no use before somebody signs in.
fn shuts_out(fault: &Fault) -> bool {
    matches!(fault, Fault::Unauthenticated { .. } | Fault::Forbidden { .. } | Fault::NotFound { .. })
}
