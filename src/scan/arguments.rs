//! The two fields of a tool's arguments that may be looked at (E-13, R-06).

/// The arguments' `coworker` (E-13, R-06).
pub(crate) fn coworker(json: &[u8]) -> &[u8] {
    #[derive(serde::Deserialize)]
    struct Arguments<'a> {
        #[serde(borrow)]
        coworker: Option<&'a str>,
    }
    serde_json::from_slice::<Arguments<'_>>(json)
        .ok()
        .and_then(|arguments| arguments.coworker)
        .map(str::as_bytes)
        .unwrap_or_default()
}

/// The arguments' `agent_name`, the one field that may be looked at; empty if there is none or it is escaped.
pub(crate) fn agent(json: &[u8]) -> &[u8] {
    #[derive(serde::Deserialize)]
    struct Arguments<'a> {
        #[serde(borrow)]
        agent_name: Option<&'a str>,
    }
    serde_json::from_slice::<Arguments<'_>>(json)
        .ok()
        .and_then(|arguments| arguments.agent_name)
        .map(str::as_bytes)
        .unwrap_or_default()
}
