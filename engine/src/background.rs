//! The background tasks of a server: each keeps in order what no command waits for. [`start_all`] lists them.
//!
//! A task works when its signal comes or its time is up, until the server stops. Signals are hints: what there is to do is
//! in the store, so a lost signal costs time only, and a task that failed works again later. Only the time limits are
//! read from the store once, and then announced; the sweep finds those that were not.

use crate::{Engine, Result, live::Pruning, runs, search::Indexing};
use futures::FutureExt;
use std::{
    future::pending,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};
use tokio::time::sleep;

pub(crate) trait BackgroundTask: Send + 'static {
    /// As the server's log names it.
    const NAME: &'static str;

    /// When the task works for the first time.
    fn first(&self) -> Next {
        Next::After(Duration::ZERO)
    }

    /// Waits for a reason to work. May be dropped and called again at any time, which must lose no reason.
    fn signal(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// Works for a short time, because a server that stops waits for it.
    fn work(&mut self, engine: &Engine) -> impl Future<Output = Result<Next>> + Send;

    /// The delay after a failure.
    fn retry_after(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// When a task works again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// After a pause, whatever is signalled meanwhile.
    After(Duration),
    AtSignal,
    AtSignalOrAfter(Duration),
}

/// Starts the background tasks of a server.
pub(crate) fn start_all(engine: &Engine) {
    if let Some(limits) = runs::TimeLimits::of(engine) {
        start(engine, limits);
    }
    start(engine, runs::Sweep::new(engine));
    if engine.0.runs.is_shared() {
        start(engine, runs::OtherServers::default());
    }
    start(engine, Indexing::of(engine));
    start(engine, Pruning::of(engine));
}

fn start<T: BackgroundTask>(engine: &Engine, mut task: T) {
    let (owned, stopping) = (engine.clone(), engine.0.runs.stopping());
    engine.0.runs.spawn_background(async move {
        let (mut next, mut health) = (task.first(), Health::default());
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = reached(next, &mut task) => {}
            }
            let work = AssertUnwindSafe(task.work(&owned)).catch_unwind().await;
            next = match work {
                Ok(Ok(next)) => {
                    health.worked(T::NAME);
                    next
                }
                Ok(Err(error)) => {
                    health.failed(T::NAME, &error);
                    Next::After(task.retry_after())
                }
                // The panic has been logged where it happened.
                Err(_) => {
                    health.failed(T::NAME, &"it panicked");
                    Next::After(task.retry_after())
                }
            };
        }
    });
}

async fn reached(next: Next, task: &mut impl BackgroundTask) {
    match next {
        Next::After(pause) => sleep(pause).await,
        Next::AtSignal => task.signal().await,
        Next::AtSignalOrAfter(time) => tokio::select! {
            () = task.signal() => {}
            () = sleep(time) => {}
        },
    }
}

/// Whether a task works. A failure that lasts is logged ever more rarely, and so is not lost among its repetitions.
#[derive(Default)]
struct Health {
    /// In a row.
    failures: u32,
    failing_since: Option<Instant>,
}

impl Health {
    fn worked(&mut self, task: &str) {
        if let Some(since) = self.failing_since.take() {
            let seconds = since.elapsed().as_secs();
            tracing::info!(task, seconds, failures = self.failures, "a background task works again");
            self.failures = 0;
        }
    }

    fn failed(&mut self, task: &str, error: &(impl std::fmt::Display + std::fmt::Debug)) {
        self.failing_since.get_or_insert_with(Instant::now);
        self.failures += 1;
        if self.failures.is_power_of_two() {
            let failures = self.failures;
            tracing::warn!(task, failures, %error, source = ?error, "a background task failed; it is tried again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Environment, Error};
    use std::sync::{Arc, Mutex};
    use tokio::sync::Notify;

    /// Fails, panics, pauses, and waits for its signal, in this order.
    struct Scripted {
        signal: Arc<Notify>,
        worked: Arc<Mutex<u32>>,
    }

    impl BackgroundTask for Scripted {
        const NAME: &'static str = "scripted";

        async fn signal(&mut self) {
            self.signal.notified().await;
        }

        async fn work(&mut self, _: &Engine) -> Result<Next> {
            let times = {
                let mut worked = self.worked.lock().unwrap();
                *worked += 1;
                *worked
            };
            match times {
                1 => Err(Error::Unavailable("not now".to_owned())),
                2 => panic!("a fault in the task"),
                3 => Ok(Next::After(Duration::from_millis(1))),
                4 => Ok(Next::AtSignal),
                _ => Ok(Next::AtSignalOrAfter(Duration::from_millis(1))),
            }
        }

        fn retry_after(&self) -> Duration {
            Duration::from_millis(1)
        }
    }

    /// A failure or a panic does not end a task; it works at its signal and its time, and ends with the server.
    #[tokio::test]
    async fn a_task_goes_on_until_the_server_stops() {
        let folder = tempfile::tempdir().unwrap();
        let (data, environment) = (folder.path().into(), Environment::default());
        let engine =
            Engine::open(Config { data, serve: false, seed_demo: false, environment }).await.unwrap();
        let (signal, worked) = (Arc::new(Notify::new()), Arc::new(Mutex::new(0)));
        start(&engine, Scripted { signal: signal.clone(), worked: worked.clone() });
        let times = |times: u32| {
            let worked = worked.clone();
            async move {
                while *worked.lock().unwrap() < times {
                    sleep(Duration::from_millis(1)).await;
                }
            }
        };
        let patience = Duration::from_secs(30);
        tokio::time::timeout(patience, times(4)).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        assert_eq!(*worked.lock().unwrap(), 4, "it waits for its signal");
        signal.notify_one();
        tokio::time::timeout(patience, times(7)).await.unwrap();
        engine.shutdown().await;
        assert_eq!(Arc::strong_count(&signal), 1, "the task has ended");
    }
}
