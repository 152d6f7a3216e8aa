//! AgentGuard's reference system (R-SYS-1): a platform that assesses software and infrastructure.
//!
//! ```text
//! gateway ─▶ orchestrator ─▶ triage, 4 planners ─▶ 8 scanners ─▶ tools ─▶ services ─▶ databases
//!                  │             4 analysts, reviewer ─▶ report-writer ─▶ summarizer, fact-checker, translator
//!                  │                                     notifier ─▶ queue ─▶ archive
//! sentinel ────────┘ (wakes by itself)            all of them ─▶ models of two providers
//! ```
//!
//! Models of `openai` are used first and `anthropic`'s when they fail, but not by everyone: that is what there is to see.

use crate::demo::faults::{Effect, Fault, Target};
use crate::demo::system::{Call, Component, Entry, Kind, Latency, Step, System};
use std::time::Duration;

// ── processes: who runs where ──

const GATEWAY: &str = "gateway";
const ORCHESTRATION: &str = "orchestration";
const PLANNING: &str = "planning";
const SCANNING: &str = "scanning";
const ANALYSIS: &str = "analysis";
const REPORTING: &str = "reporting";

// ── models ──

const GPT: &str = "gpt-4o";
const GPT_MINI: &str = "gpt-4o-mini";
const CLAUDE: &str = "claude-sonnet-4-5";
const HAIKU: &str = "claude-haiku-4-5";

/// The large model, and the other provider's when that fails twice.
const THINK: Step = Step::Call(Call::to(GPT).or(1, CLAUDE));
/// The small model, and the other provider's when that fails twice.
const SKIM: Step = Step::Call(Call::to(GPT_MINI).or(1, HAIKU));

const fn agent(name: &'static str, process: &'static str, steps: &'static [Step]) -> Component {
    Component {
        name,
        kind: Kind::Agent,
        process,
        own: Latency::of_millis(12),
        steps,
    }
}

const fn tool(name: &'static str, process: &'static str, steps: &'static [Step]) -> Component {
    Component {
        name,
        kind: Kind::Tool,
        process,
        own: Latency::of_millis(4),
        steps,
    }
}

/// A service runs in a process of its own name.
const fn service(name: &'static str, own_millis: u64, steps: &'static [Step]) -> Component {
    Component {
        name,
        kind: Kind::Service,
        process: name,
        own: Latency::of_millis(own_millis),
        steps,
    }
}

const fn model(
    name: &'static str,
    provider: &'static str,
    host: &'static str,
    millis: u64,
) -> Component {
    Component {
        name,
        kind: Kind::Model { provider },
        process: host,
        own: Latency::of_millis(millis),
        steps: &[],
    }
}

const fn database(name: &'static str, product: &'static str, host: &'static str) -> Component {
    Component {
        name,
        kind: Kind::Database { product },
        process: host,
        own: Latency::of_millis(6),
        steps: &[],
    }
}

/// A tool or a service that asks one other.
macro_rules! asks {
    ($name:literal) => {
        &[Step::Call(Call::to($name))]
    };
}

/// The reference system: 25 agents in 5 processes, 12 tools, 4 models of 2 providers, 9 services, 4 databases, a queue.
pub static REFERENCE: System = System {
    namespace: "assessment",
    entries: &[
        Entry {
            component: GATEWAY,
            every: Duration::from_millis(1_250),
        },
        Entry {
            component: "sentinel",
            every: Duration::from_millis(4_000),
        },
    ],
    components: &[
        service(GATEWAY, 3, asks!("orchestrator")),
        // ── orchestration ──
        agent(
            "orchestrator",
            ORCHESTRATION,
            &[
                Step::Call(Call::to("triage")),
                THINK,
                Step::Call(Call::to("load_state").optional()),
                Step::Together(&[
                    Call::to("security-planner").at_times(0.6).optional(),
                    Call::to("quality-planner").at_times(0.4).optional(),
                    Call::to("infrastructure-planner").at_times(0.5).optional(),
                    Call::to("compliance-planner").at_times(0.3).optional(),
                ]),
                Step::Together(&[
                    Call::to("risk-analyst").at_times(0.6).optional(),
                    Call::to("impact-analyst").at_times(0.4).optional(),
                    Call::to("cost-analyst").at_times(0.3).optional(),
                    Call::to("trend-analyst").at_times(0.3).optional(),
                ]),
                Step::Call(Call::to("reviewer")),
                Step::Call(Call::to("report-writer")),
                Step::Call(Call::to("notifier").at_times(0.5).optional()),
            ],
        ),
        agent("triage", ORCHESTRATION, &[SKIM]),
        agent("reviewer", ORCHESTRATION, &[THINK]),
        agent(
            "sentinel",
            ORCHESTRATION,
            &[
                SKIM,
                Step::Call(Call::to("load_state").optional()),
                Step::Call(Call::to("log-scanner").optional()),
            ],
        ),
        tool("load_state", ORCHESTRATION, asks!("state")),
        // ── planners ──
        agent(
            "security-planner",
            PLANNING,
            &[
                THINK,
                Step::Call(Call::to("list_assets")),
                Step::Together(&[
                    Call::to("code-scanner").at_times(0.6).optional(),
                    Call::to("dependency-scanner").at_times(0.8).optional(),
                    Call::to("secret-scanner").at_times(0.5).optional(),
                ]),
            ],
        ),
        agent(
            "quality-planner",
            PLANNING,
            &[
                THINK,
                Step::Together(&[
                    Call::to("code-scanner").at_times(0.7).optional(),
                    Call::to("test-scanner").at_times(0.7).optional(),
                ]),
            ],
        ),
        agent(
            "infrastructure-planner",
            PLANNING,
            &[
                THINK,
                Step::Call(Call::to("list_assets")),
                Step::Together(&[
                    Call::to("container-scanner").at_times(0.7).optional(),
                    Call::to("network-scanner").at_times(0.9).optional(),
                ]),
            ],
        ),
        agent(
            "compliance-planner",
            PLANNING,
            &[
                THINK,
                Step::Call(Call::to("read_policy")),
                Step::Call(Call::to("license-scanner").optional()),
            ],
        ),
        tool("list_assets", PLANNING, asks!("inventory")),
        tool("read_policy", PLANNING, asks!("search")),
        // ── scanners ──
        agent(
            "code-scanner",
            SCANNING,
            &[Step::Call(Call::to("read_repository")), SKIM],
        ),
        agent(
            "dependency-scanner",
            SCANNING,
            &[
                Step::Call(Call::to("read_repository")),
                Step::Call(Call::to("query_advisories")),
                SKIM,
            ],
        ),
        agent(
            "secret-scanner",
            SCANNING,
            &[Step::Call(Call::to("read_repository"))],
        ),
        agent(
            "test-scanner",
            SCANNING,
            &[Step::Call(Call::to("read_repository")), SKIM],
        ),
        agent(
            "container-scanner",
            SCANNING,
            &[
                Step::Call(Call::to("inspect_image")),
                Step::Call(Call::to("query_advisories")),
                SKIM,
            ],
        ),
        agent(
            "network-scanner",
            SCANNING,
            &[
                Step::Call(Call::to("probe_network")),
                // has nowhere else to go
                Step::Call(Call::to(GPT_MINI)),
            ],
        ),
        agent(
            "license-scanner",
            SCANNING,
            &[Step::Call(Call::to("read_repository")), SKIM],
        ),
        agent(
            "log-scanner",
            SCANNING,
            &[Step::Call(Call::to("search_logs")), SKIM],
        ),
        tool("read_repository", SCANNING, asks!("repository")),
        tool("query_advisories", SCANNING, asks!("advisories")),
        tool("inspect_image", SCANNING, asks!("repository")),
        tool("probe_network", SCANNING, &[]),
        tool("search_logs", SCANNING, asks!("search")),
        // ── analysts ──
        agent("risk-analyst", ANALYSIS, &[THINK]),
        agent(
            "impact-analyst",
            ANALYSIS,
            &[Step::Call(Call::to("query_metrics")), THINK],
        ),
        agent(
            "cost-analyst",
            ANALYSIS,
            &[Step::Call(Call::to("look_up_price")), THINK],
        ),
        agent(
            "trend-analyst",
            ANALYSIS,
            &[Step::Call(Call::to("query_metrics")), SKIM],
        ),
        tool("query_metrics", ANALYSIS, asks!("telemetry")),
        tool("look_up_price", ANALYSIS, asks!("billing")),
        // ── reports ──
        agent(
            "report-writer",
            REPORTING,
            &[
                Step::Call(Call::to(CLAUDE)),
                Step::Together(&[
                    Call::to("fact-checker").optional(),
                    Call::to("summarizer").at_times(0.6).optional(),
                    Call::to("translator").at_times(0.3).optional(),
                ]),
            ],
        ),
        agent(
            "fact-checker",
            REPORTING,
            &[Step::Call(Call::to("look_up_source")), SKIM],
        ),
        agent("summarizer", REPORTING, &[SKIM]),
        agent("translator", REPORTING, &[Step::Call(Call::to(HAIKU))]),
        agent(
            "notifier",
            REPORTING,
            &[SKIM, Step::Call(Call::to("publish_report"))],
        ),
        tool("look_up_source", REPORTING, asks!("search")),
        tool("publish_report", REPORTING, asks!("reports")),
        // ── models ──
        model(GPT, "openai", "api.openai.com", 420),
        model(GPT_MINI, "openai", "api.openai.com", 180),
        model(CLAUDE, "anthropic", "api.anthropic.com", 520),
        model(HAIKU, "anthropic", "api.anthropic.com", 230),
        // ── services and what they keep ──
        service("state", 3, asks!("sessions")),
        service("inventory", 8, asks!("assets")),
        service("repository", 20, &[]),
        service("advisories", 15, asks!("vulnerabilities")),
        service("search", 25, &[]),
        service("telemetry", 18, &[]),
        service("billing", 12, asks!("inventory")),
        service("archive", 6, asks!("documents")),
        database("sessions", "redis", "sessions.internal"),
        database("assets", "postgresql", "assets.internal"),
        database("vulnerabilities", "postgresql", "vulnerabilities.internal"),
        database("documents", "mongodb", "documents.internal"),
        Component {
            name: "reports",
            kind: Kind::Queue { product: "kafka" },
            process: "broker.internal",
            own: Latency::of_millis(3),
            steps: asks!("archive"),
        },
    ],
};

/// What breaks in the reference system, in rounds of 90 s: one provider from 15 s to 35 s, then a tool's back end is slow
/// from 50 s to 70 s.
pub static FAULTS: &[Fault] = &[
    Fault {
        target: Target::Provider("openai"),
        effect: Effect::Fails {
            share: 0.85,
            error: "503",
        },
        from: Duration::from_secs(15),
        until: Duration::from_secs(35),
    },
    Fault {
        target: Target::Component("query_advisories"),
        effect: Effect::Slows(400.0),
        from: Duration::from_secs(50),
        until: Duration::from_secs(70),
    },
];
