//! The tab's single live connection.
//!
//! Pages register what they show: runs ([`Live::follow`]) and lists ([`Live::watch`]). The tab keeps one event stream
//! for all of it, closed while the tab is hidden. The stream's cursor is never stored: it is computed from the current
//! states whenever a stream is opened. A lost connection, a gap and a newly followed run are therefore handled the
//! same way: by opening another stream. On the server nothing is followed; pages render the data they were given.

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

/// The status of the connection, for notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Connected, or nothing to follow.
    Fine,
    /// Nothing was received for too long; the tab keeps reconnecting.
    Reconnecting,
    /// The browser has no network.
    Offline,
    /// The server refuses another event stream; the tab keeps asking.
    TooMany,
    /// The server refuses access: signed out, or no longer a member.
    Gone,
}

/// Maximum silence; the server sends a heartbeat every ten seconds.
const SILENCE_MS: f64 = 25_000.0;

/// A page's follows arrive one by one; after this delay, a single stream is opened for all of them.
const SETTLE: Duration = Duration::from_millis(30);

#[derive(Clone, Copy)]
pub struct Live {
    link: RwSignal<Link>,
    /// The server's time by this tab's clock; `None` until the first tick, so that the browser's first render equals
    /// the server's.
    clock: Signal<Option<Timestamp>>,
    /// `None` on the server.
    tab: Option<StoredValue<Tab, LocalStorage>>,
}

/// Creates the tab's connection for all pages below. The page's clock must already be provided.
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

/// The tab's connection. Outside of `provide_live`, one that follows nothing.
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

    /// The server's time, for running durations; `None` before the first tick and on the server.
    pub fn clock(self) -> Signal<Option<Timestamp>> {
        self.clock
    }

    /// Shows a run, and follows it while it is live and the calling component is mounted. `drawn_at` is the server's
    /// time at which `detail` was read.
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

    /// Follows a run that was just launched here, before any page shows it, so that early events are not lost.
    pub fn expect(self, project: &ProjectKey, run: RunNumber) {
        if let Some(tab) = self.tab {
            tab.update_value(|tab| tab.expect(project, run));
            self.settle();
        }
    }

    /// Calls `heard` for every change of the project after `drawn_at`, while the calling component is mounted.
    pub fn watch(self, project: &ProjectKey, drawn_at: u64, heard: impl Fn(&Change) + 'static) {
        self.watch_all(project, drawn_at, Rc::new(heard), None);
    }

    /// As [`Self::watch`], and calls `present` whenever the people editing a template change.
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

    /// Schedules an update of the stream to what must be followed.
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
                // Without a stream, nothing else would reset the status.
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

    /// Drops the stream, if any, and opens another at the current cursors after `delay`.
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
                // A frame of an unknown kind comes from a newer server and is ignored.
                let Ok(frame) = parse(&json) else { return };
                let ask = tab.try_update_value(|tab| tab.queue(frame));
                if ask == Some(true) {
                    request_animation_frame(move || self.flush());
                }
            }
            // Closes the stream outside of its own callback.
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
                if failures > 1 && !matches!(self.link.get_untracked(), Link::Offline | Link::TooMany) {
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
        if matches!(self.link.get_untracked(), Link::Reconnecting | Link::Offline | Link::TooMany) {
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

    /// Requests `pulse` to learn why the stream was refused: an EventSource does not expose the response.
    fn ask_why(self) {
        let Some(project) = self.tab.and_then(|tab| tab.with_value(|tab| tab.project.clone())) else {
            return;
        };
        leptos::task::spawn_local(async move {
            match server::pulse(project).await {
                Err(fault) if shuts_out(&fault) => {
                    self.link.set(Link::Gone);
                    self.settle();
                }
                Err(Fault::Throttled { .. }) => self.link.set(Link::TooMany),
                _ => {}
            }
        });
    }

    /// Delivers the frames that arrived since the last animation frame to the pages.
    fn flush(self) {
        let Some(tab) = self.tab else { return };
        let Some(batch) = tab.try_update_value(Tab::take_queue) else { return };
        // Outside of the tab's lock: a page's handler of a change may follow another run.
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

    /// A stream without heartbeat for too long counts as dead, even if the browser reports it as open.
    fn mind_silence(self) {
        if self.tab.and_then(|tab| tab.try_with_value(|tab| tab.is_silent(SILENCE_MS))) == Some(true) {
            if self.link.get_untracked() != Link::Offline {
                self.link.set(Link::Reconnecting);
            }
            self.reopen(Duration::ZERO);
        }
    }
}

/// Half a second, doubling up to 15 s, plus up to half of that, so that tabs do not reconnect at the same time.
fn backoff(failures: u32) -> Duration {
    let base = 500u32.saturating_mul(1 << failures.saturating_sub(1).min(5)).min(15_000);
    Duration::from_millis(u64::from(base) + (js_sys::Math::random() * f64::from(base) / 2.0) as u64)
}

/// Whether a retry is pointless until the user signs in.
fn shuts_out(fault: &Fault) -> bool {
    matches!(fault, Fault::Unauthenticated { .. } | Fault::Forbidden { .. } | Fault::NotFound { .. })
}
