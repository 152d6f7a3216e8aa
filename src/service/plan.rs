//! A plan: every component configured and checked, every name resolved; ready to build.

use crate::base::{Problems, nearest};
use crate::config::{Document, Section};
use crate::pipeline::{
    ComponentId, Configure, ConnectorConfig, Described, ExporterConfig, ExtensionConfig,
    ProcessorConfig, ReceiverConfig,
};
use crate::service::components::{CONNECTORS, EXPORTERS, EXTENSIONS, PROCESSORS, RECEIVERS};
use crate::service::pipelines::{self, Known, Pipeline};
use crate::telemetry::TelemetryConfig;
use std::collections::BTreeSet;

/// A component that the document defines.
pub struct Planned<T: ?Sized> {
    /// Its id, as written.
    pub id: ComponentId,
    /// What its type says of itself.
    pub described: Described,
    /// The signals that it gives; connectors only.
    pub outputs: &'static [crate::otlp::Signal],
    /// Its configuration; `None` if it had mistakes, which the problems list.
    pub config: Option<Box<T>>,
}

/// A checked configuration.
#[derive(Default)]
pub struct Plan {
    pub(super) receivers: Vec<Planned<dyn ReceiverConfig>>,
    pub(super) processors: Vec<Planned<dyn ProcessorConfig>>,
    pub(super) connectors: Vec<Planned<dyn ConnectorConfig>>,
    pub(super) exporters: Vec<Planned<dyn ExporterConfig>>,
    pub(super) extensions: Vec<Planned<dyn ExtensionConfig>>,
    pub(super) pipelines: Vec<Pipeline>,
    /// Our own logs and metrics.
    pub telemetry: TelemetryConfig,
}

const TOP: [&str; 6] = [
    "receivers",
    "processors",
    "connectors",
    "exporters",
    "extensions",
    "service",
];
const SERVICE: [&str; 3] = ["pipelines", "extensions", "telemetry"];

impl Plan {
    /// Reads a document whole, noting every mistake; the plan can be built if no error was noted.
    #[must_use]
    pub fn read(document: &Document, problems: &mut Problems) -> Plan {
        let root = document.root();
        strangers(&root, &TOP, problems);
        let mut plan = Plan {
            receivers: define(
                &root,
                "receivers",
                RECEIVERS,
                |f| (f.described, &[], f.configure),
                problems,
            ),
            processors: define(
                &root,
                "processors",
                PROCESSORS,
                |f| (f.described, &[], f.configure),
                problems,
            ),
            connectors: define(
                &root,
                "connectors",
                CONNECTORS,
                |f| (f.described, f.outputs, f.configure),
                problems,
            ),
            exporters: define(
                &root,
                "exporters",
                EXPORTERS,
                |f| (f.described, &[], f.configure),
                problems,
            ),
            extensions: define(
                &root,
                "extensions",
                EXTENSIONS,
                |f| (f.described, &[], f.configure),
                problems,
            ),
            pipelines: Vec::new(),
            telemetry: TelemetryConfig::default(),
        };
        plan.check_ambiguous(&root, problems);
        match root.get("service") {
            Some(service) => plan.read_service(&root, &service, problems),
            // a file that could not be read was spoken of already
            None if root.entries().next().is_none() && problems.has_errors() => {}
            None => problems.error(
                root.place().clone(),
                "there is no `service` section",
                "it names the pipelines to run",
            ),
        }
        plan
    }

    fn read_service(&mut self, root: &Section<'_>, service: &Section<'_>, problems: &mut Problems) {
        strangers(service, &SERVICE, problems);
        if let Some(telemetry) = service.get("telemetry") {
            self.telemetry = telemetry
                .parse(TelemetryConfig::IGNORED, problems)
                .unwrap_or_default();
        }
        let before = problems.errors().len();
        let pipelines = match service.get("pipelines") {
            Some(section) => pipelines::read(&section, &self.known(root), problems),
            None => {
                let place = service.place().clone();
                problems.error(
                    place,
                    "there is no `service.pipelines` section",
                    "it names the pipelines to run",
                );
                Vec::new()
            }
        };
        let enabled = self.enabled_extensions(root, service, problems);
        let mut unused = Problems::new();
        self.drop_unused(root, &pipelines, &enabled, &mut unused);
        // what a mistake in the service leaves unused would be no news
        if problems.errors().len() == before {
            problems.append(unused);
        }
        self.pipelines = pipelines;
    }

    fn known<'a>(&'a self, root: &'a Section<'a>) -> Known<'a> {
        Known {
            root,
            receivers: self
                .receivers
                .iter()
                .map(|p| (&p.id, p.described.signals))
                .collect(),
            processors: self
                .processors
                .iter()
                .map(|p| (&p.id, p.described.signals))
                .collect(),
            exporters: self
                .exporters
                .iter()
                .map(|p| (&p.id, p.described.signals))
                .collect(),
            connectors: self
                .connectors
                .iter()
                .map(|p| (&p.id, (p.described.signals, p.outputs)))
                .collect(),
            pulls: self
                .exporters
                .iter()
                .filter_map(|p| Some((&p.id, p.config.as_ref()?.pulls())))
                .collect(),
        }
    }

    /// Whether a connector takes from one pipeline and gives to the other. A receiver and an exporter may share an id, and
    /// join nothing.
    pub(super) fn joined_by_connector(&self, before: &Pipeline, after: &Pipeline) -> bool {
        self.connectors.iter().any(|connector| {
            before.exporters.contains(&connector.id) && after.receivers.contains(&connector.id)
        })
    }

    /// A connector stands where receivers and exporters do, so its id must be its own.
    fn check_ambiguous(&self, root: &Section<'_>, problems: &mut Problems) {
        let receivers = self
            .receivers
            .iter()
            .map(|planned| (&planned.id, "receiver"));
        let exporters = self
            .exporters
            .iter()
            .map(|planned| (&planned.id, "exporter"));
        let others: Vec<_> = receivers.chain(exporters).collect();
        for connector in &self.connectors {
            if let Some((_, other)) = others.iter().find(|(id, _)| **id == connector.id) {
                let place = root.at("connectors").place_of(&connector.id.to_string());
                let message = format!("`{}` is also the id of a(n) {other}", connector.id);
                problems.error(place, message, "give one of them another name: type/NAME");
            }
        }
    }

    fn enabled_extensions(
        &self,
        root: &Section<'_>,
        service: &Section<'_>,
        problems: &mut Problems,
    ) -> BTreeSet<ComponentId> {
        let mut enabled = BTreeSet::new();
        let section = service.at("extensions");
        let names: Vec<String> = section.parse(&[], problems).unwrap_or_default();
        for (name, item) in names.iter().zip(section.items()) {
            let place = item.place().clone();
            let id = match name.parse::<ComponentId>() {
                Ok(id) => id,
                Err(message) => {
                    problems.error(place, message, "");
                    continue;
                }
            };
            let is_planned = self.extensions.iter().any(|planned| planned.id == id);
            if !is_planned && root.at("extensions").get(name).is_none() {
                let defined = self.extensions.iter().map(|planned| planned.id.to_string());
                let defined: Vec<String> = defined.collect();
                let help = match nearest(name, defined.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "define it under `extensions:` at the top level".to_owned(),
                };
                problems.error(place, format!("extension `{id}` is not defined"), help);
            }
            if !enabled.insert(id) {
                let message = format!("`{name}` stands twice");
                problems.error(item.place().clone(), message, "name each extension once");
            }
        }
        enabled
    }

    /// Warns of what is defined and not used, and leaves it out.
    fn drop_unused(
        &mut self,
        root: &Section<'_>,
        pipelines: &[Pipeline],
        enabled: &BTreeSet<ComponentId>,
        problems: &mut Problems,
    ) {
        let of = |pick: fn(&Pipeline) -> &Vec<ComponentId>| -> BTreeSet<ComponentId> {
            pipelines
                .iter()
                .flat_map(|p| pick(p).iter().cloned())
                .collect()
        };
        let (receivers, processors, exporters) = (
            of(|p| &p.receivers),
            of(|p| &p.processors),
            of(|p| &p.exporters),
        );
        keep_used(root, "receivers", &mut self.receivers, &receivers, problems);
        keep_used(
            root,
            "processors",
            &mut self.processors,
            &processors,
            problems,
        );
        keep_used(root, "exporters", &mut self.exporters, &exporters, problems);
        keep_used(
            root,
            "connectors",
            &mut self.connectors,
            &exporters,
            problems,
        );
        keep_used(root, "extensions", &mut self.extensions, enabled, problems);
    }
}

/// Notes keys that a section does not have.
fn strangers(section: &Section<'_>, known: &[&str], problems: &mut Problems) {
    for (key, value) in section.entries() {
        if !known.contains(&key) {
            let help = match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys: {}", known.join(", ")),
            };
            problems.error(value.place().clone(), format!("unknown key `{key}`"), help);
        }
    }
}

type Parts<T> = (Described, &'static [crate::otlp::Signal], Configure<T>);

/// Reads one of the top sections with its table of types.
fn define<F, T: ?Sized>(
    root: &Section<'_>,
    key: &str,
    factories: &'static [F],
    parts: fn(&'static F) -> Parts<T>,
    problems: &mut Problems,
) -> Vec<Planned<T>> {
    let Some(section) = root.get(key) else {
        return Vec::new();
    };
    let mut planned = Vec::new();
    for (name, section) in section.entries() {
        let id = match name.parse::<ComponentId>() {
            Ok(id) => id,
            Err(message) => {
                problems.error(section.place().clone(), message, "");
                continue;
            }
        };
        let found = factories
            .iter()
            .map(parts)
            .find(|(described, ..)| described.types.contains(&id.kind.as_str()));
        let Some((described, outputs, configure)) = found else {
            let types: Vec<&str> = factories
                .iter()
                .flat_map(|f| parts(f).0.types.iter().copied())
                .collect();
            let singular = key.trim_end_matches('s');
            let help = match nearest(&id.kind, types.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known types: {}", types.join(", ")),
            };
            problems.error(
                section.place().clone(),
                format!("there is no {singular} of type `{}`", id.kind),
                help,
            );
            continue;
        };
        let config = configure(&section, problems);
        planned.push(Planned {
            id,
            described,
            outputs,
            config,
        });
    }
    planned
}

fn keep_used<T: ?Sized>(
    root: &Section<'_>,
    key: &str,
    planned: &mut Vec<Planned<T>>,
    used: &BTreeSet<ComponentId>,
    problems: &mut Problems,
) {
    planned.retain(|component| {
        let is_used = used.contains(&component.id);
        if !is_used {
            let id = component.id.to_string();
            let place = root
                .get(key)
                .and_then(|section| section.get(&id))
                .map(|section| section.place().clone());
            let place = place.unwrap_or_else(|| root.place().clone());
            problems.warning(
                place,
                format!("`{id}` is defined but not used"),
                "name it in `service`, or remove it",
            );
        }
        is_used
    });
}
