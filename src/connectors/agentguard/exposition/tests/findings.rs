//! What is shown of findings: all of them, as long as there are any.

use super::*;
use crate::analysis::{Analysis, Blast, Cycle, NodeRisk, Term};
use crate::graph::Row;
use crate::guard::Snapshot;

/// What is scraped of a scene's graph with these findings.
fn samples_with(scene: &Scene, analysis: Analysis) -> Samples {
    let snapshot = Snapshot {
        graph: scene.connector.published().graph.clone(),
        analysis,
        ..Snapshot::default()
    };
    samples_of(scene, &snapshot)
}

fn samples_of(scene: &Scene, snapshot: &Snapshot) -> Samples {
    let metrics = &scene.connector.exposed;
    let mut shown = metrics.shown.lock();
    let mut text = String::new();
    metrics.take(snapshot, &mut shown, false, Nanos(0));
    let mut exposition = Exposition::new(Format::Classic, &mut text);
    metrics.write(snapshot, &mut shown, &mut exposition);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| line.rsplit_once(' ').unwrap());
    samples
        .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
        .collect()
}

/// A node that is at risk in every way, by its row.
fn risk(row: Row) -> NodeRisk {
    let step = f32::from(u8::try_from(row % 5).unwrap());
    NodeRisk {
        score: step,
        terms: [0.5; Term::COUNT],
        is_spof: step > 2.0,
        is_proven: step > 3.0,
        spof_share: step / 8.0,
        blast: Blast {
            direct: row,
            transitive: row + 1,
            failing: row,
            share: 0.25,
        },
        entry_share: if row == 0 { 0.75 } else { 0.0 },
        cycle: u32::MAX,
    }
}

fn of_family<'s>(samples: &'s Samples, family: &str) -> Vec<(&'s String, f64)> {
    let own = |series: &str| {
        let rest = series.strip_prefix(family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
    };
    let samples = samples.iter().filter(|(series, _)| own(series));
    samples.map(|(series, value)| (series, *value)).collect()
}

/// R-INT-1, R-GRA-5: the same numbers as in the snapshot.
#[test]
fn every_finding_of_the_snapshot_is_a_sample() {
    let scene = seen(&plain());
    let graph = &scene.connector.published().graph;
    let rows = graph.nodes().len();
    let cycles = [
        Cycle {
            rows: vec![1, 2, 3],
        },
        Cycle { rows: vec![4] },
    ];
    let findings = (0..).take(rows).map(risk);
    let samples = samples_with(&scene, Analysis::made_of(findings, 6.5, &cycles, &[]));
    for (row, node) in (0..).zip(graph.nodes()) {
        let risk = risk(row);
        let labels = format!(
            r#"node="{}",kind="{}""#,
            node.record.id, node.record.key.kind
        );
        let of = |family: &str, more: &str| samples.get(&format!("{family}{{{labels}{more}}}"));
        let name = format!(r#",name="{}""#, node.record.display);
        assert_eq!(of(NODE_INFO, &name), Some(&1.0));
        assert_eq!(
            of("agentguard_node_risk_score", ""),
            Some(&risk.score.into())
        );
        let spof = f64::from(u8::from(risk.is_spof));
        assert_eq!(of("agentguard_node_spof", ""), Some(&spof));
        let share = Some(&f64::from(risk.spof_share));
        assert_eq!(of("agentguard_node_spof_share_ratio", ""), share);
        assert_eq!(of("agentguard_node_blast_radius_ratio", ""), Some(&0.25));
        for term in Term::ALL {
            let term = format!(r#",term="{}""#, term.as_str());
            assert_eq!(of("agentguard_node_risk_term_ratio", &term), Some(&0.5));
        }
        let reach = |reach: &str| {
            of(
                "agentguard_node_dependents",
                &format!(r#",reach="{reach}""#),
            )
        };
        assert_eq!(reach("direct"), Some(&f64::from(row)));
        assert_eq!(reach("transitive"), Some(&f64::from(row + 1)));
        let calls = |outcome: &str| {
            let outcome = format!(r#",outcome="{outcome}""#);
            of("agentguard_node_calls_total", &outcome)
                .copied()
                .unwrap()
        };
        let failures = calls("error") + calls("timeout") + calls("throttled");
        assert_eq!(failures, number(node.counts.failures()));
    }
    assert_eq!(of_family(&samples, "agentguard_entry_share_ratio").len(), 1);
    for (name, value) in [
        ("agentguard_system_risk_score", 6.5),
        ("agentguard_cycles", 2.0),
        ("agentguard_cycle_nodes", 4.0),
    ] {
        assert_eq!(samples[name], value, "{name}");
    }
}

const NODE_INFO: &str = "agentguard_node_info";

/// A row that the analysis does not know yet, a graph without one, a number that is none, a node that is gone.
#[test]
fn what_is_not_known_is_left_out_and_what_is_gone_ends() {
    let scene = seen(&plain());
    let nodes = scene.connector.published().graph.nodes().len();
    let first = NodeRisk {
        score: f32::NAN,
        ..risk(1)
    };
    let known = Analysis::made_of([first, risk(2)], 1.0, &[], &[]);
    let samples = samples_with(&scene, known);
    assert_eq!(of_family(&samples, "agentguard_node_risk_score").len(), 1);
    assert_eq!(of_family(&samples, "agentguard_node_spof").len(), 2);
    assert_eq!(of_family(&samples, NODE_INFO).len(), nodes);
    assert_eq!(samples["agentguard_cycles"], 0.0);
    let unknown = samples_with(&scene, Analysis::default());
    let ours = unknown.keys().filter(|series| {
        ["risk", "spof", "blast", "dependents", "share", "cycle"]
            .iter()
            .any(|word| series.split('{').next().unwrap().contains(word))
    });
    assert_eq!(ours.count(), 0);
    let calls = of_family(&samples, "agentguard_node_calls_total").len();
    let gone = samples_of(&scene, &Snapshot::default());
    assert_eq!(of_family(&gone, NODE_INFO), []);
    let stay = of_family(&gone, "agentguard_node_calls_total").len();
    assert_eq!(stay, calls, "no counter ends");
}

/// R-ASK-6: of more nodes than there is room for, those that matter most.
#[test]
fn where_there_are_too_many_the_riskiest_are_shown() {
    let scene = seen(&AgentGuardConfig {
        max_series: 1_000,
        ..plain()
    });
    let nodes = scene.connector.published().graph.nodes().len();
    let room = scene.connector.exposed.limits.nodes;
    assert!(room < nodes, "{room} {nodes}");
    let findings = (0..).take(nodes).map(risk);
    let samples = samples_with(&scene, Analysis::made_of(findings, 1.0, &[], &[]));
    let shown = of_family(&samples, "agentguard_node_risk_score");
    assert_eq!(shown.len(), room);
    let mut scores: Vec<f32> = (0..).take(nodes).map(|row| risk(row).score).collect();
    scores.sort_by(f32::total_cmp);
    let least = shown.iter().map(|(_, score)| *score).min_by(f64::total_cmp);
    assert_eq!(least, Some(scores[nodes - room].into()));
    let dropped =
        samples[r#"agentguard_series_dropped_total{metric="agentguard_node_risk_score"}"#];
    assert_eq!(dropped, number(i64::try_from(nodes - room).unwrap()));
    assert!(
        samples.contains_key(
            r#"agentguard_node_calls_total{node="_other",kind="_other",outcome="ok"}"#
        )
    );
}

/// M-02: what no span says is not known, and that is not 0.
#[test]
fn cost_is_shown_of_models_whose_spans_say_it() {
    let scene = seen(&plain());
    let samples = scene.samples();
    let shown = of_family(&samples, "agentguard_model_cost_usd_total");
    let graph = &scene.connector.published().graph;
    let known = graph
        .nodes()
        .iter()
        .filter(|node| node.record.key.kind == NodeKind::Model && node.counts.cost > 0);
    let known: Vec<_> = known.collect();
    assert!(
        !known.is_empty()
            && known.len() < of_family(&samples, "agentguard_model_tokens_total").len()
    );
    assert_eq!(shown.len(), known.len());
    let sum: i64 = known.iter().map(|node| node.counts.cost).sum();
    let told: f64 = shown.iter().map(|(_, cost)| cost).sum();
    assert!((told - number(sum) / 1e9).abs() < 1e-9, "{told} {sum}");
}
