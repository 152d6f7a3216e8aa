//! What the service has besides its pipelines.

pub mod health_check;
