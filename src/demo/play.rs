//! Plays a system: from its data, a seed and the time to the spans that its processes send.
//!
//! A run is worked out whole when it starts, span by span with all its times; what has ended is handed out as time
//! passes, process by process, as batch exporters do. A discrete simulation with a single stream of random numbers.

use crate::base::{Nanos, Random, SpanId, TraceId};
use crate::demo::faults::Schedule;
use crate::demo::run::Run;
use crate::demo::span::PlayedSpan;
use crate::demo::system::{Component, Kind, Latency, System};
use std::collections::BTreeMap;
use std::time::Duration;

/// A log-normal sample is cut here, in medians.
const LONGEST: f64 = 8.0;

/// What was missed for longer, by a machine that slept, say, is left out instead of played at once.
const CATCH_UP: Duration = Duration::from_secs(10);

/// What one process sends at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Its `service.name`.
    pub process: &'static str,
    /// Spans that have ended, earliest first.
    pub spans: Vec<PlayedSpan>,
}

/// Plays a system as time passes.
#[derive(Clone, Debug)]
pub struct Player {
    pub(super) system: &'static System,
    pub(super) schedule: Schedule,
    pub(super) random: Random,
    /// When each entry starts next.
    next: Vec<Nanos>,
    /// Spans of runs under way, by end; the number keeps those of one moment in order.
    pending: BTreeMap<(Nanos, u64), PlayedSpan>,
    recorded: u64,
}

impl Player {
    /// Nothing has happened yet; the first runs start at `now`.
    #[must_use]
    pub fn new(system: &'static System, schedule: Schedule, seed: u64, now: Nanos) -> Self {
        Player {
            system,
            schedule,
            random: Random::seeded(seed),
            next: system.entries.iter().map(|_| now).collect(),
            pending: BTreeMap::new(),
            recorded: 0,
        }
    }

    /// Lets time pass: starts what is due, and hands out what has ended since, in order of the processes' names.
    pub fn until(&mut self, now: Nanos) -> Vec<Flush> {
        for next in &mut self.next {
            if now.since(*next) > CATCH_UP {
                *next = now;
            }
        }
        for (at, entry) in self.system.entries.iter().enumerate() {
            while let Some(start) = self.next.get(at).copied().filter(|start| *start <= now) {
                if let Some(component) = self.system.component(entry.component) {
                    self.run(component, start);
                }
                let jitter = entry.every.mul_f64(0.75 + 0.5 * self.random.unit());
                if let Some(next) = self.next.get_mut(at) {
                    // an entry that is always due would keep us here
                    *next = start.plus(jitter.max(Duration::from_millis(1)));
                }
            }
        }
        self.ended(now)
    }

    /// The same, starting nothing new: for the end of a demonstration, until it [`is_idle`](Self::is_idle).
    pub fn ended(&mut self, now: Nanos) -> Vec<Flush> {
        let later = self.pending.split_off(&(Nanos(now.0.saturating_add(1)), 0));
        let ended = std::mem::replace(&mut self.pending, later);
        let mut flushes = BTreeMap::<&'static str, Vec<PlayedSpan>>::new();
        for span in ended.into_values() {
            flushes.entry(span.process).or_default().push(span);
        }
        flushes
            .into_iter()
            .map(|(process, spans)| Flush { process, spans })
            .collect()
    }

    /// Whether no run is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// A run from an entry.
    fn run(&mut self, component: &'static Component, start: Nanos) {
        let trace = self.trace_id();
        let mut run = Run {
            player: self,
            trace,
        };
        match component.kind {
            Kind::Service => run.served(component, None, start),
            _ => run.worked(component, component.process, None, start),
        };
    }

    pub(super) fn trace_id(&mut self) -> TraceId {
        let bits = u128::from(self.random.bits()) << 64 | u128::from(self.random.bits() | 1);
        TraceId(bits.to_be_bytes())
    }

    pub(super) fn span_id(&mut self) -> SpanId {
        SpanId((self.random.bits() | 1).to_be_bytes())
    }

    pub(super) fn sample(&mut self, latency: Latency) -> Duration {
        // Box and Muller 1958
        let (u, v) = (1.0 - self.random.unit(), self.random.unit());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let factor = (latency.spread * normal).exp().min(LONGEST);
        latency.median.mul_f64(factor)
    }

    pub(super) fn record(&mut self, span: PlayedSpan) {
        self.recorded += 1;
        self.pending.insert((span.end, self.recorded), span);
    }
}
