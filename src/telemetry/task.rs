//! Named tasks and threads: the only way to spawn.
//!
//! ```text
//! spawn(name, future) ─▶ tokio task ─ poll inside catch_unwind ─┬▶ value      ─▶ row forgotten
//! spawn_thread(name, f) ─▶ std thread ─ inside catch_unwind ────┴▶ panic      ─▶ counted, logged, row shown as dead
//! ```
//!
//! A panic ends its task and nothing else (the release profile unwinds). The owner of the task restarts or drains it: a
//! spawn under the name of a dead task is its restart, and takes the red mark away. Of tasks of which many come and go,
//! such as connections, one that panics is counted but leaves no mark ([`spawn_one_of_many`]).
//!
//! **Bounds.** [`MAX_NAMES`] names; what comes beyond is shown together as `_other`.
//! **Invariants.** Every task is in exactly one row while it lives.
//! **Not here.** Restarting, deadlines, joining: the owner's.

use crate::telemetry::definition::MetricDef;
use parking_lot::Mutex;
use prometheus::IntCounterVec;
use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::error;

/// Most names shown one by one; names come from the configuration, so this is a guard against a mistake of ours.
pub const MAX_NAMES: usize = 1_024;

/// The name under which the rest is shown.
const OTHER: &str = "_other";

/// Longest panic message kept, in bytes.
const MAX_MESSAGE: usize = 256;

/// Panics by task.
pub const PANICS: MetricDef = MetricDef::counter(
    "agentguard_task_panics_total",
    "Panics caught, by the name of the task.",
)
.labels(&["task"]);

/// The tasks of the process.
static PROCESS: LazyLock<Tasks> = LazyLock::new(Tasks::new);

/// A task's name: a literal, or made of a component's id.
pub type TaskName = Cow<'static, str>;

/// Starts a task of this process that is meant to run until it is told to stop; its panic turns health red.
pub fn spawn<F>(name: impl Into<TaskName>, future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Tasks::process().spawn(name, future)
}

/// Starts one of many short tasks of a kind, such as a connection; its panic is counted and logged only.
pub fn spawn_one_of_many<F>(name: impl Into<TaskName>, future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Tasks::process().spawn_one_of_many(name, future)
}

/// Starts a thread of this process; its panic turns health red.
///
/// # Errors
/// When the operating system gives no more threads.
pub fn spawn_thread<F, T>(name: impl Into<TaskName>, work: F) -> io::Result<Thread<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Tasks::process().spawn_thread(name, work)
}

/// What is known of the tasks of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskRow {
    /// How many run now.
    pub alive: u64,
    /// How many ended by a panic and were not started anew.
    pub dead: u64,
    /// How often one of this name panicked while the row was kept.
    pub panics: u64,
    /// What the last panic said.
    pub last_panic: Option<String>,
}

/// A table of tasks. The process has one ([`Tasks::process`]); a test of health makes its own.
#[derive(Clone)]
pub struct Tasks {
    table: Arc<Table>,
}

struct Table {
    /// Touched when a task starts or ends and when health is asked: second clock, so a lock.
    rows: Mutex<BTreeMap<TaskName, TaskRow>>,
    panics: IntCounterVec,
}

impl Tasks {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "name and label are constants that the definition's test has checked"
        )]
        let panics = IntCounterVec::new(PANICS.opts(), PANICS.labels).expect("a valid definition");
        Tasks {
            table: Arc::new(Table {
                rows: Mutex::new(BTreeMap::new()),
                panics,
            }),
        }
    }

    /// The table of everything that [`spawn`] and [`spawn_thread`] started.
    #[must_use]
    pub fn process() -> &'static Tasks {
        &PROCESS
    }

    /// As [`spawn`], in this table.
    pub fn spawn<F>(&self, name: impl Into<TaskName>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.start(self.enter(name.into(), true), future)
    }

    /// As [`spawn_one_of_many`], in this table.
    pub fn spawn_one_of_many<F>(&self, name: impl Into<TaskName>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.start(self.enter(name.into(), false), future)
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that spawns tasks")]
    fn start<F>(&self, presence: Presence, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (running, ended) = watch::channel(());
        let handle = tokio::spawn(Caught {
            future: Box::pin(future),
            presence,
            _running: running,
        });
        Task { handle, ended }
    }

    /// As [`spawn_thread`], in this table.
    ///
    /// # Errors
    /// When the operating system gives no more threads.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that spawns threads"
    )]
    pub fn spawn_thread<F, T>(&self, name: impl Into<TaskName>, work: F) -> io::Result<Thread<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let mut presence = self.enter(name.into(), true);
        let builder = std::thread::Builder::new().name(presence.name.to_string());
        let handle = builder.spawn(move || {
            catch_unwind(AssertUnwindSafe(work)).map_err(|panic| presence.died(panic.as_ref()))
        })?;
        Ok(Thread(handle))
    }

    /// All rows, by name.
    #[must_use]
    pub fn rows(&self) -> Vec<(TaskName, TaskRow)> {
        let rows = self.table.rows.lock();
        rows.iter()
            .map(|(name, row)| (name.clone(), row.clone()))
            .collect()
    }

    /// The counter of panics, for the registry.
    #[must_use]
    pub(super) fn panics(&self) -> IntCounterVec {
        self.table.panics.clone()
    }

    fn enter(&self, name: TaskName, is_marked: bool) -> Presence {
        let mut rows = self.table.rows.lock();
        let name = if rows.len() < MAX_NAMES || rows.contains_key(&name) {
            name
        } else {
            Cow::Borrowed(OTHER)
        };
        let row = rows.entry(name.clone()).or_default();
        row.alive += 1;
        if is_marked {
            row.dead = row.dead.saturating_sub(1);
        }
        Presence {
            table: Arc::clone(&self.table),
            name,
            is_marked,
        }
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

/// A task's entry in the table; leaves it when dropped, however the task ends.
struct Presence {
    table: Arc<Table>,
    name: TaskName,
    is_marked: bool,
}

impl Presence {
    /// Counts and logs a panic; returns its message.
    fn died(&mut self, panic: &(dyn Any + Send)) -> Ended {
        let message = message_of(panic);
        error!(task = %self.name, panic = %message, "task panicked");
        self.table.panics.with_label_values(&[&*self.name]).inc();
        if let Some(row) = self.table.rows.lock().get_mut(&self.name) {
            row.panics += 1;
            row.last_panic = Some(message.clone());
            row.dead += u64::from(self.is_marked);
        }
        Ended::Panicked(message)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut rows = self.table.rows.lock();
        if let Some(row) = rows.get_mut(&self.name) {
            row.alive = row.alive.saturating_sub(1);
            if row.alive == 0 && row.dead == 0 {
                rows.remove(&self.name);
            }
        }
    }
}

/// What a panic said, bounded.
fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message");
    text[..text.floor_char_boundary(MAX_MESSAGE)].to_owned()
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// It panicked with this message; already counted and logged.
    #[error("panicked: {0}")]
    Panicked(String),
    /// It was aborted, or its runtime shut down.
    #[error("cancelled")]
    Cancelled,
}

/// A future whose panics are caught.
struct Caught<F> {
    /// Boxed, because pinning it in place would take `unsafe`; one allocation per task.
    future: Pin<Box<F>>,
    presence: Presence,
    /// Closed with the task, for those who wait for its end without its value.
    _running: watch::Sender<()>,
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Ended>;

    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match catch_unwind(AssertUnwindSafe(|| this.future.as_mut().poll(ctx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(this.presence.died(panic.as_ref()))),
        }
    }
}

/// A handle on a task: await it for its value. Dropping it leaves the task running.
pub struct Task<T = ()> {
    handle: JoinHandle<Result<T, Ended>>,
    ended: watch::Receiver<()>,
}

impl<T> Task<T> {
    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Waits until it has ended, in whatever way; cancel-safe.
    pub async fn finished(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    /// Whether it has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Ended>;

    /// Cancel-safe: a handle that was polled may be polled again.
    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle)
            .poll(ctx)
            .map(|joined| joined.unwrap_or(Err(Ended::Cancelled)))
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.handle.id()).finish()
    }
}

/// Lets hyper start its tasks under a name, each one of many.
#[derive(Clone, Copy, Debug)]
pub struct Executor(pub &'static str);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(spawn_one_of_many(self.0, future));
    }
}

/// A handle on a thread. Dropping it leaves the thread running.
#[derive(Debug)]
pub struct Thread<T>(std::thread::JoinHandle<Result<T, Ended>>);

impl<T> Thread<T> {
    /// Waits for the thread's value; blocks.
    ///
    /// # Errors
    /// [`Ended::Panicked`] if it panicked.
    pub fn join(self) -> Result<T, Ended> {
        self.0
            .join()
            .unwrap_or_else(|panic| Err(Ended::Panicked(message_of(panic.as_ref()))))
    }

    /// Whether it has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_counted_and_shown_by_name() {
        let tasks = Tasks::new();
        let task = tasks.spawn("queue", async { panic!("at the disco") });
        assert_eq!(
            task.await,
            Err::<(), _>(Ended::Panicked("at the disco".into()))
        );
        let rows = tasks.rows();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].0, "queue");
        assert_eq!(
            (rows[0].1.alive, rows[0].1.dead, rows[0].1.panics),
            (0, 1, 1)
        );
        assert_eq!(tasks.panics().with_label_values(&["queue"]).get(), 1);
    }

    #[tokio::test]
    async fn a_restart_takes_the_red_mark_away() {
        let tasks = Tasks::new();
        drop(tasks.spawn("queue", async { panic!("once") }).await);
        let again = tasks.spawn("queue", async { 7 });
        assert_eq!(tasks.rows()[0].1.dead, 0);
        assert_eq!(again.await, Ok(7));
        assert!(
            tasks.rows().is_empty(),
            "a task that ended well is forgotten"
        );
    }

    #[tokio::test]
    async fn one_of_many_leaves_no_mark() {
        let tasks = Tasks::new();
        let task = tasks.spawn_one_of_many("connection", async { panic!("bad peer") });
        assert!(task.await.is_err());
        assert!(tasks.rows().is_empty());
        assert_eq!(tasks.panics().with_label_values(&["connection"]).get(), 1);
    }

    #[tokio::test]
    async fn an_aborted_task_is_cancelled_not_dead() {
        let tasks = Tasks::new();
        let task = tasks.spawn("forever", std::future::pending::<()>());
        assert_eq!(tasks.rows()[0].1.alive, 1);
        task.abort();
        task.finished().await;
        assert_eq!(task.await, Err(Ended::Cancelled));
        assert!(tasks.rows().is_empty());
    }

    #[test]
    fn a_thread_that_panics_is_counted_as_well() {
        let tasks = Tasks::new();
        let thread = tasks
            .spawn_thread("shard-0", || panic!("{}", "é".repeat(400)))
            .unwrap();
        let Err::<(), _>(Ended::Panicked(message)) = thread.join() else {
            panic!("the thread did not panic")
        };
        assert_eq!(message.len(), MAX_MESSAGE, "messages are bounded");
        assert_eq!(tasks.rows()[0].1.dead, 1);
        let sum = tasks.spawn_thread("sum", || 1 + 1).unwrap().join();
        assert_eq!(sum, Ok(2));
    }

    #[tokio::test]
    async fn names_are_bounded() {
        let tasks = Tasks::new();
        let running: Vec<_> = (0..MAX_NAMES + 10)
            .map(|i| tasks.spawn(format!("t{i}"), std::future::pending::<()>()))
            .collect();
        assert_eq!(tasks.rows().len(), MAX_NAMES + 1);
        let other = tasks.rows().into_iter().find(|(name, _)| name == OTHER);
        assert_eq!(other.map(|(_, row)| row.alive), Some(10));
        running.iter().for_each(Task::abort);
    }
}
