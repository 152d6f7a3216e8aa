//! What joins pipelines: an exporter to those before it, a receiver to those after it.

pub mod agentguard;
