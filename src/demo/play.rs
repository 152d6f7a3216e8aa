//! Plays a system: from its data, a seed and the time to the spans that its processes send.
//!
//! A run is worked out whole when it starts, span by span with all its times; what has ended is handed out as time
//! passes, process by process, as batch exporters do. A discrete simulation with a single stream of random numbers.

use crate::base::{Nanos, Random, SpanId, TraceId};
use crate::demo::faults::{Effect, Schedule};
use crate::demo::span::{PlayedSpan, SpanKind, Value};
use crate::demo::system::{Call, Component, Kind, Latency, Step, System};
use crate::otlp::semconv;
use std::collections::BTreeMap;
use std::time::Duration;

/// A failure costs this share of what an answer would: it is refused at the door.
const REFUSED_AFTER: f64 = 0.15;

/// A log-normal sample is cut here, in medians.
const LONGEST: f64 = 8.0;

/// Before a call is tried again.
const BACKOFF: Duration = Duration::from_millis(40);

/// One way over the network.
const HOP: Latency = Latency {
    median: Duration::from_micros(600),
    spread: 0.4,
};

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
    system: &'static System,
    schedule: Schedule,
    random: Random,
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

    /// The same, starting nothing new: for the end of a demonstration. Empty for good when nothing is [`Self::is_idle`].
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

    fn trace_id(&mut self) -> TraceId {
        let bits = u128::from(self.random.bits()) << 64 | u128::from(self.random.bits() | 1);
        TraceId(bits.to_be_bytes())
    }

    fn span_id(&mut self) -> SpanId {
        SpanId((self.random.bits() | 1).to_be_bytes())
    }

    fn sample(&mut self, latency: Latency) -> Duration {
        // Box and Muller 1958
        let (u, v) = (1.0 - self.random.unit(), self.random.unit());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let factor = (latency.spread * normal).exp().min(LONGEST);
        latency.median.mul_f64(factor)
    }

    fn record(&mut self, span: PlayedSpan) {
        self.recorded += 1;
        self.pending.insert((span.end, self.recorded), span);
    }
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug)]
struct Done {
    end: Nanos,
    error: Option<&'static str>,
}

/// One trace in the making.
struct Run<'p> {
    player: &'p mut Player,
    trace: TraceId,
}

impl Run<'_> {
    /// A call with its tries and its fallback.
    fn call(&mut self, call: &Call, from: &'static str, parent: SpanId, at: Nanos) -> Done {
        let mut done = self.try_once(call.to, from, parent, at);
        for _ in 0..call.retries {
            if done.error.is_none() {
                return done;
            }
            done = self.try_once(call.to, from, parent, done.end.plus(BACKOFF));
        }
        match call.fallback {
            Some(other) if done.error.is_some() => self.try_once(other, from, parent, done.end),
            _ => done,
        }
    }

    /// One call as both sides record it.
    fn try_once(&mut self, to: &str, from: &'static str, parent: SpanId, at: Nanos) -> Done {
        let Some(callee) = self.player.system.component(to) else {
            return Done {
                end: at,
                error: None,
            };
        };
        match callee.kind {
            Kind::Agent if callee.process != from => self.remote_agent(callee, from, parent, at),
            Kind::Service => self.http(callee, from, parent, at),
            Kind::Queue { .. } => self.published(callee, from, parent, at),
            _ => self.worked(callee, from, Some(parent), at),
        }
    }

    /// An agent in another process: the stand-in's span, the HTTP pair, the agent's own span.
    fn remote_agent(
        &mut self,
        callee: &'static Component,
        from: &'static str,
        parent: SpanId,
        at: Nanos,
    ) -> Done {
        let id = self.player.span_id();
        let done = self.http(callee, from, id, at);
        let mut attributes = named(callee);
        attributes.push((semconv::SERVER_ADDRESS, callee.process.into()));
        self.close(
            Opened {
                process: from,
                id,
                parent: Some(parent),
                kind: SpanKind::Client,
                start: at,
            },
            done,
            format!("invoke_agent {}", callee.name),
            attributes,
        )
    }

    /// A request over HTTP: the client's span around the server's.
    fn http(
        &mut self,
        callee: &'static Component,
        from: &'static str,
        parent: SpanId,
        at: Nanos,
    ) -> Done {
        let id = self.player.span_id();
        let there = self.player.sample(HOP);
        let back = self.player.sample(HOP);
        let mut done = self.served(callee, Some(id), at.plus(there));
        done.end = done.end.plus(back);
        let (answer, mut attributes) = http(done);
        attributes.push((semconv::SERVER_ADDRESS, callee.process.into()));
        self.close(
            Opened {
                process: from,
                id,
                parent: Some(parent),
                kind: SpanKind::Client,
                start: at,
            },
            answer,
            "POST".to_owned(),
            attributes,
        );
        done
    }

    /// The server's side of a request, with what it makes the process do.
    fn served(&mut self, component: &'static Component, parent: Option<SpanId>, at: Nanos) -> Done {
        let id = self.player.span_id();
        let done = match component.kind {
            Kind::Agent => self.worked(component, component.process, Some(id), at),
            _ => self.work(component, component.process, id, at),
        };
        let (answer, attributes) = http(done);
        self.close(
            Opened {
                process: component.process,
                id,
                parent,
                kind: SpanKind::Server,
                start: at,
            },
            answer,
            format!("POST /{}", component.name),
            attributes,
        );
        done
    }

    /// A message that is sent, and what those do who read it, each in a trace of its own.
    fn published(
        &mut self,
        queue: &'static Component,
        from: &'static str,
        parent: SpanId,
        at: Nanos,
    ) -> Done {
        let id = self.player.span_id();
        let end = at.plus(self.player.sample(queue.own));
        let sent = self.trace;
        for name in queue.callees() {
            let Some(reader) = self.player.system.component(name) else {
                continue;
            };
            self.trace = self.player.trace_id();
            let read = self.player.span_id();
            let start = end.plus(self.player.sample(queue.own));
            let done = self.work(reader, reader.process, read, start);
            let mut span = self.span(
                Opened {
                    process: reader.process,
                    id: read,
                    parent: None,
                    kind: SpanKind::Consumer,
                    start,
                },
                done,
                format!("process {}", queue.name),
                message(queue, "process"),
            );
            span.link = Some((sent, id));
            self.player.record(span);
            self.trace = sent;
        }
        self.close(
            Opened {
                process: from,
                id,
                parent: Some(parent),
                kind: SpanKind::Producer,
                start: at,
            },
            Done { end, error: None },
            format!("send {}", queue.name),
            message(queue, "send"),
        )
    }

    /// A component's own span, in this process, around its work.
    fn worked(
        &mut self,
        component: &'static Component,
        process: &'static str,
        parent: Option<SpanId>,
        at: Nanos,
    ) -> Done {
        let id = self.player.span_id();
        let done = self.work(component, process, id, at);
        let mut attributes = named(component);
        let (kind, name) = match component.kind {
            Kind::Agent => (
                SpanKind::Internal,
                format!("invoke_agent {}", component.name),
            ),
            Kind::Tool => (
                SpanKind::Internal,
                format!("execute_tool {}", component.name),
            ),
            Kind::Model { .. } => {
                if done.error.is_none() {
                    self.answered(component, &mut attributes);
                }
                (SpanKind::Client, format!("chat {}", component.name))
            }
            _ => (SpanKind::Client, format!("SELECT {}", component.name)),
        };
        let opened = Opened {
            process,
            id,
            parent,
            kind,
            start: at,
        };
        self.close(opened, done, name, attributes)
    }

    /// What a model says with its answer.
    fn answered(&mut self, component: &Component, attributes: &mut Vec<(&'static str, Value)>) {
        let asked = 300 + i64::from(self.player.random.bits() as u16 % 2_000);
        let written = 40 + i64::from(self.player.random.bits() as u16 % 500);
        let id = format!("resp-{:016x}", self.player.random.bits());
        attributes.extend([
            (semconv::GEN_AI_RESPONSE_MODEL, component.name.into()),
            (semconv::GEN_AI_RESPONSE_ID, Value::Text(id)),
            (
                semconv::GEN_AI_RESPONSE_FINISH_REASONS,
                Value::List(vec!["stop".to_owned()]),
            ),
            (semconv::GEN_AI_USAGE_INPUT_TOKENS, asked.into()),
            (semconv::GEN_AI_USAGE_OUTPUT_TOKENS, written.into()),
        ]);
    }

    /// A component's work without a span of its own: what it suffers from, its own time, its steps.
    fn work(
        &mut self,
        component: &'static Component,
        process: &'static str,
        id: SpanId,
        at: Nanos,
    ) -> Done {
        let mut own = self.player.sample(component.own);
        let effects: Vec<Effect> = self.player.schedule.effects(component, at).collect();
        for effect in effects {
            match effect {
                Effect::Slows(factor) => own = own.mul_f64(factor.max(0.0)),
                Effect::Fails { share, error } => {
                    if self.player.random.unit() < share {
                        return Done {
                            end: at.plus(own.mul_f64(REFUSED_AFTER)),
                            error: Some(error),
                        };
                    }
                }
            }
        }
        let before = own.mul_f64(0.3);
        let mut now = at.plus(before);
        for step in component.steps {
            let done = self.step(step, process, id, now);
            now = done.end;
            if done.error.is_some() {
                return done;
            }
        }
        Done {
            end: now.plus(own - before),
            error: None,
        }
    }

    /// A step: when its slowest call has ended, and why it failed if a needed one did.
    fn step(&mut self, step: &Step, process: &'static str, id: SpanId, at: Nanos) -> Done {
        let mut all = Done {
            end: at,
            error: None,
        };
        for call in step.calls() {
            if self.player.random.unit() >= call.chance {
                continue;
            }
            let done = self.call(call, process, id, at);
            all.end = all.end.max(done.end);
            if call.is_needed {
                all.error = all.error.or(done.error);
            }
        }
        all
    }

    fn close(
        &mut self,
        opened: Opened,
        done: Done,
        name: String,
        attributes: Vec<(&'static str, Value)>,
    ) -> Done {
        let span = self.span(opened, done, name, attributes);
        self.player.record(span);
        done
    }

    fn span(
        &self,
        opened: Opened,
        done: Done,
        name: String,
        attributes: Vec<(&'static str, Value)>,
    ) -> PlayedSpan {
        PlayedSpan {
            process: opened.process,
            trace: self.trace,
            span: opened.id,
            parent: opened.parent,
            link: None,
            name,
            kind: opened.kind,
            start: opened.start,
            end: done.end,
            error: done.error.map(str::to_owned),
            attributes,
        }
    }
}

/// What is known of a span when it begins.
#[derive(Clone, Copy, Debug)]
struct Opened {
    process: &'static str,
    id: SpanId,
    parent: Option<SpanId>,
    kind: SpanKind,
    start: Nanos,
}

/// What a component's spans say of who it is.
fn named(component: &Component) -> Vec<(&'static str, Value)> {
    match component.kind {
        Kind::Agent => vec![
            (semconv::GEN_AI_OPERATION_NAME, "invoke_agent".into()),
            (semconv::GEN_AI_AGENT_NAME, component.name.into()),
        ],
        Kind::Tool => vec![
            (semconv::GEN_AI_OPERATION_NAME, "execute_tool".into()),
            (semconv::GEN_AI_TOOL_NAME, component.name.into()),
            (semconv::GEN_AI_TOOL_TYPE, "function".into()),
        ],
        Kind::Model { provider } => vec![
            (semconv::GEN_AI_OPERATION_NAME, "chat".into()),
            (semconv::GEN_AI_PROVIDER_NAME, provider.into()),
            (semconv::GEN_AI_REQUEST_MODEL, component.name.into()),
            (semconv::SERVER_ADDRESS, component.process.into()),
        ],
        Kind::Database { product } => vec![
            (semconv::DB_SYSTEM_NAME, product.into()),
            (semconv::DB_NAMESPACE, component.name.into()),
            (semconv::DB_OPERATION_NAME, "SELECT".into()),
            (semconv::SERVER_ADDRESS, component.process.into()),
        ],
        Kind::Service | Kind::Queue { .. } => Vec::new(),
    }
}

/// How a request ended as HTTP sees it, and what both its sides say: whoever cannot answer is a bad gateway.
fn http(done: Done) -> (Done, Vec<(&'static str, Value)>) {
    let (status, error) = match done.error {
        None => (200, None),
        Some(_) => (502, Some("502")),
    };
    let attributes = vec![
        (semconv::HTTP_REQUEST_METHOD, "POST".into()),
        (semconv::HTTP_RESPONSE_STATUS_CODE, Value::Int(status)),
    ];
    (Done { error, ..done }, attributes)
}

/// What both sides of a queue say.
fn message(queue: &Component, operation: &str) -> Vec<(&'static str, Value)> {
    let product = match queue.kind {
        Kind::Queue { product } => product,
        _ => "",
    };
    vec![
        (semconv::MESSAGING_SYSTEM, product.into()),
        (semconv::MESSAGING_DESTINATION_NAME, queue.name.into()),
        (semconv::MESSAGING_OPERATION_TYPE, operation.into()),
        (semconv::SERVER_ADDRESS, queue.process.into()),
    ]
}
