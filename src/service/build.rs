//! Building a plan, from the exporters backwards, so that everything finds its consumer ready.

use crate::otlp::Signal;
use crate::pipeline::{
    BuildContext, BuiltProcessor, Component, ComponentId, Connector, Consumer, Delivery,
    DeliveryComponent, Exporter, Fanout, Outputs, Queue, Shared,
};
use crate::service::pipelines::{Pipeline, PipelineId};
use crate::service::plan::Plan;
use crate::telemetry::{ExporterMetrics, Telemetry};
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A component with its id, for logs and health.
pub(super) struct Named {
    pub(super) id: String,
    pub(super) component: Arc<dyn Component>,
}

/// A built service: everything in the order in which it starts.
pub struct Service {
    /// Extensions, exporters, connectors, processors, receivers.
    pub(super) components: Vec<Named>,
    /// What it counts with.
    pub(super) telemetry: Arc<Telemetry>,
    shared: Arc<Shared>,
}

/// Work in progress.
struct Builder<'a> {
    plan: &'a Plan,
    telemetry: &'a Arc<Telemetry>,
    shared: Arc<Shared>,
    seed: u64,
    deliveries: BTreeMap<(ComponentId, Signal), Arc<dyn Consumer>>,
    /// Exporters that ask connectors for metrics.
    pullers: BTreeMap<ComponentId, Arc<dyn Exporter>>,
    connectors: BTreeMap<ComponentId, Arc<dyn Connector>>,
    /// What a batch meets first in each pipeline.
    heads: BTreeMap<PipelineId, Arc<dyn Consumer>>,
    exporters: Vec<Named>,
    middle: Vec<Named>,
    receivers: Vec<Named>,
}

impl Service {
    /// Builds every component of a plan; nothing starts yet. `seed` is for the jitter of retries.
    ///
    /// # Errors
    /// The component that could not be built, and why.
    pub fn build(plan: &Plan, telemetry: &Arc<Telemetry>, seed: u64) -> anyhow::Result<Service> {
        let mut builder = Builder {
            plan,
            telemetry,
            shared: Arc::default(),
            seed,
            deliveries: BTreeMap::new(),
            pullers: BTreeMap::new(),
            connectors: BTreeMap::new(),
            heads: BTreeMap::new(),
            exporters: Vec::new(),
            middle: Vec::new(),
            receivers: Vec::new(),
        };
        builder.exporters()?;
        for pipeline in builder.backwards() {
            builder.connectors_of(pipeline)?;
            builder.pipeline(pipeline)?;
        }
        builder.sources()?;
        builder.receivers()?;
        let mut components = builder.extensions()?;
        components.append(&mut builder.exporters);
        components.append(&mut builder.middle);
        components.append(&mut builder.receivers);
        Ok(Service {
            components,
            telemetry: Arc::clone(telemetry),
            shared: builder.shared,
        })
    }
}

impl Service {
    /// What the components offer: the guard's published graph, say.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl<'a> Builder<'a> {
    fn context(&self, id: &ComponentId) -> BuildContext {
        BuildContext {
            id: id.clone(),
            telemetry: Arc::clone(self.telemetry),
            shared: Arc::clone(&self.shared),
        }
    }

    fn extensions(&self) -> anyhow::Result<Vec<Named>> {
        let mut built = Vec::new();
        for planned in &self.plan.extensions {
            let Some(config) = &planned.config else {
                continue;
            };
            let component = config
                .build(&self.context(&planned.id))
                .with_context(|| format!("extension `{}`", planned.id))?;
            built.push(Named {
                id: planned.id.to_string(),
                component,
            });
        }
        Ok(built)
    }

    /// Builds each exporter once, and a queue for each signal that it is given.
    fn exporters(&mut self) -> anyhow::Result<()> {
        for planned in &self.plan.exporters {
            let Some(config) = &planned.config else {
                continue;
            };
            let context = self.context(&planned.id);
            let exporter = config
                .build(&context)
                .with_context(|| format!("exporter `{}`", planned.id))?;
            if config.pulls() {
                self.pullers
                    .insert(planned.id.clone(), Arc::clone(&exporter));
                self.exporters.push(Named {
                    id: planned.id.to_string(),
                    component: exporter,
                });
                continue;
            }
            let signals: BTreeSet<Signal> = self
                .plan
                .pipelines
                .iter()
                .filter(|pipeline| pipeline.exporters.contains(&planned.id))
                .map(|pipeline| pipeline.id.signal)
                .collect();
            for signal in signals {
                let metrics = ExporterMetrics::new(self.telemetry, &planned.id.to_string());
                let queue = Queue::new(format!("exporter {}", planned.id), config.queue());
                metrics.watch_queue(signal, &queue);
                let mut settings = config.delivery();
                settings.batch = settings
                    .batch
                    .or_else(|| self.batch_before(&planned.id, signal));
                self.seed = self
                    .seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let delivery =
                    Delivery::new(queue, Arc::clone(&exporter), settings, metrics, self.seed);
                let id = format!("{}/{}", planned.id, signal.as_str());
                self.exporters.push(Named {
                    id,
                    component: Arc::new(DeliveryComponent(Arc::clone(&delivery))),
                });
                self.deliveries
                    .insert((planned.id.clone(), signal), delivery);
            }
            // before its queues: they must find it started, and empty themselves before it stops
            self.exporters.insert(
                0,
                Named {
                    id: planned.id.to_string(),
                    component: exporter,
                },
            );
        }
        Ok(())
    }

    /// The settings of a `batch` processor in a pipeline that leads to this exporter.
    fn batch_before(
        &self,
        exporter: &ComponentId,
        signal: Signal,
    ) -> Option<crate::pipeline::BatchSettings> {
        let pipelines = self
            .plan
            .pipelines
            .iter()
            .filter(|p| p.id.signal == signal && p.exporters.contains(exporter));
        pipelines
            .flat_map(|pipeline| &pipeline.processors)
            .filter_map(|id| {
                self.plan
                    .processors
                    .iter()
                    .find(|planned| planned.id == *id)?
                    .config
                    .as_ref()?
                    .batch()
            })
            .next()
    }

    /// Pipelines so that each comes after those that its connectors feed.
    fn backwards(&self) -> Vec<&'a Pipeline> {
        fn visit<'p>(plan: &'p Plan, pipeline: &'p Pipeline, order: &mut Vec<&'p Pipeline>) {
            if order.iter().any(|done| done.id == pipeline.id) {
                return;
            }
            for next in &plan.pipelines {
                // the plan has no cycles, so this ends
                if plan.joined_by_connector(pipeline, next) {
                    visit(plan, next, order);
                }
            }
            order.push(pipeline);
        }
        let mut order = Vec::new();
        for pipeline in &self.plan.pipelines {
            visit(self.plan, pipeline, &mut order);
        }
        order
    }

    /// Builds the connectors that this pipeline exports to; what they feed stands already.
    fn connectors_of(&mut self, pipeline: &Pipeline) -> anyhow::Result<()> {
        for planned in &self.plan.connectors {
            if !pipeline.exporters.contains(&planned.id)
                || self.connectors.contains_key(&planned.id)
            {
                continue;
            }
            let Some(config) = &planned.config else {
                continue;
            };
            let connector = config
                .build(&self.context(&planned.id), self.outputs(&planned.id))
                .with_context(|| format!("connector `{}`", planned.id))?;
            let component: Arc<dyn Component> = Arc::clone(&connector) as _;
            self.middle.push(Named {
                id: planned.id.to_string(),
                component,
            });
            self.connectors.insert(planned.id.clone(), connector);
        }
        Ok(())
    }

    /// Where a receiver's or a connector's batches go, by signal.
    fn outputs(&self, id: &ComponentId) -> Outputs {
        Signal::ALL.map(|signal| {
            let consumers: Vec<_> = self
                .plan
                .pipelines
                .iter()
                .filter(|pipeline| pipeline.id.signal == signal && pipeline.receivers.contains(id))
                .filter_map(|pipeline| self.heads.get(&pipeline.id).cloned())
                .collect();
            fan(consumers)
        })
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> anyhow::Result<()> {
        let signal = pipeline.id.signal;
        let ends = pipeline.exporters.iter().filter_map(|id| {
            let delivery = self.deliveries.get(&(id.clone(), signal)).cloned();
            delivery.or_else(|| self.connectors.get(id)?.consumer(signal))
        });
        let Some(mut head) = fan(ends.collect()) else {
            return Ok(());
        };
        for id in pipeline.processors.iter().rev() {
            let planned = self
                .plan
                .processors
                .iter()
                .find(|planned| planned.id == *id);
            let Some(config) = planned.and_then(|planned| planned.config.as_ref()) else {
                continue;
            };
            let BuiltProcessor {
                consumer,
                component,
            } = config
                .build(&self.context(id), signal, head)
                .with_context(|| format!("processor `{id}` of pipeline `{}`", pipeline.id))?;
            if let Some(component) = component {
                self.middle.push(Named {
                    id: format!("{id} in {}", pipeline.id),
                    component,
                });
            }
            head = consumer;
        }
        self.heads.insert(pipeline.id.clone(), head);
        Ok(())
    }

    /// Hands the connectors' metrics to the exporters that pull, along the pipelines between them.
    fn sources(&self) -> anyhow::Result<()> {
        let metrics = |pipeline: &&Pipeline| pipeline.id.signal == Signal::Metrics;
        for pipeline in self.plan.pipelines.iter().filter(metrics) {
            let connectors = pipeline.receivers.iter();
            let offers = connectors.filter_map(|id| self.connectors.get(id)?.metrics());
            for offer in offers {
                for id in &pipeline.exporters {
                    if let Some(exporter) = self.pullers.get(id) {
                        exporter
                            .attach(offer.clone())
                            .with_context(|| format!("exporter `{id}`"))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn receivers(&mut self) -> anyhow::Result<()> {
        for planned in &self.plan.receivers {
            let Some(config) = &planned.config else {
                continue;
            };
            let component = config
                .build(&self.context(&planned.id), self.outputs(&planned.id))
                .with_context(|| format!("receiver `{}`", planned.id))?;
            self.receivers.push(Named {
                id: planned.id.to_string(),
                component,
            });
        }
        Ok(())
    }
}

/// One consumer as itself, several as a fan-out, none as nothing.
fn fan(mut consumers: Vec<Arc<dyn Consumer>>) -> Option<Arc<dyn Consumer>> {
    match consumers.len() {
        0 => None,
        1 => consumers.pop(),
        _ => Some(Arc::new(Fanout(consumers))),
    }
}
