//! Health that tells the truth: what every component and task says of itself, and what its silence says.
//!
//! ```text
//! ComponentHealth.set(status) ─┐
//! Heartbeat.beat() ────────────┤
//! HealthProbe (asked) ─────────┼─▶ report(): every row ─▶ live?  ready?  both
//! task::rows (panics) ─────────┘
//! ```
//!
//! - **Live**: no task is dead, no heartbeat overdue, no probe says dead. Starting and draining are alive.
//! - **Ready**: live, running, no permanent error, and every probe is ready (the memory limiter's is not, while it refuses).
//! - **Available**: started, and live. What `health_check` answers on its path, as the Collector does.
//!
//! **Bounds.** One row per component of the configuration and per task name ([`MAX_NAMES`](crate::telemetry::task::MAX_NAMES)).
//! **Invariants.** A row goes when its handle is dropped, so a removed component cannot keep health red.
//! **Not here.** HTTP (the extension `health_check`), restarting (the owners).

use crate::base::Nanos;
use crate::base::sync::{AtomicU64, Ordering};
use crate::telemetry::clock::Clock;
use crate::telemetry::task::Tasks;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How something is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "message", rename_all = "snake_case")]
pub enum Status {
    /// Not at work yet.
    #[default]
    Starting,
    /// At work.
    Ok,
    /// At work with an error that may pass by itself.
    Recoverable(String),
    /// Not at work until someone changes something.
    Permanent(String),
    /// Ended as asked.
    Stopped,
    /// Ended, or stuck, without being asked.
    Dead(String),
}

/// What a row tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A receiver, processor, connector, exporter or extension.
    Component,
    /// A task that shows that it goes on.
    Heartbeat,
    /// Something that is asked, such as a queue.
    Probe,
    /// A named task or thread.
    Task,
}

/// Where the service stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Components are being started.
    #[default]
    Starting,
    /// Everything is started.
    Running,
    /// Told to stop; what was taken is being delivered.
    Draining,
}

/// What a probe answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How it is; [`Status::Dead`] if it is stuck.
    pub status: Status,
    /// The age of the oldest item that waits, where items wait.
    pub oldest: Option<Duration>,
    /// Whether new work is welcome.
    pub is_ready: bool,
}

impl Reading {
    /// At work and ready.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(Status::Ok)
    }

    /// This status, ready.
    #[must_use]
    pub fn new(status: Status) -> Self {
        Reading {
            status,
            oldest: None,
            is_ready: true,
        }
    }

    /// The same with the age of the oldest item.
    #[must_use]
    pub fn with_oldest(mut self, age: Option<Duration>) -> Self {
        self.oldest = age;
        self
    }

    /// The same, not welcoming new work.
    #[must_use]
    pub fn not_ready(mut self) -> Self {
        self.is_ready = false;
        self
    }
}

/// Something that is asked how it is, whenever health is; it must answer at once and must not touch [`Health`].
pub trait HealthProbe: Send + Sync {
    /// How it is now.
    fn read(&self) -> Reading;
}

impl<F: Fn() -> Reading + Send + Sync> HealthProbe for F {
    fn read(&self) -> Reading {
        self()
    }
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What it tells of.
    pub kind: Kind,
    /// The component's id or the task's name.
    pub name: String,
    /// How it is.
    #[serde(flatten)]
    pub status: Status,
    /// Whether it welcomes new work.
    pub is_ready: bool,
    /// Seconds since it last showed progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_progress_seconds: Option<f64>,
    /// Age of the oldest item that waits, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_item_seconds: Option<f64>,
}

/// Everything that health knows at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Where the service stands.
    pub phase: Phase,
    /// Since when it has been running, if it is.
    pub up_since: Option<Nanos>,
    /// For how long.
    pub uptime: Duration,
    /// One row each, by kind and name.
    pub rows: Vec<Row>,
}

/// An answer, and what speaks against a yes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What is wrong, by name; empty means yes.
    pub causes: Vec<String>,
}

impl Answer {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        self.causes.is_empty()
    }
}

impl Report {
    /// Whether every task goes on.
    #[must_use]
    pub fn live(&self) -> Answer {
        let causes = self.rows.iter().filter_map(|row| match &row.status {
            Status::Dead(why) => Some(format!("{}: {why}", row.name)),
            _ => None,
        });
        Answer {
            causes: causes.collect(),
        }
    }

    /// Whether the service was started and every task goes on.
    #[must_use]
    pub fn available(&self) -> Answer {
        let mut answer = self.live();
        match self.phase {
            Phase::Starting => answer.causes.insert(0, "not started yet".into()),
            Phase::Draining => answer.causes.insert(0, "shutting down".into()),
            Phase::Running => {}
        }
        answer
    }

    /// Whether new work is welcome.
    #[must_use]
    pub fn ready(&self) -> Answer {
        let mut answer = self.available();
        for row in &self.rows {
            match &row.status {
                Status::Permanent(why) => answer.causes.push(format!("{}: {why}", row.name)),
                Status::Recoverable(why) if !row.is_ready => {
                    answer.causes.push(format!("{}: {why}", row.name));
                }
                Status::Dead(_) => {}
                _ if !row.is_ready => answer.causes.push(format!("{}: not ready", row.name)),
                _ => {}
            }
        }
        answer
    }
}

/// The process's health; cheap to clone.
#[derive(Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    tasks: Tasks,
    /// Touched when a status changes and when health is asked: third clock, so a lock.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    up_since: Option<(Nanos, Duration)>,
    next_id: u64,
    watched: BTreeMap<u64, Watched>,
}

struct Watched {
    name: String,
    what: What,
}

enum What {
    Component(Status),
    Heartbeat {
        pulse: Arc<AtomicU64>,
        max_silence: Duration,
    },
    Probe(Arc<dyn HealthProbe>),
}

impl Health {
    /// Health of these tasks, in the starting phase.
    #[must_use]
    pub fn new(clock: Clock, tasks: Tasks) -> Self {
        Health {
            inner: Arc::new(Inner {
                clock,
                tasks,
                state: Mutex::default(),
            }),
        }
    }

    /// Every component is started; the service is up from the first time on.
    pub fn service_ready(&self) {
        let now = (self.inner.clock.now(), self.inner.clock.elapsed());
        let mut state = self.inner.state.lock();
        state.phase = Phase::Running;
        state.up_since.get_or_insert(now);
    }

    /// The service was told to stop: alive, and not ready any more.
    pub fn service_stopping(&self) {
        self.inner.state.lock().phase = Phase::Draining;
    }

    /// A row for a component, for as long as the handle lives.
    pub fn component(&self, name: impl Into<String>) -> ComponentHealth {
        ComponentHealth(self.watch(name.into(), What::Component(Status::Starting)))
    }

    /// A row that turns dead when no beat came for `max_silence`, for as long as the handle lives.
    pub fn heartbeat(&self, name: impl Into<String>, max_silence: Duration) -> Heartbeat {
        let pulse = Arc::new(AtomicU64::new(millis(self.inner.clock.elapsed())));
        let what = What::Heartbeat {
            pulse: Arc::clone(&pulse),
            max_silence,
        };
        Heartbeat {
            pulse,
            clock: self.inner.clock.clone(),
            _place: self.watch(name.into(), what),
        }
    }

    /// A row that is asked, for as long as the handle lives.
    pub fn probe(&self, name: impl Into<String>, probe: impl HealthProbe + 'static) -> ProbeGuard {
        ProbeGuard {
            _place: self.watch(name.into(), What::Probe(Arc::new(probe))),
        }
    }

    /// Everything known now.
    #[must_use]
    pub fn report(&self) -> Report {
        let elapsed = self.inner.clock.elapsed();
        let mut probes = Vec::new();
        let mut rows = Vec::new();
        let (phase, up_since) = {
            let state = self.inner.state.lock();
            for watched in state.watched.values() {
                let name = watched.name.clone();
                match &watched.what {
                    What::Component(status) => {
                        rows.push(row(Kind::Component, name, Reading::new(status.clone())));
                    }
                    What::Heartbeat { pulse, max_silence } => {
                        rows.push(heartbeat_row(name, pulse, *max_silence, elapsed));
                    }
                    What::Probe(probe) => probes.push((name, Arc::clone(probe))),
                }
            }
            (state.phase, state.up_since)
        };
        // asked without the lock: what a probe locks is then no matter of ours
        for (name, probe) in probes {
            rows.push(row(Kind::Probe, name, probe.read()));
        }
        for (name, task) in self.inner.tasks.rows() {
            let status = if task.dead == 0 {
                Status::Ok
            } else {
                let why = task.last_panic.unwrap_or_default();
                Status::Dead(format!("panicked: {why}"))
            };
            rows.push(row(Kind::Task, name.into_owned(), Reading::new(status)));
        }
        rows.sort_by(|a, b| (a.kind as u8, &a.name).cmp(&(b.kind as u8, &b.name)));
        Report {
            phase,
            up_since: up_since.map(|(wall, _)| wall),
            uptime: up_since.map_or(Duration::ZERO, |(_, then)| elapsed.saturating_sub(then)),
            rows,
        }
    }

    fn watch(&self, name: String, what: What) -> Place {
        let mut state = self.inner.state.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.watched.insert(id, Watched { name, what });
        Place {
            health: self.clone(),
            id,
        }
    }
}

fn row(kind: Kind, name: String, reading: Reading) -> Row {
    Row {
        kind,
        name,
        status: reading.status,
        is_ready: reading.is_ready,
        last_progress_seconds: None,
        oldest_item_seconds: reading.oldest.map(|age| age.as_secs_f64()),
    }
}

fn heartbeat_row(name: String, pulse: &AtomicU64, limit: Duration, elapsed: Duration) -> Row {
    let beat = Duration::from_millis(pulse.load(Ordering::Relaxed));
    let silence = elapsed.saturating_sub(beat);
    let status = if silence <= limit {
        Status::Ok
    } else {
        Status::Dead(format!("no progress for {} s", silence.as_secs()))
    };
    let mut row = row(Kind::Heartbeat, name, Reading::new(status));
    row.last_progress_seconds = Some(silence.as_secs_f64());
    row
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A row's place; gives it up when dropped.
struct Place {
    health: Health,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let gone = self.health.inner.state.lock().watched.remove(&self.id);
        // a probe may own anything: it is dropped after the lock
        drop(gone);
    }
}

/// A component's own word on how it is.
pub struct ComponentHealth(Place);

impl ComponentHealth {
    /// Says how it is; not for the request clock.
    pub fn set(&self, status: Status) {
        let mut state = self.0.health.inner.state.lock();
        if let Some(watched) = state.watched.get_mut(&self.0.id) {
            watched.what = What::Component(status);
        }
    }
}

/// A task's sign that it goes on.
pub struct Heartbeat {
    /// Milliseconds of elapsed time at the last beat. Relaxed: one number, read for an age of seconds.
    pulse: Arc<AtomicU64>,
    clock: Clock,
    _place: Place,
}

impl Heartbeat {
    /// Shows progress; one clock reading and one relaxed store.
    pub fn beat(&self) {
        self.pulse
            .store(millis(self.clock.elapsed()), Ordering::Relaxed);
    }
}

/// Keeps a probe registered.
#[must_use = "the probe is forgotten with its guard"]
pub struct ProbeGuard {
    _place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::clock::ManualClock;

    fn health() -> (Health, ManualClock, Tasks) {
        let manual = ManualClock::new(Nanos(1_000_000_000));
        let tasks = Tasks::new();
        (Health::new(manual.clock(), tasks.clone()), manual, tasks)
    }

    #[test]
    fn nothing_is_available_before_the_start_and_while_draining() {
        let (health, manual, _) = health();
        assert_eq!(health.report().available().causes, ["not started yet"]);
        assert!(health.report().live().is_yes(), "starting is alive");
        health.service_ready();
        manual.advance(Duration::from_secs(3));
        let report = health.report();
        assert!(report.available().is_yes() && report.ready().is_yes());
        assert_eq!(report.uptime, Duration::from_secs(3));
        assert_eq!(report.up_since, Some(Nanos(1_000_000_000)));
        health.service_stopping();
        let report = health.report();
        assert!(report.live().is_yes() && !report.ready().is_yes());
    }

    /// R-ASK-7
    #[tokio::test]
    async fn a_dead_task_turns_it_red_by_name_until_it_is_restarted() {
        let (health, _, tasks) = health();
        health.service_ready();
        drop(tasks.spawn("otlp queue", async { panic!("oops") }).await);
        for answer in [
            health.report().live(),
            health.report().available(),
            health.report().ready(),
        ] {
            assert_eq!(answer.causes, ["otlp queue: panicked: oops"]);
        }
        let running = tasks.spawn("otlp queue", std::future::pending::<()>());
        assert!(health.report().live().is_yes());
        running.abort();
    }

    /// R-ASK-7
    #[test]
    fn a_silent_heartbeat_is_dead_and_a_beat_revives_it() {
        let (health, manual, _) = health();
        health.service_ready();
        let heartbeat = health.heartbeat("tick", Duration::from_secs(10));
        manual.advance(Duration::from_secs(10));
        assert!(health.report().live().is_yes());
        manual.advance(Duration::from_secs(1));
        assert_eq!(
            health.report().live().causes,
            ["tick: no progress for 11 s"]
        );
        heartbeat.beat();
        assert!(health.report().live().is_yes());
        manual.advance(Duration::from_secs(60));
        drop(heartbeat);
        assert!(
            health.report().live().is_yes(),
            "a task that ended needs no beat"
        );
    }

    #[test]
    fn readiness_follows_permanent_errors_and_probes() {
        let (health, _, _) = health();
        health.service_ready();
        let exporter = health.component("exporters/otlp");
        exporter.set(Status::Recoverable("connection refused".into()));
        assert!(health.report().ready().is_yes(), "a retry is under way");
        exporter.set(Status::Permanent("unauthenticated".into()));
        assert_eq!(
            health.report().ready().causes,
            ["exporters/otlp: unauthenticated"]
        );
        assert!(
            health.report().available().is_yes(),
            "a restart would not help"
        );
        drop(exporter);
        let full = || Reading::new(Status::Recoverable("memory is short".into())).not_ready();
        let guard = health.probe("processors/memory_limiter", full);
        assert_eq!(
            health.report().ready().causes,
            ["processors/memory_limiter: memory is short"]
        );
        drop(guard);
        assert!(health.report().ready().is_yes());
        assert!(health.report().rows.is_empty());
    }

    #[test]
    fn a_probe_tells_the_age_of_its_oldest_item() {
        let (health, _, _) = health();
        let age = Some(Duration::from_millis(1_500));
        let _guard = health.probe("exporters/otlp queue", move || {
            Reading::ok().with_oldest(age)
        });
        let rows = health.report().rows;
        assert_eq!(rows[0].oldest_item_seconds, Some(1.5));
        let json = serde_json::to_value(&rows[0]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"kind": "probe", "name": "exporters/otlp queue", "status": "ok",
                "is_ready": true, "oldest_item_seconds": 1.5})
        );
    }
}
