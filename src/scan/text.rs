//! Names as they are shown and as they are compared (R-07, N-10, N-12, N-24). Runs on first sight of a name only.

/// Longest name kept, in characters.
const MAX_NAME: usize = 128;

/// A name fit to be shown: trimmed, white space collapsed, control characters gone, run ids replaced by `*`.
pub(crate) fn tidy(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut clean = String::with_capacity(text.len().min(4 * MAX_NAME));
    let mut is_gap = false;
    // what is cut off anyway need not be looked at; the rest leaves room for ids that shrink
    for character in text.chars().take(16 * MAX_NAME) {
        if character.is_whitespace() {
            is_gap = !clean.is_empty();
        } else if !character.is_control() {
            if std::mem::take(&mut is_gap) {
                clean.push(' ');
            }
            clean.push(character);
        }
    }
    let clean = without_run_ids(&clean);
    match clean.char_indices().nth(MAX_NAME) {
        Some((cut, _)) => clean[..cut].trim_end().to_owned(),
        None => clean,
    }
}

/// Replaces UUIDs and runs of 32 and more hex digits by `*`: names of a single run must not grow the graph.
fn without_run_ids(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut kept = 0;
    let mut at = 0;
    while at < bytes.len() {
        let len = run_id_len(&bytes[at..]);
        let is_inside_word = at > 0 && bytes[at - 1].is_ascii_hexdigit();
        if len == 0 || is_inside_word {
            at += 1;
            continue;
        }
        // both ends are ASCII, so these are character boundaries
        out.push_str(text.get(kept..at).unwrap_or_default());
        out.push('*');
        at += len;
        kept = at;
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    out
}

/// Whether there is a UUID or a run of 32 and more hex digits in a name.
pub(crate) fn holds_run_id(name: &[u8]) -> bool {
    (0..name.len()).any(|at| run_id_len(&name[at..]) > 0)
}

/// The length of the UUID or the hex run at the start; 0 if there is none.
fn run_id_len(bytes: &[u8]) -> usize {
    let hex = bytes.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    if hex >= 32 {
        return hex;
    }
    if hex == 8 && is_uuid(bytes) { 36 } else { 0 }
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.get(..36).is_some_and(|uuid| {
        let is_formed = uuid.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
        is_formed && !bytes.get(36).is_some_and(u8::is_ascii_hexdigit)
    })
}

/// Whether an id means nothing to people: a UUID or 16 and more hex digits (N order 4, N-11).
pub(crate) fn is_opaque(id: &[u8]) -> bool {
    is_uuid(id) && id.len() == 36 || id.len() >= 16 && id.iter().all(u8::is_ascii_hexdigit)
}

/// The spelling by which agents and workflows are compared: lower case, everything else than letters and digits one `_`
/// (N-10).
pub(crate) fn canonical(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut is_gap = false;
    for character in name.chars().flat_map(char::to_lowercase) {
        if character.is_alphanumeric() {
            if std::mem::take(&mut is_gap) && !out.is_empty() {
                out.push('_');
            }
            out.push(character);
        } else {
            is_gap = true;
        }
    }
    out
}

/// Names that say nothing (N-12), canonical.
const GENERIC: &[&str] = &[
    "agent",
    "agents",
    "agentexecutor",
    "agent_executor",
    "runnableagent",
    "runnablesequence",
    "langgraph",
    "agent_workflow",
    "workflow",
    "crew",
    "crewai_workflow",
    "codeagent",
    "toolcallingagent",
    "multistepagent",
    "strands_agents",
    "reactagent",
    "functionagent",
    "agentworkflow",
    "baseagent",
    "agent_run",
    "invoke_agent",
    "invocation",
    "unknown",
    "unknown_agent",
    "default",
    "none",
];

/// Whether a canonical agent or workflow name says nothing.
pub(crate) fn is_generic(canonical: &str) -> bool {
    canonical.is_empty() || GENERIC.contains(&canonical)
}

/// What follows a prefix, trimmed.
pub(crate) fn after<'a>(text: &'a [u8], prefix: &str) -> &'a [u8] {
    text.strip_prefix(prefix.as_bytes())
        .map(<[u8]>::trim_ascii)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tidied() {
        for (raw, tidied) in [
            ("  Math \t\n Tutor ", "Math Tutor"),
            ("a\u{7}b", "ab"),
            ("poet_0b8f7c5e-8a53-4b52-9b5f-0d6f4a6b1a11", "poet_*"),
            ("run 0123456789abcdef0123456789abcdef!", "run *!"),
            ("0123456789abcdef", "0123456789abcdef"),
            ("Köchin", "Köchin"),
            ("x0b8f7c5e-8a53-4b52-9b5f-0d6f4a6b1a11", "x*"),
        ] {
            assert_eq!(tidy(raw.as_bytes()), tidied);
        }
        assert_eq!(tidy("é".repeat(500).as_bytes()).chars().count(), MAX_NAME);
        assert_eq!(
            tidy(b"\xff\xfe").chars().count(),
            2,
            "what is not UTF-8 does not panic"
        );
    }

    #[test]
    fn spellings_of_one_agent_are_one() {
        for spelling in [
            "Refund Agent",
            "refund-agent",
            "refund_agent",
            " REFUND::agent ",
        ] {
            assert_eq!(canonical(spelling), "refund_agent");
        }
        assert!(is_generic(&canonical("Agent Executor")) && is_generic(""));
        assert!(!is_generic("refund_agent"));
    }

    #[test]
    fn opaque_ids_are_seen() {
        assert!(
            is_opaque(b"0b8f7c5e-8a53-4b52-9b5f-0d6f4a6b1a11") && is_opaque(b"0123456789abcdef")
        );
        assert!(!is_opaque(b"researcher") && !is_opaque(b"facade"));
    }
}
