//! The limiter of a component, its checker, and the processors that ask it.

use super::config::MemoryLimiterConfig;
use super::level::{Level, Limits, Watermark};
use super::metrics::MemoryLimiterMetrics;
use crate::base::sync::{AtomicBool, AtomicU64, Ordering};
use crate::otlp::Signal;
use crate::pipeline::{Batch, BoxFuture, Cause, Component, Consumer, Reservation, Verdict};
use crate::telemetry::health::{Heartbeat, ProbeGuard, Reading, Status};
use crate::telemetry::task::{self, Task};
use crate::telemetry::{ProcessorMetrics, Telemetry, proc};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// When a refused sender should try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Tells the memory in use, in bytes; `None` where that cannot be told.
type ReadMemory = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// A limiter cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum MemoryLimiterError {
    /// Percentages of a memory whose size the system does not tell.
    #[error(
        "the size of the memory is not known, so percentages of it are not either; set `limit_mib`"
    )]
    UnknownTotal,
}

/// The limiter of one component, shared by its processors.
pub struct MemoryLimiter {
    shared: Arc<Shared>,
    /// The checker while it runs; touched at start and stop.
    running: Mutex<Option<Running>>,
    telemetry: Arc<Telemetry>,
}

struct Running {
    stop: watch::Sender<bool>,
    task: Task,
    _probe: ProbeGuard,
}

/// What checker and processors share.
struct Shared {
    name: String,
    limits: Limits,
    check_interval: Duration,
    read: ReadMemory,
    /// Relaxed: a request that misses a change by a moment is within the spike limit.
    is_refusing: AtomicBool,
    /// The last reading, for messages.
    used: AtomicU64,
    metrics: MemoryLimiterMetrics,
}

impl MemoryLimiter {
    /// A limiter for a component's id; checks nothing before it is started.
    ///
    /// # Errors
    /// When percentages are configured and the size of the memory is not known.
    pub fn build(
        config: &MemoryLimiterConfig,
        name: &str,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Arc<Self>, MemoryLimiterError> {
        Self::reading(config, name, telemetry, Arc::new(proc::resident_bytes))
    }

    fn reading(
        config: &MemoryLimiterConfig,
        name: &str,
        telemetry: &Arc<Telemetry>,
        read: ReadMemory,
    ) -> Result<Arc<Self>, MemoryLimiterError> {
        let limits = config
            .limits(proc::total_bytes())
            .ok_or(MemoryLimiterError::UnknownTotal)?;
        let metrics = MemoryLimiterMetrics::new(telemetry, name);
        metrics.hard.set(shown(limits.hard));
        metrics.soft.set(shown(limits.soft));
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            limits,
            check_interval: config.check_interval,
            read,
            is_refusing: AtomicBool::new(false),
            used: AtomicU64::new(0),
            metrics,
        });
        Ok(Arc::new(MemoryLimiter {
            shared,
            running: Mutex::new(None),
            telemetry: Arc::clone(telemetry),
        }))
    }

    /// A processor of this limiter in a pipeline of this signal.
    #[must_use]
    pub fn processor(&self, signal: Signal, next: Arc<dyn Consumer>) -> MemoryLimiterProcessor {
        MemoryLimiterProcessor {
            limiter: Arc::clone(&self.shared),
            metrics: ProcessorMetrics::new(&self.telemetry, &self.shared.name, signal),
            next,
        }
    }

    /// Whether data is being refused.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.shared.is_refusing.load(Ordering::Relaxed)
    }

    fn run(&self) -> Running {
        let health = self.telemetry.health();
        let shared = Arc::clone(&self.shared);
        let label = format!("processors/{}", shared.name);
        let probe = health.probe(label.clone(), move || shared.reading());
        // a checker that is late by ten intervals is stuck
        let max_silence = self.shared.check_interval * 10 + Duration::from_secs(10);
        let mut checker = Checker {
            shared: Arc::clone(&self.shared),
            watermark: Watermark::new(self.shared.limits),
            level: Level::Normal,
            is_blind: false,
            heartbeat: health.heartbeat(label, max_silence),
        };
        checker.measure();
        let (stop, stopped) = watch::channel(false);
        let name = format!("{} check", self.shared.name);
        Running {
            stop,
            task: task::spawn(name, checker.run(stopped)),
            _probe: probe,
        }
    }
}

impl Component for MemoryLimiter {
    /// Starts the checker; the first check is made before this returns. Starting again is harmless.
    fn start(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let limits = self.shared.limits;
            let mut running = self.running.lock();
            if running.is_none() {
                info!(
                    processor = %self.shared.name, soft_mib = limits.soft >> 20, hard_mib = limits.hard >> 20,
                    "memory limiter started"
                );
                *running = Some(self.run());
            }
            Ok(())
        })
    }

    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()> {
        let running = self.running.lock().take();
        Box::pin(async move {
            let Some(running) = running else { return };
            running.stop.send_replace(true);
            if tokio::time::timeout(deadline, running.task.finished())
                .await
                .is_err()
            {
                running.task.abort();
            }
        })
    }
}

impl Shared {
    /// Refuses nothing, until the next reading.
    fn allow(&self) {
        self.is_refusing.store(false, Ordering::Relaxed);
        self.metrics.refusing.set(0);
    }

    fn reading(&self) -> Reading {
        if self.is_refusing.load(Ordering::Relaxed) {
            let cause = self.cause().to_string();
            Reading::new(Status::Recoverable(cause)).not_ready()
        } else {
            Reading::ok()
        }
    }

    fn cause(&self) -> Cause {
        let used = self.used.load(Ordering::Relaxed) >> 20;
        let limit = self.limits.hard >> 20;
        Cause::new(format!(
            "memory is short: {used} MiB of {limit} MiB are in use"
        ))
    }
}

/// Measures until told to stop.
struct Checker {
    shared: Arc<Shared>,
    watermark: Watermark,
    level: Level,
    /// Whether a reading has failed; said once.
    is_blind: bool,
    heartbeat: Heartbeat,
}

impl Checker {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.shared.check_interval) => self.measure(),
                // the limiter was stopped, or is gone
                _ = stopped.changed() => break,
            }
        }
        self.shared.allow();
    }

    fn measure(&mut self) {
        self.heartbeat.beat();
        match (self.shared.read)() {
            Some(used) => self.check(used),
            None if self.is_blind => {}
            None => {
                self.is_blind = true;
                self.level = Level::Normal;
                self.shared.allow();
                let processor = &*self.shared.name;
                warn!(
                    processor,
                    "memory in use cannot be read here, nothing will be refused"
                );
            }
        }
    }

    fn check(&mut self, used: u64) {
        let shared = &self.shared;
        let level = self.watermark.observe(used);
        shared.used.store(used, Ordering::Relaxed);
        shared
            .is_refusing
            .store(level != Level::Normal, Ordering::Relaxed);
        shared.metrics.used.set(shown(used));
        shared.metrics.soft.set(shown(self.watermark.soft()));
        shared
            .metrics
            .refusing
            .set(i64::from(level != Level::Normal));
        let used_mib = used >> 20;
        match (self.level, level) {
            (before, now) if before == now => {}
            (_, Level::Normal) => {
                info!(processor = %shared.name, used_mib, "memory is back within limits")
            }
            (_, Level::Soft) => {
                warn!(processor = %shared.name, used_mib, "memory is above the soft limit, refusing data")
            }
            (_, Level::Hard) => {
                error!(processor = %shared.name, used_mib, "memory is above the hard limit, refusing data")
            }
        }
        self.level = level;
    }
}

fn shown(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The limiter in one pipeline.
pub struct MemoryLimiterProcessor {
    limiter: Arc<Shared>,
    metrics: ProcessorMetrics,
    next: Arc<dyn Consumer>,
}

impl Consumer for MemoryLimiterProcessor {
    fn reserve(&self, batch: Batch, reservation: &mut Reservation) -> Result<(), Verdict> {
        let items = u64::from(batch.items);
        self.metrics.incoming(items);
        if self.limiter.is_refusing.load(Ordering::Relaxed) {
            self.metrics.refused(items, "memory");
            return Err(Verdict::Refused {
                after: RETRY_AFTER,
                source: self.limiter.cause(),
            });
        }
        self.next.reserve(batch, reservation)?;
        self.metrics.outgoing(items);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Fanout;
    use crate::telemetry::task::Tasks;
    use crate::telemetry::{Clock, MetricsSource};
    use bytes::Bytes;

    const MIB: u64 = 1 << 20;

    struct Bench {
        telemetry: Arc<Telemetry>,
        limiter: Arc<MemoryLimiter>,
        processor: MemoryLimiterProcessor,
        used: Arc<AtomicU64>,
    }

    fn bench(reads: bool) -> Bench {
        let telemetry = Arc::new(Telemetry::with(Clock::system(), Tasks::new()));
        let used = Arc::new(AtomicU64::new(MIB));
        let gauge = Arc::clone(&used);
        let config = MemoryLimiterConfig {
            limit_mib: 100,
            ..Default::default()
        };
        let read: ReadMemory = Arc::new(move || reads.then(|| gauge.load(Ordering::Relaxed)));
        let limiter = MemoryLimiter::reading(&config, "memory_limiter", &telemetry, read).unwrap();
        let processor = limiter.processor(Signal::Traces, Arc::new(Fanout(Vec::new())));
        Bench {
            telemetry,
            limiter,
            processor,
            used,
        }
    }

    impl Bench {
        fn offer(&self) -> Result<(), Verdict> {
            let batch = Batch {
                signal: Signal::Traces,
                bytes: Bytes::new(),
                items: 10,
            };
            self.processor.reserve(batch, &mut Reservation::default())
        }

        async fn set_used(&self, bytes: u64) {
            self.used.store(bytes, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(2)).await;
        }

        fn scraped(&self, line: &str) -> bool {
            let mut text = String::new();
            let format = crate::telemetry::Format::Classic;
            self.telemetry.registry().render(format, &mut text);
            text.lines().any(|found| found == line)
        }
    }

    /// R-STR-6
    #[tokio::test(start_paused = true)]
    async fn data_is_refused_above_the_soft_limit_and_taken_below_it() {
        let bench = bench(true);
        bench.telemetry.health().service_ready();
        bench.limiter.start().await.unwrap();
        bench.limiter.start().await.unwrap();
        assert_eq!(bench.offer(), Ok(()));
        bench.set_used(80 * MIB).await;
        let Err(Verdict::Refused { after, source }) = bench.offer() else {
            panic!("not refused");
        };
        assert_eq!(after, Duration::from_secs(1));
        assert_eq!(
            source.as_str(),
            "memory is short: 80 MiB of 100 MiB are in use"
        );
        assert!(
            bench.scraped("agentguard_memory_limiter_refusing{processor=\"memory_limiter\"} 1")
        );
        let ready = bench.telemetry.health().report().ready();
        assert!(ready.causes[0].contains("memory is short"), "{ready:?}");
        assert!(bench.telemetry.health().report().live().is_yes());
        bench.set_used(79 * MIB).await;
        assert_eq!(bench.offer(), Ok(()));
        assert!(bench.telemetry.health().report().ready().is_yes());
        let labels = "processor=\"memory_limiter\"";
        let labels = format!("otel_signal=\"traces\",{labels}");
        assert!(bench.scraped(&format!(
            "otelcol_processor_incoming_items_total{{{labels}}} 30"
        )));
        assert!(bench.scraped(&format!(
            "otelcol_processor_outgoing_items_total{{{labels}}} 20"
        )));
        let refused =
            format!("agentguard_processor_refused_items_total{{{labels},reason=\"memory\"}} 10");
        assert!(bench.scraped(&refused));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_limiter_refuses_nothing_and_leaves_no_task() {
        let bench = bench(true);
        bench.limiter.shutdown(Duration::from_secs(1)).await;
        bench.limiter.start().await.unwrap();
        bench.set_used(100 * MIB).await;
        assert!(bench.limiter.is_refusing());
        bench.limiter.shutdown(Duration::from_secs(1)).await;
        bench.limiter.shutdown(Duration::from_secs(1)).await;
        assert_eq!(bench.offer(), Ok(()));
        assert!(bench.telemetry.health().report().rows.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_reading_nothing_is_refused_and_the_checker_is_alive() {
        let bench = bench(false);
        bench.telemetry.health().service_ready();
        bench.limiter.start().await.unwrap();
        bench.set_used(1_000 * MIB).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(bench.offer(), Ok(()));
        assert!(bench.telemetry.health().report().ready().is_yes());
        bench.limiter.shutdown(Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn the_real_reading_refuses_under_a_limit_below_it() {
        let telemetry = Arc::new(Telemetry::with(Clock::system(), Tasks::new()));
        let config = MemoryLimiterConfig {
            limit_mib: 1,
            check_interval: Duration::from_millis(5),
            ..Default::default()
        };
        let limiter = MemoryLimiter::build(&config, "memory_limiter", &telemetry).unwrap();
        limiter.start().await.unwrap();
        let refusing = async {
            while !limiter.is_refusing() {
                tokio::task::yield_now().await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(5), refusing).await;
        assert_eq!(seen.is_ok(), cfg!(target_os = "linux"));
        limiter.shutdown(Duration::from_secs(1)).await;
    }

    #[test]
    fn metric_definitions_keep_the_naming_rules() {
        for def in super::super::metrics::DEFINITIONS {
            assert!(def.problems().is_empty(), "{:?}", def.problems());
        }
    }
}
