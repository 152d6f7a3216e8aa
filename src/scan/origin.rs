//! Where spans come from: what a resource says of its service (N-01 to N-03, R-04).

use crate::base::NodeId;
use crate::otlp::{Attributes, ValueView, semconv};
use crate::scan::cache::PartsCache;
use crate::scan::identity::{Intern, NodeKey};
use crate::scan::kind::NodeKind;
use crate::scan::{hash, text};
use std::sync::Arc;

/// The service of a resource, worked out once.
#[derive(Debug)]
pub struct Origin {
    /// Number in the worker's cache, part of the keys of what is named in the service's terms.
    pub(crate) number: u64,
    /// `service.name`; `unknown_service` where there is none.
    pub service_name: Box<str>,
    /// `service.namespace`; `-` where there is none.
    pub namespace: Box<str>,
    /// Values of the realm's attributes; empty where there are none.
    pub realm: Arc<str>,
    /// The name of an agent that has none (N-12).
    pub default_agent: Box<str>,
    /// The service's node.
    pub service: NodeId,
    /// Digest of `service.version`.
    pub version: u32,
}

/// Most attributes that may make up a realm.
pub const MAX_REALM_KEYS: usize = 4;

/// What is read of every resource, before the realm's values.
const FIXED: usize = 4;
const NAME: usize = 0;
const NAMESPACE: usize = 1;
const VERSION: usize = 2;
const MAIN_AGENT: usize = 3;

/// Finds the origin of a resource; one per worker.
pub(crate) struct Origins {
    realm_keys: Vec<String>,
    cache: PartsCache<Arc<Origin>>,
    next: u64,
}

impl Origins {
    pub(crate) fn new(seed: u64, realm_keys: &[String], capacity: usize) -> Self {
        Origins {
            realm_keys: realm_keys.iter().take(MAX_REALM_KEYS).cloned().collect(),
            cache: PartsCache::new(seed, capacity),
            next: 0,
        }
    }

    /// Forgets all resources.
    pub(crate) fn clear(&mut self) {
        self.cache.clear();
    }

    /// The origin of what a resource with these attributes sent. Allocates on first sight only.
    pub(crate) fn find(&mut self, attributes: Attributes<'_>, intern: &dyn Intern) -> Arc<Origin> {
        let mut words: [&[u8]; FIXED + MAX_REALM_KEYS] = [b""; FIXED + MAX_REALM_KEYS];
        for attribute in attributes {
            let Some((at, is_older)) = self.place(attribute.key) else {
                continue;
            };
            if let ValueView::Str(value) = attribute.value()
                && (!is_older || words[at].is_empty())
            {
                words[at] = value;
            }
        }
        let next = &mut self.next;
        let origin = self.cache.find_or_insert(0, &words, || {
            *next += 1;
            Arc::new(make(*next, &words, intern))
        });
        Arc::clone(origin)
    }

    /// Which word a key gives, and whether a newer key for the same wins.
    fn place(&self, key: &[u8]) -> Option<(usize, bool)> {
        const ENVIRONMENT: &[u8] = semconv::DEPLOYMENT_ENVIRONMENT.as_bytes();
        if key == semconv::SERVICE_NAME.as_bytes() {
            return Some((NAME, false));
        }
        if key == semconv::SERVICE_NAMESPACE.as_bytes() {
            return Some((NAMESPACE, false));
        }
        if key == semconv::SERVICE_VERSION.as_bytes() {
            return Some((VERSION, false));
        }
        if key == semconv::GEN_AI_MAIN_AGENT_NAME.as_bytes() {
            return Some((MAIN_AGENT, false));
        }
        let at = self.realm_keys.iter().position(|realm| {
            realm.as_bytes() == key
                || key == ENVIRONMENT && realm == semconv::DEPLOYMENT_ENVIRONMENT_NAME
        })?;
        Some((FIXED + at, key == ENVIRONMENT))
    }
}

fn make(number: u64, words: &[&[u8]; FIXED + MAX_REALM_KEYS], intern: &dyn Intern) -> Origin {
    let mut service_name = text::tidy(words[NAME]);
    if service_name.is_empty() || service_name.starts_with("unknown_service") {
        service_name = "unknown_service".to_owned();
    }
    let namespace = text::tidy(words[NAMESPACE]);
    let namespace = if namespace.is_empty() {
        "-".to_owned()
    } else {
        namespace
    };
    let main_agent = text::tidy(words[MAIN_AGENT]);
    let realm: Vec<String> = words[FIXED..].iter().map(|word| text::tidy(word)).collect();
    let realm: Arc<str> = realm.join("/").trim_end_matches('/').into();
    let key = NodeKey {
        kind: NodeKind::Service,
        realm: Arc::clone(&realm),
        scope: namespace.as_str().into(),
        name: service_name.as_str().into(),
    };
    let service = intern.node(key, &service_name).id;
    Origin {
        number,
        default_agent: if main_agent.is_empty() {
            service_name.as_str().into()
        } else {
            main_agent.into()
        },
        service_name: service_name.into(),
        namespace: namespace.into(),
        realm,
        service,
        version: hash::digest(words[VERSION]),
    }
}
