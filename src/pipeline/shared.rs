//! What one component offers to others of the service, found by type: the guard's published graph to the API, say.
//!
//! The pipeline does not know what is offered; the one who looks names the type.
//!
//! **Not here.** Batches: they go along pipelines.

use crate::pipeline::ComponentId;
use parking_lot::RwLock;
use std::any::Any;
use std::sync::Arc;

/// Offers of a service's components.
#[derive(Default)]
pub struct Shared {
    /// A handful of entries, written while the service is built; locked for a push or a walk.
    offers: RwLock<Vec<(ComponentId, Arc<dyn Any + Send + Sync>)>>,
}

impl Shared {
    /// Offers something under a component's id.
    pub fn offer<T: Send + Sync + 'static>(&self, id: &ComponentId, what: Arc<T>) {
        self.offers.write().push((id.clone(), what));
    }

    /// Everything of a type that is offered, in the order of building.
    #[must_use]
    pub fn all<T: Send + Sync + 'static>(&self) -> Vec<(ComponentId, Arc<T>)> {
        let offers = self.offers.read();
        let of_type = offers.iter().filter_map(|(id, what)| {
            let what = Arc::clone(what).downcast::<T>().ok()?;
            Some((id.clone(), what))
        });
        of_type.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_found_by_its_type_only() {
        let shared = Shared::default();
        let id: ComponentId = "agentguard/2".parse().unwrap();
        shared.offer(&id, Arc::new(7u32));
        assert_eq!(shared.all::<u32>(), [(id, Arc::new(7))]);
        assert!(shared.all::<u64>().is_empty());
    }
}
