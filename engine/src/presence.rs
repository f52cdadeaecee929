//! Who is working on a template just now. A matter of moments: it is in memory alone, and a tab that does not say so again
//! is forgotten.
//!
//! Always true: only those who may edit a project are seen in it, and only by those who may read it. What is kept is bounded.

use crate::{Engine, Error, Result, User, store::changes};
use domain::{
    access::Permission,
    id::{ProjectId, UserId},
    key::{ProjectKey, TemplateKey},
    view::{Attendance, Present},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long a tab is believed to be there after it said so; it says so every ten seconds.
const BELIEVED: Duration = Duration::from_secs(25);
/// Tabs on one template, and templates in all, that are kept in mind.
const MOST_TABS: usize = 50;
const MOST_ROOMS: usize = 2_000;
/// The longest name of a tab, in bytes.
const TAB_LIMIT: usize = 40;

#[derive(Default)]
pub(crate) struct Presence {
    rooms: Mutex<HashMap<(ProjectId, TemplateKey), Room>>,
    /// Counts the changes of who is where.
    turns: watch::Sender<u64>,
}

#[derive(Default)]
struct Room {
    seats: BTreeMap<String, Seat>,
    /// The turn of its last change.
    changed: u64,
}

struct Seat {
    user: UserId,
    name: String,
    /// Which of the tab's visits to the template it is of. What an earlier one still says comes too late.
    visit: u64,
    /// False: the visit is over. That is kept in mind for as long as a greeting of it may be on its way.
    here: bool,
    until: Instant,
}

impl Presence {
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// Who is where in the project, as far as it changed after that turn.
    pub fn after(&self, turn: u64, project: ProjectId, user: UserId) -> Vec<(TemplateKey, Vec<Present>)> {
        let rooms = self.rooms();
        let changed = rooms.iter().filter(|((place, _), room)| *place == project && room.changed > turn);
        changed.map(|((_, key), room)| (key.clone(), room.seen_by(user))).collect()
    }

    /// Forgets who has not been heard of, and tells those who watch.
    pub fn sweep(&self) {
        self.change(|rooms, now, turn| {
            for room in rooms.values_mut() {
                let before = room.people();
                room.seats.retain(|_, seat| seat.until > now);
                if room.people() != before {
                    room.changed = turn;
                }
            }
            // An empty room is told of once more, and then gone.
            rooms.retain(|_, room| !room.seats.is_empty() || room.changed == turn);
        });
    }

    fn enter(&self, project: ProjectId, template: &TemplateKey, user: &User, tab: &str, visit: u64) {
        self.say(project, template, user, tab, visit, true);
    }

    fn leave(&self, project: ProjectId, template: &TemplateKey, user: &User, tab: &str, visit: u64) {
        self.say(project, template, user, tab, visit, false);
    }

    /// Two requests may overtake each other: a visit that is over stays so, and a newer one counts more.
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
            // A tab's name is no secret: nobody takes another's seat.
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
        self.rooms().get(&(project, template.clone())).map(|room| room.seen_by(user)).unwrap_or_default()
    }

    /// Whoever watches is woken once something has changed.
    fn change(&self, change: impl FnOnce(&mut HashMap<(ProjectId, TemplateKey), Room>, Instant, u64)) {
        let mut rooms = self.rooms();
        let turn = *self.turns.borrow() + 1;
        change(&mut rooms, Instant::now(), turn);
        if rooms.values().any(|room| room.changed == turn) {
            self.turns.send_replace(turn);
        }
    }

    /// A panic while holding it leaves plain data behind, which the next holder may use.
    fn rooms(&self) -> MutexGuard<'_, HashMap<(ProjectId, TemplateKey), Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Says that a tab of the user's has this template open for editing, and gives who else has. To be said again every
    /// ten seconds. `visit` grows with each time that the tab comes to it. Editors.
    pub async fn attend(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        tab: &str,
        visit: u64,
    ) -> Result<Attendance> {
        checked(tab)?;
        let id = self.authorise(user, project, Permission::Editor).await?;
        let db = self.0.store.read();
        let found = crate::store::versions::newest_template(db, id, template).await?;
        let (_, newest) = found.ok_or_else(|| Error::not_found("template", template))?;
        let changes = changes::newest(db, id).await?;
        self.0.presence.sweep();
        self.0.presence.enter(id, template, user, tab, visit);
        Ok(Attendance { people: self.0.presence.seen(id, template, user.id), newest, changes })
    }

    /// Says that the tab has gone elsewhere.
    pub async fn leave(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        tab: &str,
        visit: u64,
    ) -> Result<()> {
        checked(tab)?;
        let id = self.authorise(user, project, Permission::Editor).await?;
        // Of what is not there nothing is kept in mind.
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
        let mut watching = presence.subscribe();
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
        for seat in presence.rooms().values_mut().flat_map(|room| room.seats.values_mut()) {
            seat.until = Instant::now();
        }
        let turn = *presence.subscribe().borrow();
        presence.sweep();
        assert_eq!(presence.after(turn, project, ada.id), [(template, Vec::new())]);
        presence.sweep();
        presence.enter(project, &TemplateKey::from_title("other"), &ada, "a", 1);
        presence.sweep();
        assert_eq!(presence.rooms().len(), 1);
    }
}
