//! The deliveries with which the tests of runs can be executed, selected by `TROUPE_TEST_DELIVERY`:
//!
//! - `local`, the default: the product's delivery.
//! - `unreliable`: a delivery may be lost, repeated, late or out of order.
//! - `two`: two engines on one database; each gets half of the work, whichever engine requested it.

use domain::id::{RunId, StepRunId, Timestamp};
use engine::{Config, Delivery, Engine, Local, Pace, StartError};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// The longest delay of an unreliable delivery.
const LATE: Duration = Duration::from_millis(20);
const SWEEP: Duration = Duration::from_millis(50);
const LEASE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Local,
    Unreliable,
    Two,
}

impl Mode {
    pub fn of_environment() -> Self {
        match std::env::var("TROUPE_TEST_DELIVERY").as_deref() {
            Ok("unreliable") => Self::Unreliable,
            Ok("two") => Self::Two,
            Ok("local") | Err(_) => Self::Local,
            Ok(other) => panic!("TROUPE_TEST_DELIVERY is local, unreliable or two, and not '{other}'"),
        }
    }
}

/// The engines on a data folder; tests use the first.
pub struct Engines {
    pub first: Engine,
    all: Arc<Mutex<Vec<Engine>>>,
}

impl Engines {
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let all = Arc::new(Mutex::new(Vec::new()));
        let first = match Mode::of_environment() {
            Mode::Local => Engine::open(config).await?,
            Mode::Unreliable => {
                let pace = Pace { sweep: SWEEP, lease: None };
                Engine::open_with(config, pace, Box::new(Unreliable)).await?
            }
            Mode::Two => {
                let pace = Pace { sweep: SWEEP, lease: Some(LEASE) };
                Engine::open_with(config, pace, Box::new(Shared(all.clone()))).await?
            }
        };
        all.lock().unwrap().push(first.clone());
        Ok(Self { first, all })
    }

    /// Opens the second engine, after the first has stored what both need.
    pub async fn join(&self, config: Config) -> Result<(), StartError> {
        if Mode::of_environment() == Mode::Two {
            let pace = Pace { sweep: SWEEP, lease: Some(LEASE) };
            let second = Engine::open_with(config, pace, Box::new(Shared(self.all.clone()))).await?;
            self.all.lock().unwrap().push(second);
        }
        Ok(())
    }

    pub async fn shutdown(self) {
        let all = std::mem::take(&mut *self.all.lock().unwrap());
        for engine in all {
            engine.shutdown().await;
        }
    }
}

/// Delivers in this process, but unreliably.
struct Unreliable;

impl Unreliable {
    /// Delivers never, once or twice, soon or late.
    fn somehow(engine: &Engine, deliver: impl Fn(&Engine) + Send + Sync + 'static) {
        let times = [0, 1, 1, 1, 2][rand::random_range(0..5)];
        let deliver = Arc::new(deliver);
        for _ in 0..times {
            let (engine, deliver) = (engine.clone(), deliver.clone());
            let wait = LATE.mul_f64(rand::random());
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                deliver(&engine);
            });
        }
    }
}

impl Delivery for Unreliable {
    fn keeps(&self) -> bool {
        false
    }

    fn advance(&self, engine: &Engine, run: RunId) {
        Self::somehow(engine, move |engine| Local.advance(engine, run));
    }

    fn execute(&self, engine: &Engine, run: RunId, step: StepRunId, attempt: u32) {
        Self::somehow(engine, move |engine| Local.execute(engine, run, step, attempt));
    }

    fn wake_at(&self, engine: &Engine, run: RunId, now: Timestamp, at: Option<Timestamp>) {
        // Limits are never delayed: a late limit would replace the one announced after it. Deliveries of ids have no
        // such problem.
        if rand::random_range(0..5) > 0 {
            Local.wake_at(engine, run, now, at);
        }
    }
}

/// Gives half of the work to the other engine.
struct Shared(Arc<Mutex<Vec<Engine>>>);

impl Shared {
    fn chosen(&self, engine: &Engine) -> Engine {
        let all = self.0.lock().unwrap();
        if all.is_empty() { engine.clone() } else { all[rand::random_range(0..all.len())].clone() }
    }
}

impl Delivery for Shared {
    fn keeps(&self) -> bool {
        false
    }

    fn advance(&self, engine: &Engine, run: RunId) {
        Local.advance(&self.chosen(engine), run);
    }

    fn execute(&self, engine: &Engine, run: RunId, step: StepRunId, attempt: u32) {
        Local.execute(&self.chosen(engine), run, step, attempt);
    }

    fn wake_at(&self, engine: &Engine, run: RunId, now: Timestamp, at: Option<Timestamp>) {
        Local.wake_at(engine, run, now, at);
    }
}
