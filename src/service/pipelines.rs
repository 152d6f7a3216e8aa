//! The pipelines of a plan: reading them, and checking that they fit together.

use crate::base::{Place, Problems, nearest};
use crate::config::Section;
use crate::otlp::Signal;
use crate::pipeline::ComponentId;
use crate::service::pulled;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// A pipeline's name: its signal, and after a slash a name where there are several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PipelineId {
    /// What flows in it.
    pub signal: Signal,
    /// What follows the slash; empty for the only one.
    pub name: String,
}

impl FromStr for PipelineId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id: ComponentId = text.parse()?;
        let signal = Signal::ALL
            .into_iter()
            .find(|signal| signal.as_str() == id.kind);
        let signal = signal.ok_or_else(|| format!("pipeline `{text}` carries no known signal"))?;
        Ok(PipelineId {
            signal,
            name: id.name,
        })
    }
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.signal.as_str())?;
        if self.name.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.name)
        }
    }
}

/// A pipeline as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PipelineConfig {
    /// Ids of the receivers, or connectors, that feed it. At least one.
    receivers: Vec<String>,
    /// Ids of the processors that it passes, in this order.
    processors: Vec<String>,
    /// Ids of the exporters, or connectors, that take it. At least one.
    exporters: Vec<String>,
}

/// A pipeline with its components' ids.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) id: PipelineId,
    pub(super) receivers: Vec<ComponentId>,
    pub(super) processors: Vec<ComponentId>,
    pub(super) exporters: Vec<ComponentId>,
}

/// What is known of the components when pipelines are checked.
pub(super) struct Known<'a> {
    /// Ids in each section, with the signals that the component takes.
    pub(super) receivers: BTreeMap<&'a ComponentId, &'static [Signal]>,
    pub(super) processors: BTreeMap<&'a ComponentId, &'static [Signal]>,
    pub(super) exporters: BTreeMap<&'a ComponentId, &'static [Signal]>,
    /// Connectors: what they take, what they give.
    pub(super) connectors: BTreeMap<&'a ComponentId, (&'static [Signal], &'static [Signal])>,
    /// Exporters without mistakes: whether they ask connectors for metrics instead of being sent batches.
    pub(super) pulls: BTreeMap<&'a ComponentId, bool>,
    /// The whole document: a component that is written there with a mistake was spoken of already.
    pub(super) root: &'a Section<'a>,
}

impl Known<'_> {
    /// Whether a component is written in a section, or among the connectors, though its type may not exist.
    fn is_written(&self, id: &str, key: &str) -> bool {
        let sections = [key, "connectors"].into_iter();
        let mut sections = sections.filter(|section| key != "processors" || *section == key);
        sections.any(|section| self.root.at(section).get(id).is_some())
    }
}

impl Known<'_> {
    /// The signals with which a component works at a place of a pipeline; `None` if none is defined.
    fn signals(&self, key: &str, id: &ComponentId) -> Option<&'static [Signal]> {
        let connector = self.connectors.get(id).copied();
        match key {
            "receivers" => {
                let gives = connector.map(|(_, outputs)| outputs);
                self.receivers.get(id).copied().or(gives)
            }
            "exporters" => {
                let takes = connector.map(|(inputs, _)| inputs);
                self.exporters.get(id).copied().or(takes)
            }
            _ => self.processors.get(id).copied(),
        }
    }
}

/// Reads `service.pipelines`, noting what does not fit.
pub(super) fn read(
    section: &Section<'_>,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Vec<Pipeline> {
    let mut pipelines: Vec<Pipeline> = Vec::new();
    for (key, section) in section.entries() {
        let id = match key.parse::<PipelineId>() {
            Ok(id) => id,
            Err(message) => {
                problems.error(
                    section.place().clone(),
                    message,
                    "pipelines are named traces, metrics or logs, or traces/NAME",
                );
                continue;
            }
        };
        let Some(config) = section.parse::<PipelineConfig>(&[], problems) else {
            continue;
        };
        let pipeline = Pipeline {
            receivers: ids(&config.receivers, &section.at("receivers"), problems),
            processors: ids(&config.processors, &section.at("processors"), problems),
            exporters: ids(&config.exporters, &section.at("exporters"), problems),
            id,
        };
        check(&pipeline, &section, known, problems);
        pipelines.push(pipeline);
    }
    if pipelines.is_empty() && !problems.has_errors() {
        let help = "add for example `traces: {receivers: [otlp], exporters: [debug]}`";
        problems.error(section.place().clone(), "no pipeline is defined", help);
    }
    check_connectors(&pipelines, known, section, problems);
    pulled::check(&pipelines, known, section, problems);
    pipelines
}

/// The ids of a list, each once; `list` is to point at.
fn ids(names: &[String], list: &Section<'_>, problems: &mut Problems) -> Vec<ComponentId> {
    let mut seen = BTreeSet::new();
    let mut ids = Vec::new();
    for (name, item) in names.iter().zip(list.items()) {
        let place = item.place().clone();
        match name.parse::<ComponentId>() {
            Ok(id) if seen.insert(id.clone()) => ids.push(id),
            Ok(id) => {
                let message = format!("`{id}` stands twice");
                problems.error(place, message, "name each component once in a pipeline");
            }
            Err(message) => problems.error(place, message, ""),
        }
    }
    ids
}

/// Where in a list a component is named.
pub(super) fn place_in(list: &Section<'_>, id: &ComponentId) -> Place {
    let is_named = |item: &Section<'_>| {
        item.as_str()
            .is_some_and(|text| text.parse().as_ref() == Ok(id))
    };
    let item = list.items().find(is_named);
    item.map_or_else(|| list.place().clone(), |item| item.place().clone())
}

fn check(pipeline: &Pipeline, section: &Section<'_>, known: &Known<'_>, problems: &mut Problems) {
    let place = section.place();
    let signal = pipeline.id.signal;
    if pipeline.receivers.is_empty() {
        problems.error(
            place.clone(),
            "pipeline has no receiver",
            "name at least one under `receivers`",
        );
    }
    if pipeline.exporters.is_empty() {
        problems.error(
            place.clone(),
            "pipeline has no exporter",
            "name at least one under `exporters`",
        );
    }
    let roles = [
        ("receivers", &pipeline.receivers),
        ("processors", &pipeline.processors),
        ("exporters", &pipeline.exporters),
    ];
    for (key, ids) in roles {
        for id in ids {
            let place = place_in(&section.at(key), id);
            match known.signals(key, id) {
                None if known.is_written(&id.to_string(), key) => {}
                None => problems.error(
                    place,
                    format!("`{id}` is not defined"),
                    help_for(id, key, known),
                ),
                Some(signals) if !signals.contains(&signal) => {
                    let names: Vec<_> = signals.iter().map(|s| s.as_str()).collect();
                    let message = format!("`{id}` does not work with {}", signal.as_str());
                    problems.error(
                        place,
                        message,
                        format!("it works with {}", names.join(", ")),
                    );
                }
                Some(_) => {}
            }
        }
    }
}

fn help_for(id: &ComponentId, key: &str, known: &Known<'_>) -> String {
    let defined = match key {
        "receivers" => &known.receivers,
        "processors" => &known.processors,
        _ => &known.exporters,
    };
    let connectors = known.connectors.keys().filter(|_| key != "processors");
    let names: Vec<String> = defined
        .keys()
        .chain(connectors)
        .map(ToString::to_string)
        .collect();
    match nearest(&id.to_string(), names.iter().map(String::as_str)) {
        Some(name) => format!("did you mean `{name}`?"),
        None if key == "processors" => "define it under `processors:` at the top level".to_owned(),
        None => format!("define it under `{key}:` (or `connectors:`) at the top level"),
    }
}

/// A connector must stand at both ends, and following connectors must not lead back.
fn check_connectors(
    pipelines: &[Pipeline],
    known: &Known<'_>,
    section: &Section<'_>,
    problems: &mut Problems,
) {
    let place_of = |id: &PipelineId| section.get(&id.to_string());
    for connector in known.connectors.keys() {
        let read = pipelines.iter().find(|p| p.receivers.contains(connector));
        let feeder = pipelines.iter().find(|p| p.exporters.contains(connector));
        if let Some(pipeline) = feeder.filter(|_| read.is_none()) {
            let list = place_of(&pipeline.id).map(|section| section.at("exporters"));
            let place = list.map_or_else(
                || section.place().clone(),
                |list| place_in(&list, connector),
            );
            let message =
                format!("connector `{connector}` is an exporter, but no pipeline receives from it");
            let help = "what it is given ends there; name it under `receivers` of a pipeline to pass it on";
            problems.warning(place, message, help);
        }
        if let Some(pipeline) = read.filter(|_| feeder.is_none()) {
            let list = place_of(&pipeline.id).map(|section| section.at("receivers"));
            let place = list.map_or_else(
                || section.place().clone(),
                |list| place_in(&list, connector),
            );
            let message =
                format!("connector `{connector}` is a receiver, but no pipeline exports to it");
            problems.error(
                place,
                message,
                "name it under `exporters` of the pipeline before it",
            );
        }
    }
    if let Some(path) = find_cycle(pipelines, known) {
        let first = path.first().and_then(|id| place_of(id));
        let place = first.map_or_else(|| section.place().clone(), |first| first.place().clone());
        let names: Vec<_> = path.iter().map(ToString::to_string).collect();
        let message = format!("pipelines form a cycle: {}", names.join(" → "));
        problems.error(place, message, "take a connector out of one of them");
    }
}

/// Depth-first search over pipelines joined by connectors; O(pipelines × connectors).
fn find_cycle<'a>(pipelines: &'a [Pipeline], known: &Known<'_>) -> Option<Vec<&'a PipelineId>> {
    fn visit<'a>(
        at: usize,
        pipelines: &'a [Pipeline],
        known: &Known<'_>,
        path: &mut Vec<usize>,
        done: &mut BTreeSet<usize>,
    ) -> Option<Vec<&'a PipelineId>> {
        if let Some(start) = path.iter().position(|p| *p == at) {
            let cycle = path.iter().skip(start).chain([&at]);
            return Some(
                cycle
                    .filter_map(|p| pipelines.get(*p))
                    .map(|p| &p.id)
                    .collect(),
            );
        }
        if !done.insert(at) {
            return None;
        }
        path.push(at);
        let connectors = pipelines
            .get(at)?
            .exporters
            .iter()
            .filter(|id| known.connectors.contains_key(id));
        for connector in connectors {
            for (next, pipeline) in pipelines.iter().enumerate() {
                if pipeline.receivers.contains(connector)
                    && let Some(cycle) = visit(next, pipelines, known, path, done)
                {
                    return Some(cycle);
                }
            }
        }
        path.pop();
        None
    }
    let mut done = BTreeSet::new();
    (0..pipelines.len())
        .find_map(|start| visit(start, pipelines, known, &mut Vec::new(), &mut done))
}
