//! Risk from what was found: terms between 0 and 1, and the score that they come to (`detection` §7).
//!
//! ```text
//! R(v) = 10 · (1 − Π (1 − wᵢ·rᵢ))
//! ```
//!
//! | term | rᵢ |
//! |---|---|
//! | spof | share of its realm's traffic that fails for certain with v; × 0.7, the prior, unless failures have proven it |
//! | blast | share that is expected to fail with v |
//! | failure | burn / 14.4, at most 1, × impact; burn = failing share of calls / (1 − objective) |
//! | latency | 0 up to half as slow again as the reference, 1 from six times on, by the logarithm, × impact |
//! | saturation | share of calls that were turned away for lack of room × impact |
//! | cycle | 1 in a cycle |
//! | single_instance | 1 if one instance was seen and somebody needs it |
//!
//! *Impact* is the expected share: what goes wrong weighs by what it takes along.
//!
//! **Few calls prove little.** Failing shares are bounded on the careful side: the least share that explains five minutes,
//! or one ([`bounds::lower`]), so that three failures of three calls count for half and not for certain; and at most what
//! the last minute still allows ([`bounds::upper`]), so that what recovered is let go within a minute. An upper bound alone
//! would call every quiet node failing: three good calls allow a share of 0.93.
//!
//! **The system's score** has the same terms and weights, each term being that of the node where it is greatest. It is no
//! less than any node's score, grows with no mere number of nodes, and is explained as they are: term by term, with the
//! node to look at. (One minus the product over all nodes would be 10 for every system of a hundred.)

use crate::analysis::bounds;
use crate::analysis::findings::{Term, Terms};
use crate::analysis::windows::{Faded, Recent};
use crate::base::{Place, Problems};
use crate::graph::Cell;
use serde::{Deserialize, Serialize};

/// The burn rate that uses 2 % of a month's budget in an hour (SRE Workbook, table 5-8).
const PAGE_BURN: f64 = 14.4;
/// Eighths of an octave above the reference at which latency begins to count (×1.5), and the further ones to the full (×4).
const SLOWER: (f64, f64) = (4.679_700_005_769_25, 16.0);
/// Calls at the reference's latency that are added to those seen, so that a few slow ones are not the rule.
const CALM: f64 = 3.0;
/// Calls in the reference before latency is compared with it.
const WARM: f64 = 20.0;

/// How much each term counts, between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RiskWeights {
    /// A node with which traffic fails for certain.
    pub spof: f64,
    /// A node with which traffic is expected to fail.
    pub blast: f64,
    /// A node that fails now.
    pub failure: f64,
    /// A node that is slower than it was.
    pub latency: f64,
    /// A node that turns calls away for lack of room.
    pub saturation: f64,
    /// A node in a cycle.
    pub cycle: f64,
    /// A node of which one instance was seen.
    pub single_instance: f64,
}

impl Default for RiskWeights {
    fn default() -> Self {
        RiskWeights {
            spof: 0.5,
            blast: 0.4,
            failure: 0.6,
            latency: 0.4,
            saturation: 0.3,
            cycle: 0.1,
            single_instance: 0.15,
        }
    }
}

impl RiskWeights {
    /// In order of [`Term`].
    fn by_term(&self) -> [f64; Term::COUNT] {
        [
            self.spof,
            self.blast,
            self.failure,
            self.latency,
            self.saturation,
            self.cycle,
            self.single_instance,
        ]
    }
}

/// What shapes the analysis.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RiskSettings {
    /// How much each term counts.
    pub weights: RiskWeights,
    /// The share of calls that are to go well; what exceeds the rest burns the error budget.
    pub objective: f64,
    /// A dependency that at least this share of its caller's requests use can make it fail for certain.
    pub certain_use: f32,
    /// Whether a dependency of which no failure was seen yet is taken as one that its caller falls with. If not, single
    /// points of failure are those that failures have proven.
    pub assumes_hard: bool,
    /// The most work of a look, in steps of some ten nanoseconds; what is left over is stale until the next looks. Every
    /// system of a thousand nodes is done in one or two.
    pub steps: u64,
}

impl Default for RiskSettings {
    fn default() -> Self {
        RiskSettings {
            weights: RiskWeights::default(),
            objective: 0.99,
            certain_use: 0.95,
            assumes_hard: true,
            steps: 300_000,
        }
    }
}

impl RiskSettings {
    /// Adds what is wrong to a list; `at` is where the settings stand.
    pub fn validate(&self, at: &Place, problems: &mut Problems) {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        for (term, weight) in Term::ALL.into_iter().zip(self.weights.by_term()) {
            if !is_share(weight) {
                let place = at.below("weights").below(term.as_str());
                let message = format!("`{weight}` is no weight");
                problems.error(place, message, "use a number from 0 to 1");
            }
        }
        if !(is_share(self.objective) && self.objective < 1.0) {
            let message = format!("`{}` leaves no budget to burn", self.objective);
            problems.error(
                at.below("objective"),
                message,
                "use a share below 1, as 0.99",
            );
        }
        if !is_share(f64::from(self.certain_use)) {
            let message = format!("`{}` is no share", self.certain_use);
            problems.error(at.below("certain_use"), message, "use a number from 0 to 1");
        }
        if self.steps == 0 {
            let help = "use at least a few thousand";
            problems.error(at.below("steps"), "no step is no work", help);
        }
    }
}

/// What the terms of a node are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grounds<'a> {
    /// Share that fails for certain.
    pub(super) spof_share: f64,
    /// Share that is expected to fail.
    pub(super) blast_share: f64,
    pub(super) recent: &'a Recent,
    pub(super) is_in_cycle: bool,
    pub(super) is_single: bool,
}

/// The terms of a node.
pub(super) fn terms(grounds: &Grounds<'_>, objective: f64) -> Terms {
    let impact = grounds.blast_share;
    let recent = grounds.recent;
    let failing = failing_share(recent, |cell| cell.failures);
    let burn = failing / (1.0 - objective).max(f64::EPSILON);
    let mut terms = [0.0; Term::COUNT];
    let mut set = |term: Term, value: f64| terms[term as usize] = rounded(value);
    set(Term::Spof, grounds.spof_share);
    set(Term::Blast, grounds.blast_share);
    set(Term::Failure, (burn / PAGE_BURN).min(1.0) * impact);
    set(Term::Latency, slowness(recent) * impact);
    let throttled = failing_share(recent, |cell| cell.throttled);
    set(Term::Saturation, throttled * impact);
    set(Term::Cycle, f64::from(u8::from(grounds.is_in_cycle)));
    set(Term::SingleInstance, f64::from(u8::from(grounds.is_single)));
    terms
}

/// Between 0 and 1, to four places: a term that moves by less is none that moved.
fn rounded(value: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
    let rounded = ((value.clamp(0.0, 1.0) * 1e4).round() / 1e4) as f32;
    rounded
}

/// 10 · (1 − Π (1 − wᵢ·rᵢ)), to hundredths.
pub(super) fn score(terms: &Terms, weights: &RiskWeights) -> f32 {
    let spared: f64 = terms
        .iter()
        .zip(weights.by_term())
        .map(|(term, weight)| 1.0 - (weight * f64::from(*term)).clamp(0.0, 1.0))
        .product();
    #[expect(clippy::cast_possible_truncation, reason = "a number from 0 to 10")]
    let score = ((1.0 - spared) * 1e3).round() as f32 / 100.0;
    score
}

/// The share of recent calls that went wrong, as far as it is proven and not over.
fn failing_share(recent: &Recent, count: impl Fn(&Cell) -> i32) -> f64 {
    let of = |cell: &Cell| (f64::from(count(cell)), f64::from(cell.calls));
    let (minute, five) = (of(&recent.minute), of(&recent.five));
    let proven = bounds::lower(five.0, five.1).max(bounds::lower(minute.0, minute.1));
    if proven <= 0.0 {
        return 0.0;
    }
    proven.min(bounds::upper(minute.0, minute.1))
}

/// How much slower than before, 0 to 1: by the last minute, or by five if that had too few calls.
fn slowness(recent: &Recent) -> f64 {
    let cell = if f64::from(recent.minute.calls) >= CALM {
        &recent.minute
    } else {
        &recent.five
    };
    let Faded { calls, octaves, .. } = recent.reference;
    if calls < WARM || cell.calls <= 0 {
        return 0.0;
    }
    let before = octaves / calls;
    let seen = f64::from(cell.calls);
    #[expect(
        clippy::cast_precision_loss,
        reason = "minutes' sums are far below 2^53"
    )]
    let above = (cell.octaves as f64 - before * seen) / (seen + CALM);
    ((above - SLOWER.0) / SLOWER.1).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cell(calls: i32, failures: i32) -> Cell {
        Cell {
            calls,
            failures,
            ..Cell::default()
        }
    }

    fn recent(minute: Cell, five: Cell) -> Recent {
        Recent {
            minute,
            five,
            ..Recent::default()
        }
    }

    /// Terms of a node with this impact.
    fn with_impact(blast_share: f64, recent: &Recent) -> Terms {
        let grounds = Grounds {
            spof_share: 0.0,
            blast_share,
            recent,
            is_in_cycle: false,
            is_single: false,
        };
        terms(&grounds, 0.99)
    }

    fn failure(recent: &Recent) -> f32 {
        with_impact(1.0, recent)[Term::Failure as usize]
    }

    /// 10·(1 − (1−0.5·1)(1−0.4·1)(1−0.6·0.5)) = 10·(1 − 0.5·0.6·0.7) = 7.9.
    #[test]
    fn the_score_is_what_the_weighted_terms_leave_unspared() {
        let weights = RiskWeights::default();
        assert_eq!(score(&[1.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0], &weights), 7.9);
        assert_eq!(score(&[0.0; Term::COUNT], &weights), 0.0);
        // all of them: 1 − 0.5·0.6·0.4·0.6·0.7·0.9·0.85 = 0.961444
        assert_eq!(score(&[1.0; Term::COUNT], &weights), 9.61);
    }

    /// All of n failed: the share proven is e^(−8/n), the burn a hundred times that.
    #[test]
    fn three_failed_calls_are_not_certainty_and_five_are() {
        let all = |n| failure(&recent(cell(n, n), cell(n, n)));
        assert!(all(1) < 0.01);
        assert!((all(3) - 0.0695 / 0.144).abs() < 0.01, "{}", all(3));
        assert_eq!(all(5), 1.0);
        assert_eq!(failure(&recent(cell(3, 0), cell(3, 0))), 0.0);
    }

    #[test]
    fn what_recovered_is_let_go_within_a_minute() {
        let down = recent(cell(50, 40), cell(250, 60));
        let up = recent(cell(400, 0), cell(600, 60));
        assert_eq!(failure(&down), 1.0);
        // 400 good calls allow a share of 1 − e^(−8/400) = 0.0198, a burn of 1.98
        assert!((failure(&up) - 0.0198 / 0.144).abs() < 0.001);
        // with nothing in the last minute nothing is over
        assert_eq!(failure(&recent(cell(0, 0), cell(250, 60))), 1.0);
    }

    #[test]
    fn what_takes_nothing_along_is_no_risk_however_it_fails() {
        let down = recent(cell(50, 50), cell(50, 50));
        assert_eq!(with_impact(0.0, &down), [0.0; Term::COUNT]);
        assert_eq!(with_impact(0.3, &down)[Term::Failure as usize], 0.3);
    }

    /// Reference 2^20 ns; nine calls three times as slow, with three calm ones added: ×2.28, of ×1.5 to ×6.
    #[test]
    fn latency_counts_from_half_as_slow_again_to_six_times() {
        let slow = |calls: i32, times: f64| {
            let octaves = (8.0 * (20.0 + times.log2()) * f64::from(calls)).round() as i64;
            let minute = Cell {
                calls,
                octaves,
                ..Cell::default()
            };
            let mut recent = recent(minute, minute);
            recent.reference.calls = 100.0;
            recent.reference.octaves = 16_000.0;
            with_impact(1.0, &recent)[Term::Latency as usize]
        };
        assert_eq!(slow(50, 1.4), 0.0);
        let expected = (0.75 * 3f64.log2() - 1.5f64.log2()) / 2.0;
        assert!((f64::from(slow(9, 3.0)) - expected).abs() < 0.01);
        assert_eq!(slow(1_000, 7.0), 1.0);
        assert!(slow(1, 100.0) < slow(9, 100.0));
    }

    #[test]
    fn settings_outside_their_bounds_are_named() {
        let mut settings = RiskSettings {
            objective: 1.0,
            certain_use: 1.5,
            ..RiskSettings::default()
        };
        settings.weights.cycle = -0.1;
        let mut problems = Problems::new();
        settings.validate(&Place::root("a.yaml"), &mut problems);
        let keys: Vec<&str> = problems
            .errors()
            .iter()
            .map(|p| p.place.key.as_str())
            .collect();
        assert_eq!(keys, ["weights::cycle", "objective", "certain_use"]);
        let mut none = Problems::new();
        RiskSettings::default().validate(&Place::root("a.yaml"), &mut none);
        assert!(none.is_empty());
    }

    proptest! {
        /// Worse grounds give no lower term and no lower score.
        #[test]
        fn terms_and_score_are_bounded_and_monotone(
            calls in 1i32..200, failures in 0i32..200, throttled in 0i32..200, slower in 0i64..64,
            spof in 0.0..=1.0, blast in 0.0..=1.0, flags in any::<(bool, bool)>(), more in 0usize..7,
        ) {
            let failures = failures.min(calls);
            let seen = Cell {
                calls,
                failures,
                throttled: throttled.min(failures),
                octaves: (160 + slower) * i64::from(calls),
                ..Cell::default()
            };
            let mut before = recent(seen, seen);
            before.reference = Faded { calls: 100.0, octaves: 16_000.0, ..Faded::default() };
            let mut after = before.clone();
            let (mut worse_spof, mut worse_blast, mut worse_flags) = (spof, blast, flags);
            match more {
                0 => worse_spof = f64::midpoint(spof, 1.0),
                1 => worse_blast = f64::midpoint(blast, 1.0),
                2 => worse_flags.0 = true,
                3 => worse_flags.1 = true,
                4 if failures < calls => { after.minute.failures += 1; after.five.failures += 1; }
                5 if seen.throttled < failures => { after.minute.throttled += 1; after.five.throttled += 1; }
                _ => { after.minute.octaves += 8; after.five.octaves += 8; }
            }
            let of = |recent: &Recent, spof_share, blast_share, flags: (bool, bool)| terms(&Grounds {
                spof_share, blast_share, recent, is_in_cycle: flags.0, is_single: flags.1,
            }, 0.99);
            let (a, b) = (of(&before, spof, blast, flags), of(&after, worse_spof, worse_blast, worse_flags));
            for (a, b) in a.iter().zip(b) {
                prop_assert!(0.0 <= *a && *a <= b && b <= 1.0, "{} {}", a, b);
            }
            let weights = RiskWeights::default();
            prop_assert!(score(&a, &weights) <= score(&b, &weights) && score(&b, &weights) <= 10.0);
        }
    }
}
