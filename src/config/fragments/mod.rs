//! Parts of configurations that several components share, with the Collector's keys and defaults.

/// The keys of a fragment that the Collector has and that mean nothing here, by the fragment's type name.
pub(super) fn ignored_of(_name: &str) -> &'static [(&'static str, &'static str)] {
    &[]
}
