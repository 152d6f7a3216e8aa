//! Who a model is: provider and family (N-20 to N-26). Runs on first sight of a combination only.

/// Values of provider keys that name frameworks and say nothing of the provider (N-21).
const FRAMEWORKS: &[&str] = &[
    "langchain",
    "langgraph",
    "crewai",
    "strands-agents",
    "microsoft.agent_framework",
    "agent_framework",
    "autogen",
    "spring_ai",
    "gcp.vertex.agent",
    "openai_agents",
    "claude_agent_sdk",
    "smolagents",
    "llamaindex",
    "haystack",
    "pydantic_ai",
    "unknown",
];

/// Spellings of providers (N-22).
const SPELLINGS: &[(&str, &str)] = &[
    ("az.ai.openai", "azure.ai.openai"),
    ("azure", "azure.ai.openai"),
    ("azure-openai", "azure.ai.openai"),
    ("azure_openai", "azure.ai.openai"),
    ("az.ai.inference", "azure.ai.inference"),
    ("aws", "aws.bedrock"),
    ("bedrock", "aws.bedrock"),
    ("amazon-bedrock", "aws.bedrock"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("vertexai", "gcp.vertex_ai"),
    ("gemini", "gcp.gemini"),
    ("google", "gcp.gen_ai"),
    ("xai", "x_ai"),
    ("mistral", "mistral_ai"),
    ("mistralai", "mistral_ai"),
    ("moonshot", "moonshot_ai"),
];

/// Providers by prefix of what the AI SDK and others write (N-22).
const SPELLED_BY_PREFIX: &[(&str, &str)] = &[
    ("google.vertex", "gcp.vertex_ai"),
    ("google.generative-ai", "gcp.gemini"),
];

/// Suffixes by which the AI SDK tells the kinds of call of one provider (N-22).
const CALL_SUFFIXES: &[&str] = &[
    ".chat",
    ".responses",
    ".completion",
    ".embedding",
    ".embeddings",
    ".image",
    ".speech",
    ".transcription",
    ".messages",
];

/// Providers by host (N-23): exact, by suffix (`*` in front), or by prefix (`*` behind).
const HOSTS: &[(&str, &str)] = &[
    ("api.openai.com", "openai"),
    ("*.openai.azure.com", "azure.ai.openai"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("*aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("bedrock-runtime.*", "aws.bedrock"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.cohere*", "cohere"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
];

/// Providers that a model name may carry in front, as gateways write it (`openai/gpt-4o`).
const PREFIXES: &[(&str, &str)] = &[
    ("openai", "openai"),
    ("azure", "azure.ai.openai"),
    ("anthropic", "anthropic"),
    ("bedrock", "aws.bedrock"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("gemini", "gcp.gemini"),
    ("google", "gcp.gen_ai"),
    ("mistral", "mistral_ai"),
    ("mistralai", "mistral_ai"),
    ("cohere", "cohere"),
    ("groq", "groq"),
    ("deepseek", "deepseek"),
    ("xai", "x_ai"),
    ("x-ai", "x_ai"),
    ("perplexity", "perplexity"),
    ("together_ai", "together_ai"),
];

/// Providers by how their models' names begin.
const FAMILIES: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4-", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gcp.gen_ai"),
    ("mistral-", "mistral_ai"),
    ("codestral", "mistral_ai"),
    ("command-", "cohere"),
    ("deepseek-", "deepseek"),
    ("grok-", "x_ai"),
    ("sonar", "perplexity"),
];

/// Regions in front of Bedrock's model ids (N-24).
const REGIONS: &[&str] = &[
    "us.", "eu.", "apac.", "global.", "us-gov.", "jp.", "au.", "ca.",
];

/// Vendors in front of Bedrock's model names (N-24).
const BEDROCK_VENDORS: &[&str] = &[
    "anthropic.",
    "amazon.",
    "meta.",
    "mistral.",
    "cohere.",
    "ai21.",
    "stability.",
    "deepseek.",
    "openai.",
    "qwen.",
];

/// The provider of a model nobody names.
pub(crate) const UNKNOWN: &str = "unknown";

/// Whether a provider key's value names a framework (N-21). Looks at the raw bytes, on the hot path.
#[inline]
pub(crate) fn is_framework(value: &[u8]) -> bool {
    FRAMEWORKS.iter().any(|framework| {
        framework.len() == value.len() && value.eq_ignore_ascii_case(framework.as_bytes())
    })
}

/// A model's provider and family from what the span says; no family where the span has no model name.
pub(crate) fn identify(provider: &str, host: &str, model: &str) -> (String, String) {
    let model = model.trim().to_lowercase();
    let (front, rest) = split_provider(&model);
    let provider = if provider.trim().is_empty() {
        by_host(host)
            .or(front)
            .or_else(|| by_family(&family(&model)))
            .unwrap_or(UNKNOWN)
            .to_owned()
    } else {
        spelled(provider)
    };
    let strips_front = front == Some(provider.as_str());
    (provider, family(if strips_front { rest } else { &model }))
}

/// A provider's spelling (N-22).
fn spelled(raw: &str) -> String {
    let mut lower = raw.trim().to_lowercase();
    let known = |name: &str| {
        let exact = SPELLINGS.iter().find(|(from, _)| *from == name);
        let by_prefix = SPELLED_BY_PREFIX
            .iter()
            .find(|(from, _)| name.starts_with(from));
        exact.or(by_prefix).map(|(_, to)| (*to).to_owned())
    };
    if let Some(found) = known(&lower) {
        return found;
    }
    if let Some(suffix) = CALL_SUFFIXES.iter().find(|suffix| lower.ends_with(*suffix)) {
        lower.truncate(lower.len() - suffix.len());
    }
    known(&lower).unwrap_or(lower)
}

/// Whether a model answers at this host.
pub(crate) fn is_endpoint(host: &str) -> bool {
    by_host(host).is_some()
}

/// The host of an address that may be a URL.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let end = rest.find(['/', ':', '?']).unwrap_or(rest.len());
    rest.get(..end).unwrap_or(rest)
}

fn by_host(address: &str) -> Option<&'static str> {
    let host = host_of(address.trim()).to_ascii_lowercase();
    HOSTS
        .iter()
        .find(
            |(pattern, _)| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
                (Some(suffix), _) => host.ends_with(suffix),
                (_, Some(prefix)) => host.starts_with(prefix),
                _ => host == *pattern,
            },
        )
        .map(|(_, provider)| *provider)
}

fn by_family(model: &str) -> Option<&'static str> {
    let name = model.rsplit('/').next().unwrap_or(model);
    FAMILIES
        .iter()
        .find(|(prefix, _)| name.starts_with(prefix))
        .map(|(_, provider)| *provider)
}

/// The provider in front of a model's name and what follows it.
fn split_provider(model: &str) -> (Option<&'static str>, &str) {
    let Some((front, rest)) = model.split_once('/') else {
        return (None, model);
    };
    let found = PREFIXES.iter().find(|(prefix, _)| *prefix == front);
    (found.map(|(_, provider)| *provider), rest)
}

/// The family of a lower-case model name: without resource paths, regions, vendors, versions and dates (N-24).
fn family(model: &str) -> String {
    let mut name = model;
    if name.starts_with("arn:") || name.starts_with("projects/") || name.starts_with("accounts/") {
        name = name.rsplit('/').next().unwrap_or(name);
    }
    name = name.strip_prefix("models/").unwrap_or(name);
    for prefixes in [REGIONS, BEDROCK_VENDORS] {
        if let Some(rest) = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)) {
            name = rest;
        }
    }
    name = name.strip_suffix(":latest").unwrap_or(name);
    name = without_revision(name);
    if let Some((front, version)) = name.rsplit_once('@')
        && !front.is_empty()
        && (is_date(version) || version == "default" || version == "latest")
    {
        name = front;
    }
    name = name.strip_suffix("-latest").unwrap_or(name);
    without_date(name).to_owned()
}

/// Cuts Bedrock's `-vN:M`.
fn without_revision(name: &str) -> &str {
    let Some((front, tail)) = name.rsplit_once("-v") else {
        return name;
    };
    match tail.split_once(':') {
        Some((major, minor)) if is_digits(major) && is_digits(minor) => front,
        _ => name,
    }
}

/// Cuts a trailing `-YYYY-MM-DD` or `-YYYYMMDD`.
fn without_date(name: &str) -> &str {
    for len in [10, 8] {
        if let Some(cut) = name.len().checked_sub(len + 1)
            && let Some((front, tail)) = name.split_at_checked(cut)
            && let Some(date) = tail.strip_prefix('-')
            && is_date(date)
            && !front.is_empty()
        {
            return front;
        }
    }
    name
}

fn is_date(text: &str) -> bool {
    match text.len() {
        8 => is_digits(text),
        10 => text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        }),
        _ => false,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N-20 to N-26.
    #[test]
    fn models_are_known_by_provider_and_family() {
        for (provider, host, model, expected) in [
            ("openai", "", "gpt-4o-2024-08-06", "openai/gpt-4o"),
            ("azure", "", "gpt-4o", "azure.ai.openai/gpt-4o"),
            (
                "",
                "",
                "claude-3-5-sonnet-20241022",
                "anthropic/claude-3-5-sonnet",
            ),
            (
                "aws.bedrock",
                "",
                "us.anthropic.claude-sonnet-4-20250514-v1:0",
                "aws.bedrock/claude-sonnet-4",
            ),
            (
                "",
                "",
                "bedrock/anthropic.claude-3-haiku-20240307-v1:0",
                "aws.bedrock/claude-3-haiku",
            ),
            (
                "",
                "",
                "us.anthropic.claude-sonnet-4-20250514-v1:0",
                "anthropic/claude-sonnet-4",
            ),
            ("", "", "gemini-2.0-flash", "gcp.gen_ai/gemini-2.0-flash"),
            (
                "vertex_ai",
                "",
                "claude-3-5-sonnet-v2@20241022",
                "gcp.vertex_ai/claude-3-5-sonnet-v2",
            ),
            (
                "gcp.gemini",
                "",
                "models/gemini-1.5-pro-latest",
                "gcp.gemini/gemini-1.5-pro",
            ),
            ("", "localhost", "llama3.1:8b", "unknown/llama3.1:8b"),
            (
                "",
                "acme.openai.azure.com",
                "my-dep",
                "azure.ai.openai/my-dep",
            ),
            (
                "",
                "https://acme.openai.azure.com:443/x",
                "my-dep",
                "azure.ai.openai/my-dep",
            ),
            ("Xai", "", "grok-2", "x_ai/grok-2"),
            (
                "google.vertex.chat",
                "",
                "gemini-2.5-pro",
                "gcp.vertex_ai/gemini-2.5-pro",
            ),
            ("openai.chat", "", "gpt-4o-mini", "openai/gpt-4o-mini"),
            (
                "together_ai",
                "",
                "meta-llama/Llama-3-70b",
                "together_ai/meta-llama/llama-3-70b",
            ),
        ] {
            let (found, family) = identify(provider, host, model);
            assert_eq!(
                format!("{found}/{family}"),
                expected,
                "{provider} {host} {model}"
            );
        }
    }

    #[test]
    fn frameworks_are_no_providers() {
        assert!(is_framework(b"LangChain") && is_framework(b"strands-agents"));
        assert!(!is_framework(b"openai") && !is_framework(b""));
    }

    #[test]
    fn odd_names_do_no_harm() {
        for model in [
            "",
            "/",
            "-",
            "é",
            "@",
            "-20240101",
            "models/",
            "us.",
            "ü-2024-01-01",
            "-v1:0",
            "x@",
        ] {
            let (provider, _) = identify("", "", model);
            assert_eq!(provider, UNKNOWN, "{model}");
        }
    }
}
