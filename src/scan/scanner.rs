//! One span in, one sighting out: the request clock's share of the work.
//!
//! One pass over the attributes, no allocation but on first sight of a name. A scanner belongs to one worker at a time and
//! remembers what it has seen; two scanners on one interner say the same.

use crate::base::{SpanId, TraceId};
use crate::otlp::{Attributes, SpanBytes, SpanView};
use crate::scan::alias::{AliasTable, Slot, TABLE};
use crate::scan::cache::PartsCache;
use crate::scan::classify::{Class, Named, classify};
use crate::scan::facts::{FINISHED_EARLY, Facts, Slots};
use crate::scan::identity::{self, Intern, Known, Words, know, words};
use crate::scan::kind::{NodeKind, Outcome, Role};
use crate::scan::origin::{Origin, Origins};
use crate::scan::sighting::{Flags, NO_NODE, Sighting};
use crate::scan::transport::{self, CLIENT};
use crate::scan::{hash, links, logfire, outcome, peer, steps, text};
use std::sync::Arc;

/// What shapes a scanner.
#[derive(Clone, Debug)]
pub struct ScanSettings {
    /// Key of the hashes that strangers must not guess.
    pub seed: u64,
    /// Resource attributes whose values make up the realm (R-GRA-7); at most [`super::MAX_REALM_KEYS`].
    pub realm_keys: Vec<String>,
    /// Names that a worker remembers; the same number again for resources.
    pub remembered: usize,
}

/// Why a span gave no sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Trace or span id missing, all zero, or of the wrong length.
    BadId,
    /// A kind of span that is not looked at (K-00).
    Ignored,
}

/// What scanning a span gave.
pub struct Scanned<'s> {
    /// For the shard.
    pub sighting: Sighting,
    /// The span's node, if it bears one.
    pub node: Option<&'s Known>,
    /// Whether attributes of ours are on the span already.
    pub is_enriched: bool,
    /// Whether it has links that rules look at.
    pub has_links: bool,
}

/// Whose instrumentation wrote a span, where rules ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Nobody who needs a rule of his own.
    #[default]
    Plain,
    /// LlamaIndex, whose every root span claims to be a workflow (K-14).
    LlamaIndex,
    /// LangChain and LangGraph, whose tasks may be agents (K-18).
    LangChain,
    /// Haystack, whose components go by their class (K-45).
    Haystack,
    /// The OpenAI Agents SDK through Logfire (K-32).
    LogfireAgents,
    /// The A2A SDK, which traces its own methods (K-01).
    A2aSdk,
}

/// An instrumentation scope as rules need it; made once per scope group.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope {
    pub(crate) dialect: Dialect,
    digest: u32,
}

impl Scope {
    /// A scope of this name.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        let is_llama_index = [&b"llamaindex"[..], b"llama_index"]
            .iter()
            .any(|end| name.ends_with(end));
        Scope {
            dialect: match name {
                b"a2a-python-sdk" => Dialect::A2aSdk,
                b"logfire.openai_agents" => Dialect::LogfireAgents,
                _ if is_llama_index => Dialect::LlamaIndex,
                _ if name.ends_with(b"langchain") => Dialect::LangChain,
                _ if name.ends_with(b"haystack") => Dialect::Haystack,
                _ => Dialect::Plain,
            },
            digest: hash::digest(name),
        }
    }
}

/// Scans spans.
pub struct Scanner {
    aliases: &'static AliasTable,
    origins: Origins,
    names: PartsCache<Known>,
    intern: Arc<dyn Intern>,
    /// In which it learned what it remembers.
    epoch: u64,
}

impl Scanner {
    /// A scanner that has seen nothing yet.
    #[must_use]
    pub fn new(settings: &ScanSettings, intern: Arc<dyn Intern>) -> Self {
        Scanner {
            aliases: &TABLE,
            origins: Origins::new(settings.seed, &settings.realm_keys, settings.remembered),
            names: PartsCache::new(settings.seed, settings.remembered),
            intern,
            epoch: 0,
        }
    }

    /// Forgets what it learned in another epoch: numbers may be others' now. Call at the beginning of each request.
    #[inline]
    pub fn enter(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.names.clear();
            self.origins.clear();
        }
    }

    /// The origin of what a resource sent; ask once per resource.
    pub fn origin(&mut self, resource: Attributes<'_>) -> Arc<Origin> {
        self.origins.find(resource, self.intern.as_ref())
    }

    /// Scans a span.
    ///
    /// # Errors
    /// Why it gives no sighting; it is forwarded all the same.
    pub fn scan(
        &mut self,
        origin: &Origin,
        scope: Scope,
        span: SpanBytes<'_>,
    ) -> Result<Scanned<'_>, Skip> {
        let mut facts = Facts::new(span);
        let span = &span.read(|attribute| facts.note(self.aliases, &attribute));
        let trace = TraceId::decode(span.trace_id).ok_or(Skip::BadId)?;
        let span_id = SpanId::decode(span.span_id).ok_or(Skip::BadId)?;
        let class = classify(&facts, span, scope.dialect);
        if class == Class::Ignored {
            return Err(Skip::Ignored);
        }
        let mut sighting = Sighting {
            trace,
            span: span_id,
            parent: SpanId::decode(span.parent_span_id).unwrap_or_default(),
            start: span.start,
            end: span.end.max(span.start),
            node: NO_NODE,
            service: origin.service,
            hint: NO_NODE,
            peer: NO_NODE,
            operation: 0,
            version: origin.version,
            scope: scope.digest,
            events: events(span),
            name: 0,
            response: 0,
            tokens_in: 0,
            tokens_out: 0,
            cost: 0,
            role: Role::Neutral,
            kind: NodeKind::Service,
            outcome: outcome::of(&facts, span),
            span_kind: u8::try_from(span.kind).unwrap_or_default(),
            flags: Flags::default(),
        };
        count_tokens(&mut sighting, &facts);
        add_cost(&mut sighting, &facts);
        let node = self.take_part(&mut sighting, class, origin, &facts, span);
        if is_marginal(sighting.role, &facts, span) {
            sighting.flags = sighting.flags.with(Flags::MARGINAL);
        }
        self.peer(&mut sighting, origin, &facts);
        let served = (sighting.role == Role::McpServer).then(|| {
            // E-23: the tool that the server is asked for
            match transport::mcp_tool(&facts, span) {
                b"" => 0,
                tool => self.name(Named::Tool, [tool, b"", b""], 0, origin).name,
            }
        });
        let node = match node {
            Some((named, words)) => {
                let port = identity::port(named, &facts);
                Some(self.name(named, words, port, origin))
            }
            None => None,
        };
        if let Some(known) = node {
            sighting.node = known.node.id;
            sighting.kind = known.kind;
            sighting.name = known.name;
            sighting.flags = sighting.flags.with(known.flags);
            sighting.operation = operation(sighting.role, &facts, known);
        } else {
            sighting.operation = hash::digest(span.name);
        }
        if let Some(tool) = served {
            sighting.name = tool;
        }
        if is_nobodys(&sighting) {
            (sighting.role, sighting.node) = (Role::Neutral, NO_NODE);
        }
        Ok(Scanned {
            sighting,
            // a handoff is the work of neither agent, a message received is not the queue's, and a step may be nobody's
            node: node
                .filter(|_| !matches!(sighting.role, Role::Handoff | Role::Consumer | Role::Step)),
            is_enriched: facts.has(Slot::Ours),
            has_links: links::wants(&sighting) && span.links().next().is_some(),
        })
    }

    /// Notes the role of a span and whose it is; answers by which words its node is named.
    fn take_part<'a>(
        &mut self,
        sighting: &mut Sighting,
        class: Class<'a>,
        origin: &Origin,
        facts: &Facts<'a>,
        span: &SpanView<'a>,
    ) -> Option<(Named, Words<'a>)> {
        match class {
            Class::Ignored | Class::Neutral => None,
            Class::Bare(role) => {
                sighting.role = role;
                if role != Role::Consumer {
                    self.hint(sighting, origin, owner(facts));
                }
                None
            }
            Class::Node(role, named) => {
                sighting.role = role;
                if named == Named::Workflow && facts.has(Slot::CrewKey) {
                    sighting.flags = sighting.flags.with(Flags::CREW);
                }
                if role == Role::Model {
                    if facts.has(Slot::AiOperation) {
                        sighting.flags = sighting.flags.with(Flags::RETRIED);
                    }
                    sighting.response = hash::digest(facts.text(Slot::ResponseId));
                }
                if role == Role::Step {
                    sighting.flags = match named {
                        Named::Addressee => sighting.flags.with(Flags::MESSAGED),
                        Named::ByName => sighting.flags.with(Flags::BY_NAME),
                        _ => sighting.flags,
                    };
                } else if named == Named::Agent {
                    if !identity::named_agent(facts, span).is_empty() {
                        sighting.flags = sighting.flags.with(Flags::NAMED);
                    }
                    self.call_of_remote(sighting, origin, facts, span);
                    self.handed_by(sighting, origin, facts);
                } else if has_owner(role, named) {
                    self.hint(sighting, origin, owner(facts));
                }
                Some((named, words(named, facts, span)))
            }
            Class::Called(role, named, name) => {
                sighting.role = role;
                if named == Named::Agent {
                    sighting.flags = sighting.flags.with(Flags::NAMED);
                }
                if named == Named::Guardrail && logfire::is_triggered(span) {
                    sighting.outcome = Outcome::Blocked; // O-02
                }
                Some((named, [name, b"", b""]))
            }
            Class::Turn { is_tool } => {
                sighting.flags = sighting.flags.with(Flags::TURN);
                let before = steps::current_agent(facts.text(Slot::Arguments));
                let after = steps::current_agent(facts.text(Slot::Output));
                if is_tool {
                    sighting.role = Role::Actor;
                    self.hint(
                        sighting,
                        origin,
                        if before.is_empty() { after } else { before },
                    );
                    return Some((Named::Tool, words(Named::Tool, facts, span)));
                }
                sighting.role = Role::Step;
                self.hint(sighting, origin, after);
                (!before.is_empty()).then_some((Named::Current, [before, b"", b""]))
            }
            Class::Goto { to, from } => {
                sighting.role = Role::Handoff;
                sighting.flags = sighting.flags.with(Flags::WEAK);
                self.hint(sighting, origin, from);
                Some((Named::Agent, [to, b"", b""]))
            }
            Class::Handoff { to, from } => {
                sighting.role = Role::Handoff;
                if facts.text(Slot::TransferMode) == b"return_to_caller" {
                    sighting.flags = sighting.flags.with(Flags::RETURNS);
                }
                self.hint(sighting, origin, from);
                (!to.is_empty()).then_some((Named::Agent, [to, b"", b""]))
            }
        }
    }

    fn name(&mut self, named: Named, words: Words<'_>, port: u16, origin: &Origin) -> &Known {
        let tag = origin.number << 24 | u64::from(port) << 8 | named as u64;
        let intern = self.intern.as_ref();
        self.names
            .find_or_insert(tag, &words, || know(named, words, port, origin, intern))
    }

    /// whom the span says it belongs to.
    fn hint(&mut self, sighting: &mut Sighting, origin: &Origin, owner: &[u8]) {
        if !owner.is_empty() {
            let known = self.name(Named::Agent, [owner, b"", b""], 0, origin);
            sighting.hint = known.node.id;
        }
    }

    /// E-12: the agent that handed over to this one, as the span says.
    fn handed_by(&mut self, sighting: &mut Sighting, origin: &Origin, facts: &Facts<'_>) {
        let parent = facts.text(Slot::GraphParent);
        let is_nobody = matches!(parent, b"" | b"start" | b"user" | b"human" | b"end");
        if !is_nobody && !text::is_opaque(parent) && !sighting.flags.has(Flags::REMOTE) {
            self.hint(sighting, origin, parent);
            sighting.flags = sighting.flags.with(Flags::HANDED);
        }
    }

    /// E-30, A-02: whether the agent runs elsewhere, and who calls it.
    fn call_of_remote(
        &mut self,
        sighting: &mut Sighting,
        origin: &Origin,
        facts: &Facts<'_>,
        span: &SpanView<'_>,
    ) {
        let caller = facts.text(Slot::CallerName);
        let says_where = facts.has(Slot::Host) || !caller.is_empty() || facts.has(Slot::A2aMethod);
        if span.kind == CLIENT && says_where {
            sighting.flags = sighting.flags.with(Flags::REMOTE);
            self.hint(sighting, origin, caller);
        }
    }

    /// Whom a client calls if nobody answers to its span (N-31, N-39).
    fn peer(&mut self, sighting: &mut Sighting, origin: &Origin, facts: &Facts<'_>) {
        let named = match sighting.role {
            Role::McpClient => Named::McpPeer,
            // E-02
            Role::Model if facts.has(Slot::HostedGuardrail) => Named::HostedGuardrail,
            // E-22: without a pair there is nothing to draw
            Role::TransportClient if !facts.has(Slot::McpMethod) => Named::Peer,
            _ => return,
        };
        let (words, port) = match named {
            Named::McpPeer => peer::mcp_words(facts),
            Named::HostedGuardrail => ([facts.text(Slot::HostedGuardrail), b"", b""], 0),
            _ => peer::words(facts),
        };
        let known = self.name(named, words, port, origin);
        sighting.peer = known.node.id;
        sighting.flags = sighting.flags.with(known.flags);
    }
}

/// Whether it is a step whose name says nothing (K-18).
fn is_nobodys(sighting: &Sighting) -> bool {
    let flags = sighting.flags;
    let is_step = sighting.role == Role::Step && flags.has(Flags::DEFAULT_AGENT);
    is_step && !flags.has(Flags::MESSAGED) && !flags.has(Flags::TURN)
}

/// The agent that a span says it belongs to.
fn owner<'a>(facts: &Facts<'a>) -> &'a [u8] {
    let named = facts.first(&[Slot::AgentName, Slot::AgentRole]);
    if named.is_empty() && facts.has(Slot::OiKind) {
        steps::metadata(facts).lc_agent_name
    } else {
        named
    }
}

/// Whether the name of an agent on such a span is that of its owner.
fn has_owner(role: Role, named: Named) -> bool {
    named != Named::Workflow
        && !matches!(
            role,
            Role::McpServer | Role::TransportServer | Role::Consumer
        )
}

/// E-21, E-35, E-36: what shows an edge and is no call.
fn is_marginal(role: Role, facts: &Facts<'_>, span: &SpanView<'_>) -> bool {
    match role {
        Role::McpClient | Role::McpServer => transport::is_mcp_control(facts.text(Slot::McpMethod)),
        Role::Consumer => facts.text(Slot::MessagingOperation) == b"receive",
        Role::Leaf => {
            span.name == b"connect" && facts.has(Slot::DbSystem) && !facts.has(Slot::DbStatement)
        }
        _ => false,
    }
}

/// Digest of what the span does again and again: the node itself, or the operation on it.
fn operation(role: Role, facts: &Facts<'_>, known: &Known) -> u32 {
    let word = facts.first(&[
        Slot::Operation,
        Slot::AiOperation,
        Slot::OiKind,
        Slot::TlKind,
    ]);
    let full = hash::bytes(u64::from(known.node.id.0) << 8 | role as u64, word);
    ((full ^ (full >> 32)) as u32).max(1)
}

/// Digest of the event names in order.
fn events(span: &SpanView<'_>) -> u32 {
    let full = span
        .events()
        .fold(0, |state, event| hash::bytes(state | 1, event.name));
    (full ^ (full >> 32)) as u32
}

/// M-01, else M-02: the whole, else the sum of its parts.
#[inline]
fn add_cost(sighting: &mut Sighting, facts: &Facts<'_>) {
    const PARTS: [Slot; 4] = [
        Slot::CostIn,
        Slot::CostOut,
        Slot::CostCacheRead,
        Slot::CostCacheWrite,
    ];
    let total = facts.number(Slot::CostTotal);
    if total.is_none() && !facts.has_any(const { Slots::of(&PARTS) }) {
        return;
    }
    let sum = || PARTS.iter().filter_map(|slot| facts.number(*slot)).sum();
    sighting.cost = total.unwrap_or_else(sum);
    sighting.flags = sighting.flags.with(Flags::COST);
}

#[inline]
fn count_tokens(sighting: &mut Sighting, facts: &Facts<'_>) {
    let (read, written) = (facts.number(Slot::TokensIn), facts.number(Slot::TokensOut));
    if read.is_some() || written.is_some() {
        let held = |count: Option<u64>| u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX);
        sighting.tokens_in = held(read);
        sighting.tokens_out = held(written);
        sighting.flags = sighting.flags.with(Flags::TOKENS);
    }
    if facts.number(Slot::FinishReasons) == Some(FINISHED_EARLY) {
        sighting.flags = sighting.flags.with(Flags::DEGRADED);
    }
}
