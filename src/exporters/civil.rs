//! Moments as dates of the Gregorian calendar, in UTC.

use crate::base::Nanos;

/// A moment, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: u64,
    pub(crate) month: u64,
    pub(crate) day: u64,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
    /// Nanoseconds of the second.
    pub(crate) nanos: u64,
}

impl Civil {
    /// Takes a moment apart; from H. Hinnant, *chrono-compatible low-level date algorithms*, `civil_from_days`, for days
    /// that are never negative. Constant time.
    pub(crate) fn of(moment: Nanos) -> Self {
        let seconds = moment.0 / 1_000_000_000;
        let days = seconds / 86_400;
        let of_day = seconds % 86_400;
        // years begin in March, so that the leap day is the last; eras have 400 of them
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let of_era = shifted % 146_097;
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        Civil {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            nanos: moment.0 % 1_000_000_000,
        }
    }
}

/// The moment of a date, the other way round (`days_from_civil`); `None` before 1970 or beyond the end of time.
pub(crate) fn to_moment(civil: Civil) -> Option<Nanos> {
    let shifted_year = civil.year.checked_sub(u64::from(civil.month <= 2))?;
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let from_march = (civil.month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + civil.day.checked_sub(1)?;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = (era.checked_mul(146_097)? + of_era).checked_sub(719_468)?;
    let of_day = civil.hour * 3_600 + civil.minute * 60 + civil.second;
    let seconds = days.checked_mul(86_400)?.checked_add(of_day)?;
    let nanos = seconds.checked_mul(1_000_000_000)?;
    nanos.checked_add(civil.nanos).map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(moment: u64) -> String {
        let c = Civil::of(Nanos(moment));
        format!(
            "{}-{}-{} {}:{}:{}.{}",
            c.year, c.month, c.day, c.hour, c.minute, c.second, c.nanos
        )
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-1-1 0:0:0.0"),
            (951_782_399, "2000-2-28 23:59:59.0"),
            (951_782_400, "2000-2-29 0:0:0.0"),
            (951_868_800, "2000-3-1 0:0:0.0"),
            (1_709_164_800, "2024-2-29 0:0:0.0"),
            (4_107_542_400, "2100-3-1 0:0:0.0"),
            (4_107_542_399, "2100-2-28 23:59:59.0"),
            (18_446_744_073, "2554-7-21 23:34:33.0"),
        ] {
            assert_eq!(date(seconds * 1_000_000_000), expected);
        }
        assert_eq!(date(1_581_452_773_000_000_789), "2020-2-11 20:26:13.789");
    }

    proptest! {
        #[test]
        fn every_moment_comes_back(moment: u64) {
            prop_assert_eq!(to_moment(Civil::of(Nanos(moment))), Some(Nanos(moment)));
        }
    }
}
