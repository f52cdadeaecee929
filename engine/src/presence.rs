//! Presence: the users who have a template open. Kept in memory only; a tab that stops reporting is removed.
//!
//! Invariant: only users who may edit a project are shown in it, and only to users who may read it. Memory is bounded.

use crate::{Engine, Error, Result, User, store::changes};
use domain::{
    access::Permission,
    id::{ProjectId, UserId},
    key::{ProjectKey, TemplateKey},
    view::{Attendance, Present},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long a tab counts as present after a report; it reports every ten seconds.
const BELIEVED: Duration = Duration::from_secs(25);
/// The most tabs per template, and the most templates.
const MOST_TABS: usize = 50;
const MOST_ROOMS: usize = 2_000;
/// The longest tab name, in bytes.
const TAB_LIMIT: usize = 40;

#[derive(Default)]
pub(crate) struct Presence(Mutex<House>);

type Rooms = HashMap<(ProjectId, TemplateKey), Room>;

#[derive(Default)]
struct House {
    rooms: Rooms,
    /// The number of the last change of presence.
    turn: u64,
    /// The projects with followers; each channel carries the number of the project's last change.
    followed: HashMap<ProjectId, watch::Sender<u64>>,
}

#[derive(Default)]
struct Room {
    seats: BTreeMap<String, Seat>,
    /// The number of the room's last change.
    changed: u64,
}

struct Seat {
    user: UserId,
    name: String,
    /// The number of the tab's visit to the template. Reports of earlier visits are ignored.
    visit: u64,
    /// False: the visit is over. The seat is kept for a while, because a report of the visit may still arrive.
    here: bool,
    until: Instant,
}

impl Presence {
    /// Ticks after each change in the project, with the change's number. It starts with the newest number of all.
    pub fn subscribe(&self, project: ProjectId) -> watch::Receiver<u64> {
        let House { turn, followed, .. } = &mut *self.house();
        followed.entry(project).or_insert_with(|| watch::Sender::new(*turn)).subscribe()
    }

    /// The users present in each room of the project that has changed after number `turn`.
    pub fn after(&self, turn: u64, project: ProjectId, user: UserId) -> Vec<(TemplateKey, Vec<Present>)> {
        let house = self.house();
        let changed =
            house.rooms.iter().filter(|((place, _), room)| *place == project && room.changed > turn);
        changed.map(|((_, key), room)| (key.clone(), room.seen_by(user))).collect()
    }

    /// Removes tabs that have stopped reporting, and tells followers.
    pub fn sweep(&self) {
        self.change(|rooms, now, turn| {
            for room in rooms.values_mut() {
                let before = room.people();
                room.seats.retain(|_, seat| seat.until > now);
                if room.people() != before {
                    room.changed = turn;
                }
            }
            // An empty room is reported once more, and then removed.
            rooms.retain(|_, room| !room.seats.is_empty() || room.changed == turn);
        });
    }

    fn enter(&self, project: ProjectId, template: &TemplateKey, user: &User, tab: &str, visit: u64) {
        self.say(project, template, user, tab, visit, true);
    }

    fn leave(&self, project: ProjectId, template: &TemplateKey, user: &User, tab: &str, visit: u64) {
        self.say(project, template, user, tab, visit, false);
    }

    /// Requests may arrive out of order: an ended visit stays ended, and a newer visit takes precedence.
    fn say(
        &self,
        project: ProjectId,
        template: &TemplateKey,
        user: &User,
        tab: &str,
        visit: u64,
        here: bool,
    ) {
        self.change(|rooms, now, turn| {
            let place = (project, template.clone());
            if rooms.len() >= MOST_ROOMS && !rooms.contains_key(&place) {
                return;
            }
            let room = rooms.entry(place).or_default();
            let before = room.seats.get(tab);
            // Tab names are not secret, so a seat belongs to its user only.
            let refused = match before {
                None => room.seats.len() >= MOST_TABS,
                Some(seat) => {
                    seat.user != user.id || seat.visit > visit || (seat.visit == visit && !seat.here)
                }
            };
            if refused {
                return;
            }
            if before.is_some_and(|seat| seat.here) != here {
                room.changed = turn;
            }
            let seat = Seat { user: user.id, name: user.name.clone(), visit, here, until: now + BELIEVED };
            room.seats.insert(tab.to_owned(), seat);
        });
    }

    fn seen(&self, project: ProjectId, template: &TemplateKey, user: UserId) -> Vec<Present> {
        let house = self.house();
        house.rooms.get(&(project, template.clone())).map(|room| room.seen_by(user)).unwrap_or_default()
    }

    /// Applies a change, and wakes the followers of the projects that changed.
    fn change(&self, change: impl FnOnce(&mut Rooms, Instant, u64)) {
        let House { rooms, turn, followed } = &mut *self.house();
        let next = *turn + 1;
        change(rooms, Instant::now(), next);
        let changed = rooms.iter().filter(|(_, room)| room.changed == next);
        let changed: BTreeSet<_> = changed.map(|((project, _), _)| *project).collect();
        for project in changed {
            *turn = next;
            if followed.get(&project).is_some_and(|wake| wake.send(next).is_err()) {
                followed.remove(&project);
            }
        }
    }

    /// A panic while the lock is held leaves plain data, which the next holder may use.
    fn house(&self) -> MutexGuard<'_, House> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn people(&self) -> usize {
        self.seats.values().filter(|seat| seat.here).count()
    }

    fn seen_by(&self, user: UserId) -> Vec<Present> {
        let seat = |(tab, seat): (&String, &Seat)| Present {
            tab: tab.clone(),
            name: seat.name.clone(),
            mine: seat.user == user,
        };
        self.seats.iter().filter(|(_, seat)| seat.here).map(seat).collect()
    }
}

impl Engine {
    /// Reports that a tab of the user has this template open for editing; returns the other tabs that have. Repeated
    /// every ten seconds. `visit` grows with each visit of the tab to the template. Requires editor permission.
    pub async fn attend(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        tab: &str,
        visit: u64,
    ) -> Result<Attendance> {
        let id = self.authorise(user, project, Permission::Editor).await?;
        checked(tab)?;
        let db = self.0.store.read();
        let found = crate::store::versions::newest_template(db, id, template).await?;
        let (_, newest) = found.ok_or_else(|| Error::not_found("template", template))?;
        let changes = changes::newest(db, id).await?;
        self.0.presence.sweep();
        self.0.presence.enter(id, template, user, tab, visit);
        Ok(Attendance { people: self.0.presence.seen(id, template, user.id), newest, changes })
    }

    /// Reports that the tab has left the template.
    pub async fn leave(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        tab: &str,
        visit: u64,
    ) -> Result<()> {
        let id = self.authorise(user, project, Permission::Editor).await?;
        checked(tab)?;
        // Templates that do not exist get no room.
        if crate::store::versions::newest_template(self.0.store.read(), id, template).await?.is_some() {
            self.0.presence.leave(id, template, user, tab, visit);
        }
        Ok(())
    }
}

fn checked(tab: &str) -> Result<()> {
    match tab.len() {
        1..=TAB_LIMIT => Ok(()),
        _ => Err(Error::invalid("tab", format!("1 to {TAB_LIMIT} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    fn user(name: &str) -> User {
        User { id: UserId(store::mint()), email: format!("{name}@example"), name: name.into(), admin: false }
    }

    #[test]
    fn who_comes_is_seen_and_who_goes_is_not() {
        let presence = Presence::default();
        let (project, template) = (ProjectId(store::mint()), TemplateKey::from_title("t"));
        let (ada, bob) = (user("Ada"), user("Bob"));
        let mut watching = presence.subscribe(project);
        let elsewhere = presence.subscribe(ProjectId(store::mint()));
        presence.enter(project, &template, &ada, "a", 1);
        assert!(watching.has_changed().unwrap());
        let turn = *watching.borrow_and_update();
        presence.enter(project, &template, &ada, "a", 1);
        assert!(!watching.has_changed().unwrap(), "nothing new in being there still");
        presence.enter(project, &template, &bob, "a", 1);
        presence.enter(project, &template, &bob, "b", 1);
        let seen = presence.after(turn, project, bob.id);
        let names: Vec<_> = seen[0].1.iter().map(|one| (one.name.as_str(), one.mine)).collect();
        assert_eq!(names, [("Ada", false), ("Bob", true)]);
        assert!(presence.after(turn, ProjectId(store::mint()), bob.id).is_empty());
        presence.leave(project, &template, &bob, "a", 1);
        presence.leave(project, &template, &ada, "a", 1);
        assert_eq!(presence.seen(project, &template, ada.id).len(), 1);
        assert!(!elsewhere.has_changed().unwrap(), "who follows another project is left alone");
        drop(elsewhere);
        drop(watching);
        presence.leave(project, &template, &bob, "b", 1);
        assert!(!presence.house().followed.contains_key(&project), "nobody follows it any more");
    }

    #[test]
    fn what_is_overtaken_changes_nothing() {
        let presence = Presence::default();
        let (project, template, ada) = (ProjectId(store::mint()), TemplateKey::from_title("t"), user("Ada"));
        let people = || presence.seen(project, &template, ada.id).len();
        presence.leave(project, &template, &ada, "a", 1);
        presence.enter(project, &template, &ada, "a", 1);
        assert_eq!(people(), 0, "a greeting after its goodbye");
        presence.enter(project, &template, &ada, "a", 2);
        presence.leave(project, &template, &ada, "a", 1);
        assert_eq!(people(), 1, "the goodbye of the visit before");
        presence.leave(project, &template, &ada, "a", 2);
        presence.enter(project, &template, &ada, "a", 1);
        assert_eq!(people(), 0);
    }

    #[test]
    fn it_is_bounded_and_forgets() {
        let presence = Presence::default();
        let (project, template, ada) = (ProjectId(store::mint()), TemplateKey::from_title("t"), user("Ada"));
        for tab in 0..2 * MOST_TABS {
            presence.enter(project, &template, &ada, &tab.to_string(), 1);
        }
        assert_eq!(presence.seen(project, &template, ada.id).len(), MOST_TABS);
        for seat in presence.house().rooms.values_mut().flat_map(|room| room.seats.values_mut()) {
            seat.until = Instant::now();
        }
        let turn = *presence.subscribe(project).borrow();
        presence.sweep();
        assert_eq!(presence.after(turn, project, ada.id), [(template, Vec::new())]);
        presence.sweep();
        presence.enter(project, &TemplateKey::from_title("other"), &ada, "a", 1);
        presence.sweep();
        assert_eq!(presence.house().rooms.len(), 1);
    }
}
