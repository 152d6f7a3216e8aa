//! How sure a share is that was seen in few calls.
//!
//! The bounds are Chernoff's, as in layer A of the detectors (`detection` §5): a true share p explains k of n with
//! probability e^(−G) at most, G = n·KL(k/n ‖ p). The lower bound is the least p with G ≤ 8, the upper the greatest: one
//! look in three thousand is outside. Three failures of three calls prove a share of 0.07, four 0.14, ten 0.45.
//!
//! The interval of a learned probability is that of a Beta distribution with Jeffreys' prior (`detection` §7).

/// G at which a share is no explanation any more.
const G: f64 = 8.0;

/// Halvings of an interval: beyond any use, below any cost.
const HALVINGS: u32 = 40;

/// The least share that explains `part` of `all`; 0 of nothing.
pub(super) fn lower(part: f64, all: f64) -> f64 {
    if all <= 0.0 || part <= 0.0 {
        return 0.0;
    }
    let seen = (part / all).min(1.0);
    search(0.0, seen, |p| all * divergence(seen, p) > G)
}

/// The greatest share that explains `part` of `all`; 1 of nothing.
pub(super) fn upper(part: f64, all: f64) -> f64 {
    if all <= 0.0 {
        return 1.0;
    }
    1.0 - lower(all - part.clamp(0.0, all), all)
}

/// KL(q ‖ p) of two coins, nats.
fn divergence(q: f64, p: f64) -> f64 {
    let term = |a: f64, b: f64| if a <= 0.0 { 0.0 } else { a * (a / b).ln() };
    term(q, p) + term(1.0 - q, 1.0 - p)
}

/// Where `is_below` turns from true to false between two bounds.
fn search(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The 95 % interval of a probability of which `yes` and `no` were seen: quantiles of Beta(½ + yes, ½ + no).
pub(super) fn interval(yes: f64, no: f64) -> (f64, f64) {
    let (a, b) = (0.5 + yes.max(0.0), 0.5 + no.max(0.0));
    let quantile = |q: f64| search(0.0, 1.0, |x| incomplete_beta(a, b, x) < q);
    (quantile(0.025), quantile(0.975))
}

/// The regularised incomplete beta function, by its continued fraction (Numerical Recipes §6.4; DLMF 8.17.22), which is
/// taken on the side where it converges fast.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let log_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    if x < (a + 1.0) / (a + b + 2.0) {
        log_front.exp() * continued_fraction(a, b, x) / a
    } else {
        1.0 - log_front.exp() * continued_fraction(b, a, 1.0 - x) / b
    }
}

/// Lentz's method. Some √max(a, b) rounds.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut sum = d;
    for round in 1..500 {
        let m = f64::from(round);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for step in [even, odd] {
            d = 1.0 / guard(1.0 + step * d);
            c = guard(1.0 + step / c);
            sum *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-12 {
            break;
        }
    }
    sum
}

/// The logarithm of the gamma function for positive numbers: Stirling's series, after moving up to where it is exact to
/// twelve places.
fn ln_gamma(x: f64) -> f64 {
    let mut shift = 0.0;
    let mut x = x;
    while x < 12.0 {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series =
        (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64, by: f64) {
        assert!((a - b).abs() < by, "{a} is not {b}");
    }

    /// When all failed, G = n·ln(1/p): the bound is e^(−8/n).
    #[test]
    fn few_failures_prove_little() {
        for (failures, bound) in [
            (1.0, 0.000_335),
            (2.0, 0.018_3),
            (3.0, 0.069_5),
            (4.0, 0.135_3),
        ] {
            close(lower(failures, failures), bound, 1e-4);
        }
        close(upper(0.0, 100.0), 1.0 - (-0.08f64).exp(), 1e-9);
        assert_eq!((lower(0.0, 50.0), lower(0.0, 0.0)), (0.0, 0.0));
        assert_eq!(upper(0.0, 0.0), 1.0);
    }

    /// Values of R's `qbeta`: Beta(½, ½) is the arcsine law, sin²(π·0.025/2); Beta(3.5, 0.5) and Beta(0.5, 9.5) decide at
    /// three and nine (`detection` §7).
    #[test]
    fn the_interval_of_no_evidence_is_everything_and_three_or_nine_calls_decide() {
        let (low, high) = interval(0.0, 0.0);
        close(low, (std::f64::consts::PI * 0.0125).sin().powi(2), 1e-9);
        close(high, 1.0 - low, 1e-9);
        assert!(interval(3.0, 0.0).0 > 0.4);
        assert!(interval(0.0, 9.0).1 < 0.25);
        // Beta(1½, ½) has the distribution (2/π)(asin √x − √(x(1−x)))
        let (low, _) = interval(1.0, 0.0);
        let cdf = 2.0 / std::f64::consts::PI * (low.sqrt().asin() - (low * (1.0 - low)).sqrt());
        close(cdf, 0.025, 1e-9);
    }

    proptest! {
        #[test]
        fn the_bounds_hold_the_share_and_tighten_with_evidence(part in 0u32..200, rest in 0u32..200) {
            let (part, all) = (f64::from(part), f64::from(part + rest));
            prop_assume!(all > 0.0);
            let (low, high) = (lower(part, all), upper(part, all));
            prop_assert!(0.0 <= low && low <= part / all + 1e-9 && part / all <= high + 1e-9 && high <= 1.0);
            prop_assert!(lower(part * 2.0, all * 2.0) >= low - 1e-9);
            prop_assert!(upper(part * 2.0, all * 2.0) <= high + 1e-9);
            prop_assert!(lower(part + 1.0, all + 1.0) >= low - 1e-9);
        }
    }
}
