//! What is found beside and below the spans of a trace that is complete (B-13): whose turn it is in a workflow (K-44), doors
//! between an agent and its stand-in (E-39), agents that hang beside the tool that runs them (E-19), how what runs inside
//! ended (O-16), and tokens that are told of nowhere else (T-06).
//!
//! A trace notes signs of these as its spans come ([`Signs`]); one without a sign costs nothing here.
//!
//! **Bounds.** A few looks at each span of such a trace, [`MOST`] agents and tools of it, [`MOST_STEPS`] up from a span.
//! **Invariant.** A function of the trace's spans: by start, then by id, never by arrival. Each look begins anew.

use crate::base::{NodeId, SpanId};
use crate::graph::counting::Counted;
use crate::graph::entry::{Entry, NONE, Slot};
use crate::graph::found::Turn;
use crate::graph::shard::Shard;
use crate::graph::table::Shelf;
use crate::graph::turns::{MOST_STEPS, is_activation};
use crate::scan::{Flags, NO_NODE, NodeKind, Outcome, Role, Sighting};
use std::collections::{HashMap, HashSet};

/// Agents and tools of a trace that are compared.
const MOST: usize = 512;

/// How far an ending is carried outwards.
const MOST_ROUNDS: usize = 8;

/// What in a trace asks for a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signs(u16);

impl Signs {
    /// An agent's span.
    const AGENT: Signs = Signs(1);
    /// Another one.
    const AGENTS: Signs = Signs(1 << 1);
    /// A tool's span.
    const TOOL: Signs = Signs(1 << 2);
    /// An agent that nobody in particular runs.
    pub(crate) const STRAY: Signs = Signs(1 << 3);
    /// Agents of two services.
    const DOORS: Signs = Signs(1 << 4);
    /// A tool that is the agent in it.
    pub(crate) const FOLDED: Signs = Signs(1 << 5);
    /// Steps in which agents take turns.
    const TURNS: Signs = Signs(1 << 6);
    /// Tokens on an agent's span.
    const TOTALS: Signs = Signs(1 << 7);
    /// Spans that link, or are linked to.
    pub(crate) const LINKED: Signs = Signs(1 << 8);

    /// Whether all of these are there.
    pub(crate) fn has(self, signs: Signs) -> bool {
        self.0 & signs.0 == signs.0
    }

    /// Notes one more.
    pub(crate) fn add(&mut self, signs: Signs) {
        self.0 |= signs.0;
    }

    /// Notes what a span says; `home` is the service of the trace's first agent.
    pub(crate) fn note(&mut self, seen: &Sighting, home: &mut NodeId) {
        if seen.flags.has(Flags::TURN) {
            self.add(Signs::TURNS);
        }
        if seen.role != Role::Actor || !seen.bears_node() {
            return;
        }
        match seen.kind {
            NodeKind::Tool => self.add(Signs::TOOL),
            NodeKind::Agent => {
                self.add(if self.has(Signs::AGENT) {
                    Signs::AGENTS
                } else {
                    Signs::AGENT
                });
                if *home == NO_NODE {
                    *home = seen.service;
                } else if *home != seen.service {
                    self.add(Signs::DOORS);
                }
            }
            NodeKind::Workflow => {}
            _ => return,
        }
        if seen.flags.has(Flags::TOKENS) && seen.kind != NodeKind::Tool {
            self.add(Signs::TOTALS);
        }
    }

    /// Whether it takes a look at the whole trace.
    pub(crate) fn call_for_a_look(self) -> bool {
        self.has_strays()
            || [Signs::DOORS, Signs::FOLDED, Signs::TURNS, Signs::TOTALS]
                .into_iter()
                .any(|sign| self.has(sign))
    }

    fn has_strays(self) -> bool {
        self.has(Signs(Signs::STRAY.0 | Signs::TOOL.0 | Signs::AGENTS.0))
    }
}

/// A step or a tool beside others, in the order in which their run tells of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    parent: Slot,
    start: u64,
    span: SpanId,
    slot: Slot,
}

/// An agent's span, and the span around it that it runs for.
type Pair = (Slot, Slot);

impl Shard {
    /// Looks at a trace that is complete as far as is known.
    pub(super) fn look_beside(&mut self, trace: Slot) {
        if self.table.trace(trace).shelf != Shelf::Closed {
            return;
        }
        let signs = |shard: &Shard| shard.table.trace(trace).signs;
        if signs(self).has(Signs::TURNS) {
            self.take_steps(trace);
        }
        let doors = if signs(self).has(Signs::DOORS) {
            self.open_doors(trace)
        } else {
            Vec::new()
        };
        if signs(self).has_strays() {
            self.house_strays(trace);
        }
        if signs(self).has(Signs::FOLDED) || signs(self).has(Signs::DOORS) {
            self.carry_outcomes(trace, doors);
        }
        if signs(self).has(Signs::TOTALS) {
            self.find_totals(trace);
        }
    }

    /// The spans of a trace with roles that are asked for of which something holds.
    fn spans_of(
        &self,
        trace: Slot,
        is_asked_for: impl Fn(Role) -> bool,
        holds: impl Fn(&Entry) -> bool,
    ) -> Vec<Slot> {
        let mut found = Vec::new();
        let mut slot = self.table.trace(trace).first;
        while slot != NONE {
            let links = self.table.links(slot);
            if links.is_present && is_asked_for(links.role) && holds(self.table.entry(slot)) {
                found.push(slot);
            }
            slot = links.next_in_trace;
        }
        found
    }

    fn set_turn(&mut self, slot: Slot, turn: Turn) {
        let before = self.table.entry(slot).turn;
        if before == turn {
            return;
        }
        if before.node == turn.node {
            self.recount(slot, |entry| entry.turn = turn);
        } else {
            self.reread(slot, |entry| entry.turn = turn);
        }
    }

    /// K-44: gives each step of a workflow's run the agent whose turn it is: by what it was given, else by what was seen
    /// last before it, else by what it gave back.
    fn take_steps(&mut self, trace: Slot) {
        let steps = self.spans_of(trace, |_| true, |entry| entry.seen.flags.has(Flags::TURN));
        let place = |slot: Slot| {
            let entry = self.table.entry(slot);
            Place {
                parent: self.table.links(slot).parent,
                start: entry.seen.start,
                span: entry.seen.span,
                slot,
            }
        };
        let mut steps: Vec<Place> = steps.into_iter().map(place).collect();
        steps.sort_unstable();
        for run in steps.chunk_by(|a, b| a.parent == b.parent && a.parent != NONE) {
            for (slot, turn) in self.turns_of_run(run) {
                self.set_turn(slot, turn);
            }
        }
    }

    fn turns_of_run(&self, run: &[Place]) -> Vec<(Slot, Turn)> {
        let mut turns: Vec<(Slot, Turn)> = Vec::with_capacity(run.len());
        let (mut last, mut current, mut head) = (NO_NODE, NO_NODE, 0);
        for place in run {
            let seen = self.seen(place.slot);
            let is_tool = seen.role != Role::Step;
            let given = if is_tool { NO_NODE } else { seen.node };
            let agent = [given, last, seen.hint]
                .into_iter()
                .find(|agent| *agent != NO_NODE);
            let mut turn = Turn::NOBODY;
            match agent {
                None => {}
                Some(agent) if is_tool => (turn.from, turn.kind) = (agent, NodeKind::Agent),
                Some(agent) => {
                    turn.node = agent;
                    turn.kind = NodeKind::Agent;
                    if agent == current {
                        turn.from = agent; // the first step counts for it
                    } else {
                        (turn.from, turn.passes) = (current, current != NO_NODE);
                        (current, head) = (agent, turns.len());
                    }
                }
            }
            turns.push((place.slot, turn));
            if let Some((_, first)) = turns.get_mut(head)
                && agent.is_some()
                && !is_tool
                && first.outcome == Outcome::Ok
            {
                first.outcome = seen.outcome;
            }
            let said = [seen.hint, given].into_iter().chain(agent);
            last = said
                .into_iter()
                .find(|agent| *agent != NO_NODE)
                .unwrap_or(last);
        }
        turns
    }

    /// E-39: opens the servers' spans through which an agent's stand-in reaches that agent; says who reaches whom.
    fn open_doors(&mut self, trace: Slot) -> Vec<Pair> {
        let (mut pairs, mut doors) = (Vec::new(), HashSet::new());
        let may_act = |role| matches!(role, Role::Actor | Role::Step);
        for agent in self.spans_of(trace, may_act, is_activation) {
            let mut passed = Vec::new();
            let mut at = self.table.links(agent).parent;
            for _ in 0..MOST_STEPS {
                if at == NONE || !self.table.links(at).is_present {
                    break;
                }
                let entry = self.table.entry(at);
                match entry.seen.role {
                    Role::TransportServer => passed.push(at),
                    Role::TransportClient | Role::Neutral => {}
                    _ => break,
                }
                at = self.table.links(at).parent;
            }
            let inner = self.seen(agent);
            let is_same = |outer: &Entry| {
                is_activation(outer)
                    && outer.seen.node == inner.node
                    && outer.seen.service != inner.service
            };
            // of a caller that has not come nothing is known
            let caller = if at == NONE {
                None
            } else {
                self.table.come(at)
            };
            if !passed.is_empty() && caller.is_some_and(is_same) {
                doors.extend(passed);
                pairs.push((at, agent));
            }
        }
        let is_server = |role| role == Role::TransportServer;
        for slot in self.spans_of(trace, is_server, |entry| entry.is_door || !doors.is_empty()) {
            let is_door = doors.contains(&slot);
            if self.table.entry(slot).is_door != is_door {
                self.reread(slot, |entry| entry.is_door = is_door);
            }
        }
        pairs
    }

    /// E-19: gives agents that nobody in particular runs to the shortest tool around them in time, if that does nothing else.
    fn house_strays(&mut self, trace: Slot) {
        let is_stray = |entry: &Entry| {
            is_activation(entry)
                && !entry.seen.flags.has(Flags::HANDED)
                && !entry.is_default_wrapper()
        };
        let mut strays = self.spans_of(trace, is_actor, is_stray);
        strays.retain(|stray| self.table.links(*stray).parent != NONE);
        strays.truncate(MOST);
        let may_be_housed = |stray: &Slot| {
            let entry = self.table.entry(*stray);
            entry.context.is_weak() && lasts(entry)
        };
        let tools = if strays.iter().any(may_be_housed) {
            self.idle_tools(trace)
        } else {
            Vec::new()
        };
        for stray in strays {
            let entry = self.table.entry(stray);
            let (seen, context) = (entry.seen, entry.context);
            let is_weak = context.is_weak();
            let is_around = |tool: &&Slot| {
                let tool = self.table.entry(**tool);
                tool.seen.service == seen.service
                    && tool.seen.start <= seen.start
                    && seen.end <= tool.seen.end
                    && tool.seen.end - tool.seen.start > seen.end - seen.start
                    && tool.context.actor != seen.node
            };
            let tool = tools
                .iter()
                .find(is_around)
                .filter(|_| is_weak && lasts(entry));
            let turn = match tool.map(|tool| self.seen(*tool)) {
                None => Turn::NOBODY,
                Some(tool) => Turn {
                    from: tool.node,
                    kind: NodeKind::Tool,
                    is_one: tool.name == seen.name && tool.name != 0, // E-17
                    ..Turn::NOBODY
                },
            };
            let outcome = entry.turn.outcome;
            self.set_turn(stray, Turn { outcome, ..turn });
            if turn.is_one {
                self.table.trace_mut(trace).signs.add(Signs::FOLDED);
            }
        }
    }

    /// The tools' spans of a trace that last and below which nothing is done, the shortest first.
    fn idle_tools(&self, trace: Slot) -> Vec<Slot> {
        let mut tools = self.spans_of(trace, is_actor, |entry| {
            entry.seen.kind == NodeKind::Tool && entry.seen.bears_node() && lasts(entry)
        });
        tools.retain(|tool| !self.is_busy(*tool));
        let length = |slot: &Slot| {
            let seen = self.seen(*slot);
            (seen.end - seen.start, seen.start, seen.span)
        };
        tools.sort_unstable_by_key(length);
        tools.truncate(MOST);
        tools
    }

    /// Whether anything is done below a span.
    fn is_busy(&self, slot: Slot) -> bool {
        let mut below = Vec::new();
        self.table.push_children(slot, &mut below);
        while let Some(slot) = below.pop() {
            if self.table.links(slot).role != Role::Neutral {
                return true;
            }
            self.table.push_children(slot, &mut below);
        }
        false
    }

    /// O-16: how an agent's span ended counts for the tool that it is, and for its stand-in elsewhere.
    fn carry_outcomes(&mut self, trace: Slot, mut pairs: Vec<Pair>) {
        let is_folded = |entry: &Entry| matches!(entry.counted, Counted::Alias(_));
        for agent in self.spans_of(trace, |_| true, is_folded) {
            let Counted::Alias(alias) = self.table.entry(agent).counted else {
                continue;
            };
            if let Some(tool) = self.tool_around(agent, alias.outer) {
                pairs.push((tool, agent));
            }
        }
        let mut inside = HashMap::<Slot, Outcome>::new();
        for _ in 0..MOST_ROUNDS {
            let before = inside.clone();
            inside.clear();
            for (outer, inner) in &pairs {
                let own = self.seen(*inner).outcome;
                let ended = if own == Outcome::Ok {
                    before.get(inner).copied().unwrap_or_default()
                } else {
                    own
                };
                let known = inside.entry(*outer).or_default();
                *known = worse(*known, ended);
            }
            if inside == before {
                break;
            }
        }
        for slot in self.spans_of(trace, is_actor, |_| true) {
            let outcome = inside.get(&slot).copied().unwrap_or_default();
            if self.table.entry(slot).turn.outcome != outcome {
                self.recount(slot, |entry| entry.turn.outcome = outcome);
            }
        }
    }

    /// The tool's span that an agent's is folded into: around it, or around it in time (E-17, E-19).
    fn tool_around(&self, agent: Slot, tool: NodeId) -> Option<Slot> {
        let is_tool = |entry: &Entry| {
            entry.seen.role == Role::Actor
                && entry.seen.kind == NodeKind::Tool
                && entry.seen.node == tool
        };
        let entry = self.table.entry(agent);
        if entry.turn.is_one {
            let inner = &entry.seen;
            let tools = self.spans_of(self.table.links(agent).trace, is_actor, is_tool);
            let around = tools.into_iter().filter(|tool| {
                let tool = self.seen(*tool);
                tool.start <= inner.start && inner.end <= tool.end
            });
            return around.min_by_key(|tool| {
                let tool = self.seen(*tool);
                (tool.end - tool.start, tool.start, tool.span)
            });
        }
        let mut at = self.table.links(agent).parent;
        for _ in 0..MOST_STEPS {
            if at == NONE {
                return None;
            }
            if self.table.come(at).is_some_and(is_tool) {
                return Some(at);
            }
            at = self.table.links(at).parent;
        }
        None
    }

    /// T-06: tokens on an agent's span count where no model below it says any.
    fn find_totals(&mut self, trace: Slot) {
        let says = |entry: &Entry| entry.seen.flags.has(Flags::TOKENS);
        let is_decider = |kind| matches!(kind, NodeKind::Agent | NodeKind::Workflow);
        let mut sums = self.spans_of(trace, is_actor, |entry| {
            is_decider(entry.seen.kind) && says(entry)
        });
        let models = self.spans_of(trace, |role| role == Role::Model, says);
        self.mark_above(&models, true);
        sums.retain(|slot| {
            let is_total = !self.table.links(*slot).is_marked;
            self.table.entry(*slot).is_total != is_total
        });
        self.mark_above(&models, false);
        for slot in sums {
            self.recount(slot, |entry| entry.is_total = !entry.is_total);
        }
    }

    /// Marks all that stands above these spans, or takes the marks away.
    fn mark_above(&mut self, spans: &[Slot], is_marked: bool) {
        for span in spans {
            let mut at = self.table.links(*span).parent;
            while at != NONE && self.table.links(at).is_marked != is_marked {
                let links = self.table.links_mut(at);
                links.is_marked = is_marked;
                at = links.parent;
            }
        }
    }
}

fn is_actor(role: Role) -> bool {
    role == Role::Actor
}

/// Whether a span takes any time.
fn lasts(entry: &Entry) -> bool {
    entry.seen.start < entry.seen.end
}

/// The worse of two endings, in the order in which they are listed, all well last.
fn worse(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Outcome::Ok, _) => other,
        (_, Outcome::Ok) => one,
        _ => one.min(other),
    }
}
