//! Risk from what was found: terms between 0 and 1, and the score that they come to (`detection` §7).
//!
//! ```text
//! R(v) = 10 · (1 − Π (1 − wᵢ·rᵢ))
//! ```
//!
//! | term | rᵢ |
//! |---|---|
//! | spof | share of its realm's traffic that fails for certain with v |
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
    /// The most work of a look, in steps of some nanoseconds; what is left over is stale until the next looks.
    pub steps: u64,
}

impl Default for RiskSettings {
    fn default() -> Self {
        RiskSettings {
            weights: RiskWeights::default(),
            objective: 0.99,
            certain_use: 0.95,
            assumes_hard: true,
            steps: 1_000_000,
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
