//! `config/REFERENCE.md`: every key, metric and attribute, written from the code and compared with it.
//!
//! Components are found by what their `configure` parses, so that a new one is in the reference without being named here.
//! `UPDATE_EXPECT=1 cargo test --test tidy reference` writes the page anew.

use crate::names::METRIC_CALLS;
use crate::schema::{Schema, Type, inner};
use crate::source::Source;
use agentguard::config::fragments::{
    BatchConfig, GrpcClientConfig, GrpcServerConfig, HttpClientConfig, HttpServerConfig,
    QueueConfig, RetryConfig,
};
use agentguard::connectors::agentguard::AgentGuardConfig;
use agentguard::exporters::debug::DebugConfig;
use agentguard::exporters::file::RotationConfig;
use agentguard::extensions::health_check::HealthCheckConfig;
use agentguard::pipeline::Described;
use agentguard::processors::memory_limiter::MemoryLimiterConfig;
use agentguard::receivers::otlp::OtlpReceiverConfig;
use agentguard::service::{
    CONNECTORS, EXPORTERS, EXTENSIONS, PROCESSORS, RECEIVERS, metric_definitions,
};
use agentguard::telemetry::{PrometheusReaderConfig, markdown_table};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{env, fs};

const PAGE: &str = "config/REFERENCE.md";

const HEAD: &str = "# Reference

Every key of the configuration, every metric and every attribute name. This page is written from the code
(`UPDATE_EXPECT=1 cargo test --test tidy reference`), and a test fails when the two differ.

A *duration* is written `200ms`, `5s` or `1m30s`, a *size* `512KiB`, `64MiB` or `1GiB`. Any value may be
`${env:NAME}`, `${env:NAME:-default}` or `${file:PATH}`. What has no default is absent, empty or zero unless written.
";

/// The keys of a component, or of a shared section.
struct Table<'a> {
    schema: &'a Schema,
    rows: String,
}

impl Table<'_> {
    fn add(&mut self, ty: &Type, prefix: &str) {
        for field in &ty.fields {
            let bare = inner(&field.ty);
            let below = self
                .schema
                .find(&bare, &ty.path)
                .filter(|ty| !ty.fields.is_empty());
            let brackets = if field.ty.contains("Vec<") { "[]" } else { "" };
            let key = format!("{prefix}{}{brackets}", field.name);
            let shown = match below {
                Some(shared)
                    if shared.is_shared() && shared.path != ty.path
                        || below.is_some_and(is_page) =>
                {
                    format!("[`{bare}`](#{})", bare.to_lowercase())
                }
                _ => self.schema.shown(field, &ty.path),
            };
            assert!(
                !field.doc.is_empty(),
                "{}: `{}` of `{}` has no manual entry",
                ty.path,
                field.name,
                ty.name
            );
            let default = match field.default.as_str() {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            let doc = field.doc.replace('|', "\\|");
            writeln!(self.rows, "| `{key}` | {shown} | {default} | {doc} |").unwrap();
            if let Some(below) = below.filter(|below| !is_page(below)) {
                self.add(below, &format!("{key}."));
            }
        }
    }

    fn of(schema: &Schema, types: &[&Type]) -> String {
        let mut table = Table {
            schema,
            rows: "| key | type | default | meaning |\n|---|---|---|---|\n".to_owned(),
        };
        for ty in types {
            table.add(ty, "");
        }
        table.rows
    }
}

/// Whether a type has a heading of its own, to which others point.
fn is_page(ty: &Type) -> bool {
    let parts = [
        "KeepaliveServerConfig",
        "KeepaliveServerParameters",
        "KeepaliveClientConfig",
        "CorsConfig",
        "BatchConfig",
    ];
    ty.is_shared() && !parts.contains(&ty.name.as_str())
}

/// The types that a component's `configure` parses.
fn roots<'a>(schema: &'a Schema, folder: &str, component: &str) -> Vec<&'a Type> {
    let base = format!("src/{folder}/{component}");
    let own = |source: &&Source| {
        source.path == format!("{base}.rs") || source.path.starts_with(&format!("{base}/"))
    };
    let mut found = Vec::new();
    for source in schema.sources.iter().filter(own) {
        let production: Vec<&str> = source.production().map(|(_, line)| line.trim()).collect();
        let code = production.join(" ").replace(" .parse", ".parse");
        for (at, _) in code.match_indices("= section.parse") {
            let before = &code[..at];
            let Some((_, types)) = before
                .rfind("let ")
                .and_then(|start| before[start..].rsplit_once(": "))
            else {
                continue;
            };
            for name in types
                .split([',', '(', ')'])
                .map(str::trim)
                .filter(|name| !name.is_empty())
            {
                let ty = schema
                    .find(name, &source.path)
                    .unwrap_or_else(|| panic!("`{name}` is not found"));
                let expanded = ty.fields.iter().all(|field| field.doc.is_empty());
                assert!(!expanded, "{}: no manual entries", ty.path);
                found.push(ty);
            }
        }
    }
    assert!(
        !found.is_empty(),
        "{base}: `configure` parses no type that is found"
    );
    found
}

/// The keys in a list of accepted keys, by the name of its constant.
fn idle_keys<'a>(source: &'a Source, constant: &str) -> Vec<&'a str> {
    let Some(start) = source.code.find(&format!("const {constant}:")) else {
        return Vec::new();
    };
    let end = source.code[start..]
        .find("];")
        .map_or(start, |end| start + end);
    let strings = source
        .strings
        .iter()
        .filter(|text| (start..end).contains(&text.at));
    let keys = strings.filter(|text| source.code[..text.at].trim_end().ends_with('('));
    keys.map(|text| text.text.as_str()).collect()
}

fn idle_line(keys: &BTreeSet<&str>) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    format!(
        "\nAccepted from a Collector's configuration, without effect and with a warning: {}.\n",
        keys.join(", ")
    )
}

/// The idle keys of a shared section, by the table in `fragments/mod.rs`.
fn idle_of_shared<'a>(schema: &'a Schema, ty: &Type) -> BTreeSet<&'a str> {
    let table = schema
        .sources
        .iter()
        .find(|source| source.path == "src/config/fragments/mod.rs")
        .unwrap();
    let arm = table.strings.iter().find(|text| text.text == ty.name);
    let Some(arm) = arm else {
        return BTreeSet::new();
    };
    let after = &table.code[arm.at + ty.name.len() + 2..];
    let constant = after
        .split(',')
        .next()
        .and_then(|path| path.rsplit("::").next())
        .unwrap_or_default();
    let source = schema
        .sources
        .iter()
        .find(|source| source.path == ty.path)
        .unwrap();
    idle_keys(source, constant.trim()).into_iter().collect()
}

fn component(schema: &Schema, folder: &str, described: &Described, page: &mut String) {
    let kind = described.types[0];
    let types = roots(schema, folder, kind);
    writeln!(page, "\n#### {} `{kind}`\n", folder.trim_end_matches('s')).unwrap();
    let mut summary = described.summary.to_owned();
    summary[..1].make_ascii_uppercase();
    let aliases: Vec<String> = described.types[1..]
        .iter()
        .map(|name| format!(" Also written `{name}`."))
        .collect();
    writeln!(page, "{summary}.{}\n", aliases.concat()).unwrap();
    page.push_str(&Table::of(schema, &types));
    let base = format!("src/{folder}/{kind}");
    let own = schema
        .sources
        .iter()
        .filter(|source| source.path.starts_with(&base));
    let mut idle: BTreeSet<&str> = own
        .flat_map(|source| idle_keys(source, "IGNORED"))
        .collect();
    for ty in types.iter().filter(|ty| ty.is_shared()) {
        idle.extend(idle_of_shared(schema, ty));
    }
    page.push_str(&idle_line(&idle));
}

fn configuration(schema: &Schema) -> String {
    let mut page = "\n## Configuration\n".to_owned();
    let described: [(&str, Vec<&Described>); 5] = [
        (
            "receivers",
            RECEIVERS.iter().map(|f| &f.described).collect(),
        ),
        (
            "processors",
            PROCESSORS.iter().map(|f| &f.described).collect(),
        ),
        (
            "connectors",
            CONNECTORS.iter().map(|f| &f.described).collect(),
        ),
        (
            "exporters",
            EXPORTERS.iter().map(|f| &f.described).collect(),
        ),
        (
            "extensions",
            EXTENSIONS.iter().map(|f| &f.described).collect(),
        ),
    ];
    for (folder, all) in described.iter().filter(|(_, all)| !all.is_empty()) {
        writeln!(page, "\n### {folder}").unwrap();
        for described in all {
            component(schema, folder, described, &mut page);
        }
    }
    page.push_str("\n### service\n\n`service.extensions` lists the extensions to run. `service.pipelines` has the pipelines, each named for its signal, \
                   or `SIGNAL/NAME`:\n\n");
    page.push_str(&Table::of(
        schema,
        &[schema
            .find("PipelineConfig", "src/service/pipelines.rs")
            .unwrap()],
    ));
    page.push_str("\n`service.telemetry` is about the process's own logs and metrics:\n\n");
    let telemetry = schema
        .find("TelemetryConfig", "src/telemetry/config.rs")
        .unwrap();
    page.push_str(&Table::of(schema, &[telemetry]));
    let source = schema
        .sources
        .iter()
        .find(|source| source.path == telemetry.path)
        .unwrap();
    page.push_str(&idle_line(
        &idle_keys(source, "IGNORED").into_iter().collect(),
    ));
    page.push_str("\n### Shared sections\n");
    for ty in schema
        .types
        .iter()
        .filter(|ty| is_page(ty) && !ty.fields.is_empty())
    {
        // a client's keys stand at its exporters' own level, and nothing points at them
        if !page.contains(&format!("(#{})", ty.name.to_lowercase())) {
            continue;
        }
        writeln!(page, "\n#### {}\n\n{}\n", ty.name, ty.doc).unwrap();
        page.push_str(&Table::of(schema, &[ty]));
        page.push_str(&idle_line(&idle_of_shared(schema, ty)));
    }
    page
}

/// Attribute names by convention, from their one home.
fn attributes(schema: &Schema) -> String {
    let Some(semconv) = schema
        .sources
        .iter()
        .find(|source| source.path == "src/otlp/semconv.rs")
    else {
        return String::new();
    };
    let mut page =
        "\n## Attributes\n\nNames that are read, or written (`agentguard.*`), by convention.\n"
            .to_owned();
    for text in semconv
        .strings
        .iter()
        .filter(|text| semconv.is_production(text.line))
    {
        let before = semconv.code[..text.at].trim_end();
        if before.ends_with("names! {") {
            write!(page, "\n**{}**\n\n", text.text).unwrap();
        } else if before.ends_with('=') {
            writeln!(page, "- `{}`", text.text).unwrap();
        }
    }
    page
}

#[test]
fn the_reference_says_what_the_code_has() {
    let schema = Schema::read();
    let mut page = HEAD.to_owned();
    page.push_str(&configuration(&schema));
    page.push_str("\n## Metrics\n\nOn `http://localhost:8888/metrics` unless configured otherwise. Names beginning with `otelcol_` are the Collector's.\n\n");
    page.push_str(&markdown_table(&metric_definitions()));
    page.push_str(&attributes(&schema));
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    let expected = fs::read_to_string(PAGE).unwrap_or_default();
    let first = expected.lines().zip(page.lines()).position(|(a, b)| a != b);
    assert!(
        expected == page,
        "{PAGE} differs from the code, first in line {}; `UPDATE_EXPECT=1 cargo test --test tidy reference` writes it",
        first.map_or(expected.lines().count(), |line| line + 1)
    );
}

/// A definition that no list has would be missing in the reference.
#[test]
fn every_metric_that_is_defined_is_in_the_inventory() {
    let listed: BTreeSet<&str> = metric_definitions().iter().map(|def| def.name).collect();
    let sources = crate::source::rust(&["src"]);
    let mut defined = BTreeSet::new();
    for source in &sources {
        for text in source
            .strings
            .iter()
            .filter(|text| source.is_production(text.line))
        {
            let before = source.code[..text.at].trim_end();
            if METRIC_CALLS.iter().any(|call| before.ends_with(call)) {
                defined.insert(text.text.as_str());
            }
        }
    }
    assert_eq!(defined, listed);
    for def in metric_definitions() {
        assert_eq!(def.problems(), [""; 0]);
    }
}

/// The defaults that were read from the source are those that the code has.
#[test]
fn the_defaults_that_are_shown_are_those_that_hold() {
    let schema = Schema::read();
    check::<OtlpReceiverConfig>(&schema, "src/receivers/otlp/config.rs");
    check::<MemoryLimiterConfig>(&schema, "src/processors/memory_limiter/config.rs");
    check::<AgentGuardConfig>(&schema, "src/connectors/agentguard/config.rs");
    check::<DebugConfig>(&schema, "src/exporters/debug/config.rs");
    check::<RotationConfig>(&schema, "src/exporters/file/config.rs");
    check::<HealthCheckConfig>(&schema, "src/extensions/health_check/config.rs");
    check::<PrometheusReaderConfig>(&schema, "src/telemetry/config.rs");
    check::<GrpcServerConfig>(&schema, "src/config/fragments/server.rs");
    check::<HttpServerConfig>(&schema, "src/config/fragments/server.rs");
    check::<GrpcClientConfig>(&schema, "src/config/fragments/client.rs");
    check::<HttpClientConfig>(&schema, "src/config/fragments/client.rs");
    check::<QueueConfig>(&schema, "src/config/fragments/queue.rs");
    check::<BatchConfig>(&schema, "src/config/fragments/queue.rs");
    check::<RetryConfig>(&schema, "src/config/fragments/retry.rs");
}

fn check<T: Default + Serialize>(schema: &Schema, path: &str) {
    let name = std::any::type_name::<T>()
        .rsplit("::")
        .next()
        .unwrap_or_default();
    let ty = schema.find(name, path).unwrap();
    assert_eq!(ty.path, path);
    let json = serde_json::to_value(T::default()).unwrap();
    let json = json.as_object().unwrap();
    assert_eq!(json.len(), ty.fields.len(), "{name}: fields");
    for field in &ty.fields {
        let held = match &json[&field.name] {
            serde_json::Value::Null | serde_json::Value::Object(_) => String::new(),
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(items) if items.is_empty() => String::new(),
            serde_json::Value::Array(items) => {
                let items = items.iter().map(|item| item.as_str().unwrap());
                let items = items.map(|item| if item.is_empty() { "\"\"" } else { item });
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        };
        assert_eq!(field.default, held, "{name}.{}", field.name);
    }
}
