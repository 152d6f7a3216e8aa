//! Metrics pipelines whose exporters ask for what they show: what fits there (D5).
//!
//! A connector's metrics may be asked for, at a scrape, or be sent, as batches; those of receivers are always sent. What an
//! exporter that asks is sent would be lost without a word, so that such a pair is a mistake.

use crate::base::Problems;
use crate::config::Section;
use crate::otlp::Signal;
use crate::pipeline::ComponentId;
use crate::service::pipelines::{Known, Pipeline, place_in};
use std::collections::BTreeMap;

/// Notes pairs of receiver and exporter between which nothing would flow.
pub(super) fn check(
    pipelines: &[Pipeline],
    known: &Known<'_>,
    section: &Section<'_>,
    problems: &mut Problems,
) {
    let mut feeding: BTreeMap<&ComponentId, &ComponentId> = BTreeMap::new();
    for pipeline in pipelines {
        if pipeline.id.signal != Signal::Metrics {
            continue;
        }
        let Some(written) = section.get(&pipeline.id.to_string()) else {
            continue;
        };
        check_pairs(pipeline, known, &written, problems);
        let pullers = pipeline.exporters.iter().filter(|id| pulls(known, id));
        for exporter in pullers {
            for connector in connectors(pipeline, known) {
                let first = *feeding.entry(exporter).or_insert(connector);
                if first != connector {
                    let place = place_in(&written.at("receivers"), connector);
                    let message = format!(
                        "`{exporter}` shows the metrics of `{first}` already, and those of `{connector}` have the same names"
                    );
                    let help = "give each connector an exporter of its own: type/NAME";
                    problems.error(place, message, help);
                }
            }
        }
    }
}

fn check_pairs(
    pipeline: &Pipeline,
    known: &Known<'_>,
    written: &Section<'_>,
    problems: &mut Problems,
) {
    let puller = pipeline.exporters.iter().find(|id| pulls(known, id));
    if let Some(puller) = puller {
        for receiver in &pipeline.receivers {
            if known.receivers.contains_key(receiver) {
                let place = place_in(&written.at("receivers"), receiver);
                let message = format!(
                    "`{puller}` shows what connectors count; metrics that `{receiver}` takes in would be dropped"
                );
                let help = "send those to another exporter, in a pipeline of their own";
                problems.error(place, message, help);
            }
        }
    }
    let (Some(puller), Some(connector)) = (puller, connectors(pipeline, known).next()) else {
        return;
    };
    for processor in &pipeline.processors {
        let place = place_in(&written.at("processors"), processor);
        let message =
            format!("`{processor}` sees nothing of what `{puller}` shows of `{connector}`");
        let help = "that is asked for at a scrape and passes no processor; remove it, or send to others in a pipeline of their own";
        problems.warning(place, message, help);
    }
}

fn pulls(known: &Known<'_>, exporter: &ComponentId) -> bool {
    known.pulls.get(exporter) == Some(&true)
}

fn connectors<'p>(
    pipeline: &'p Pipeline,
    known: &Known<'_>,
) -> impl Iterator<Item = &'p ComponentId> {
    let receivers = pipeline.receivers.iter();
    receivers.filter(|id| known.connectors.contains_key(id))
}
