//! From a configuration to a running service: the table of components, the plan, the build, the life.
//!
//! ```text
//! Document ─▶ Plan (typed, names resolved, pipelines checked) ─▶ Service (built from the exporters backwards) ─▶ run
//! ```
//!
//! **Invariants.** A plan without errors builds unless the machine itself refuses (a port in use, a full disk).
//! **Not here.** What any component does.

mod build;
mod components;
mod pipelines;
mod plan;
mod pulled;
mod run;
#[cfg(test)]
mod tests;

pub use build::Service;
pub use components::{
    CONNECTORS, EXPORTERS, EXTENSIONS, PROCESSORS, RECEIVERS, metric_definitions,
};
pub use pipelines::PipelineId;
pub use plan::{Plan, Planned};
pub use run::{Ended, RunSettings, run, run_until};
