//! One run of a system: a trace worked out whole, span by span with all its times.
//!
//! A call gives the spans that both its sides would record, and takes as long as what it waits for. A fault is looked up
//! when the component that it hits begins its work.

use crate::base::{Nanos, SpanId, TraceId};
use crate::demo::conventions::{http, message, named};
use crate::demo::faults::Effect;
use crate::demo::play::Player;
use crate::demo::span::{PlayedSpan, SpanKind, Value};
use crate::demo::system::{Call, Component, Kind, Latency, Step};
use crate::otlp::semconv;
use std::time::Duration;

/// A failure costs this share of what an answer would: it is refused at the door.
const REFUSED_AFTER: f64 = 0.15;

/// Before a call is tried again.
const BACKOFF: Duration = Duration::from_millis(40);

/// One way over the network.
const HOP: Latency = Latency {
    median: Duration::from_micros(600),
    spread: 0.4,
};

/// How a piece of work ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) end: Nanos,
    pub(super) error: Option<&'static str>,
}

/// One trace in the making.
pub(super) struct Run<'p> {
    pub(super) player: &'p mut Player,
    pub(super) trace: TraceId,
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
    pub(super) fn served(
        &mut self,
        component: &'static Component,
        parent: Option<SpanId>,
        at: Nanos,
    ) -> Done {
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
    pub(super) fn worked(
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
