//! Extensions: what a service has beside its pipelines.

pub mod health_check;
