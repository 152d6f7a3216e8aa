//! A system as data: who there is, who calls whom, how long it takes and what happens when it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A demonstration system. Names are unique in it; [`System::mistakes`] says what is wrong with one.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// `service.namespace` of everything in it.
    pub namespace: &'static str,
    /// Where work begins.
    pub entries: &'static [Entry],
    /// Everything that calls or is called.
    pub components: &'static [Component],
}

/// Where work begins, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// A service that is asked from outside, or an agent that starts by itself.
    pub component: &'static str,
    /// From one start to the next.
    pub every: Duration,
}

/// Something that calls or is called.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// Its name in spans.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The `service.name` that it runs in; of models, databases and queues, the address at which they are reached.
    pub process: &'static str,
    /// Time of its own, beside that of what it calls.
    pub own: Latency,
    /// What it does, in order.
    pub steps: &'static [Step],
}

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Decides with a model and acts.
    Agent,
    /// A function that an agent of the same process executes.
    Tool,
    /// A model of a provider.
    Model {
        /// The provider's name in the GenAI conventions.
        provider: &'static str,
    },
    /// An ordinary service, asked over HTTP.
    Service,
    /// A database of this system (`db.system.name`).
    Database {
        /// The product.
        product: &'static str,
    },
    /// A queue of this messaging system; its steps are those who read it.
    Queue {
        /// The product.
        product: &'static str,
    },
}

/// How long something takes: a log-normal distribution, as latencies are, cut at eight times its median.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// Half of all take less.
    pub median: Duration,
    /// Standard deviation of the logarithm; 0 is always the same.
    pub spread: f64,
}

/// One step of a component's work.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A call, and its end is waited for.
    Call(Call),
    /// Several at once; the slowest is waited for.
    Together(&'static [Call]),
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Who is called.
    pub to: &'static str,
    /// How likely it is made at all.
    pub chance: f64,
    /// How often it is tried again when it fails.
    pub retries: u8,
    /// Who is called when all tries have failed.
    pub fallback: Option<&'static str>,
    /// Whether the caller fails if this does.
    pub is_needed: bool,
}

/// What is true of a system: kind and name of each node; from, edge kind and to of each edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Kind and name.
    pub nodes: BTreeSet<(&'static str, &'static str)>,
    /// Caller, kind of the edge, callee.
    pub edges: BTreeSet<(&'static str, &'static str, &'static str)>,
}

impl Latency {
    /// A median in milliseconds, with the spread that most things have.
    #[must_use]
    pub const fn of_millis(median: u64) -> Self {
        Latency {
            median: Duration::from_millis(median),
            spread: 0.35,
        }
    }
}

impl Call {
    /// A call that is always made, once, and needed.
    #[must_use]
    pub const fn to(name: &'static str) -> Self {
        Call {
            to: name,
            chance: 1.0,
            retries: 0,
            fallback: None,
            is_needed: true,
        }
    }

    /// The same, made with this likelihood only.
    #[must_use]
    pub const fn at_times(self, chance: f64) -> Self {
        Call { chance, ..self }
    }

    /// The same, tried again so many times, and then somewhere else.
    #[must_use]
    pub const fn or(self, retries: u8, fallback: &'static str) -> Self {
        Call {
            retries,
            fallback: Some(fallback),
            ..self
        }
    }

    /// The same, and the caller goes on without it.
    #[must_use]
    pub const fn optional(self) -> Self {
        Call {
            is_needed: false,
            ..self
        }
    }

    /// Everyone who may be called.
    fn targets(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.to).chain(self.fallback)
    }
}

impl Step {
    /// The step's calls.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        match self {
            Step::Call(call) => std::slice::from_ref(call),
            Step::Together(calls) => calls,
        }
    }
}

impl Kind {
    /// The word of the span conventions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Agent => "agent",
            Kind::Tool => "tool",
            Kind::Model { .. } => "model",
            Kind::Service => "service",
            Kind::Database { .. } => "database",
            Kind::Queue { .. } => "queue",
        }
    }

    /// The kind of the edge that ends here, by what it comes from.
    fn edge_from(self, source: Kind) -> &'static str {
        match (self, source) {
            (Kind::Agent, Kind::Agent | Kind::Tool) => "delegates",
            (Kind::Agent, _) => "invokes",
            (Kind::Tool, _) => "uses_tool",
            (Kind::Model { .. }, _) => "calls_model",
            (Kind::Service, Kind::Queue { .. }) => "delivers",
            (Kind::Service, _) => "calls",
            (Kind::Database { .. }, _) => "queries",
            (Kind::Queue { .. }, _) => "publishes",
        }
    }
}

impl Component {
    /// Everyone whom it may call.
    pub fn callees(&self) -> impl Iterator<Item = &'static str> {
        self.steps
            .iter()
            .flat_map(|step| step.calls().iter().flat_map(Call::targets))
    }
}

impl System {
    /// The component of this name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&'static Component> {
        self.components
            .iter()
            .find(|component| component.name == name)
    }

    /// What can be reached from the entries, and over which edges.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let mut truth = Truth::default();
        let mut to_visit: Vec<&str> = self.entries.iter().map(|entry| entry.component).collect();
        while let Some(name) = to_visit.pop() {
            let Some(component) = self.component(name) else {
                continue;
            };
            if !truth
                .nodes
                .insert((component.kind.as_str(), component.name))
            {
                continue;
            }
            for callee in component.callees() {
                if let Some(to) = self.component(callee) {
                    let kind = to.kind.edge_from(component.kind);
                    truth.edges.insert((component.name, kind, to.name));
                    to_visit.push(to.name);
                }
            }
        }
        truth
    }

    /// What is wrong with the data: names that nobody has or two have, who nobody calls, cycles, tools in other processes.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut depths = BTreeMap::new();
        for component in self.components {
            if depths.insert(component.name, 0usize).is_some() {
                mistakes.push(format!("two are called `{}`", component.name));
            }
            for name in component.callees() {
                match self.component(name) {
                    None => mistakes.push(format!("{} calls `{name}`: nobody", component.name)),
                    Some(to) if to.kind == Kind::Tool && to.process != component.process => {
                        mistakes.push(format!("{} uses a tool elsewhere: {name}", component.name));
                    }
                    Some(_) => {}
                }
            }
        }
        let reached = self.truth().nodes;
        for component in self.components {
            if !reached.contains(&(component.kind.as_str(), component.name)) {
                mistakes.push(format!("nobody calls {}", component.name));
            }
        }
        // the longest way from an entry grows for ever if there is a cycle
        for _ in 0..=self.components.len() {
            for component in self.components {
                let depth = depths.get(component.name).map_or(0, |depth| depth + 1);
                for callee in component.callees() {
                    let below = depths.entry(callee).or_default();
                    *below = depth.max(*below);
                }
            }
        }
        if depths.values().any(|depth| *depth > self.components.len()) {
            mistakes.push("there is a cycle".to_owned());
        }
        mistakes
    }
}
