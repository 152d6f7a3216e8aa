//! What breaks, when, and when it recovers.

use crate::base::Nanos;
use crate::demo::system::{Component, Kind};
use std::time::Duration;

/// Who a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// All models of a provider.
    Provider(&'static str),
    /// One component.
    Component(&'static str),
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// A share of the calls fails, quickly.
    Fails {
        /// Of 1.
        share: f64,
        /// What the caller is told (`error.type`): an HTTP status where there is one.
        error: &'static str,
    },
    /// Each call takes so many times as long.
    Slows(f64),
}

/// Something that breaks for a while.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Who is hit.
    pub target: Target,
    /// How.
    pub effect: Effect,
    /// When it begins, within a round of the schedule.
    pub from: Duration,
    /// When it is over.
    pub until: Duration,
}

/// Faults that come again and again.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// When the first round begins.
    pub start: Nanos,
    /// How long a round is; zero is for ever.
    pub round: Duration,
    /// What happens in it.
    pub faults: &'static [Fault],
}

impl Schedule {
    /// Nothing ever breaks.
    pub const CALM: Schedule = Schedule {
        start: Nanos(0),
        round: Duration::ZERO,
        faults: &[],
    };

    /// What a component suffers from at a moment.
    pub fn effects(&self, component: &Component, at: Nanos) -> impl Iterator<Item = Effect> {
        let since = at.since(self.start).as_nanos();
        let into = match self.round.as_nanos() {
            0 => since,
            round => since % round,
        };
        let component = *component;
        self.faults
            .iter()
            .filter(move |fault| (fault.from.as_nanos()..fault.until.as_nanos()).contains(&into))
            .filter(move |fault| match fault.target {
                Target::Provider(name) => component.kind == Kind::Model { provider: name },
                Target::Component(name) => component.name == name,
            })
            .map(|fault| fault.effect)
    }
}
