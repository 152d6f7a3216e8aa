//! What one span's attributes say, collected in one pass.

use crate::otlp::{Attributes, ValueView};
use crate::scan::alias::{AliasTable, NUMBERS, Slot, TEXTS};

/// The winning value of each slot, borrowed from the span.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    texts: [&'a [u8]; TEXTS],
    numbers: [u64; NUMBERS],
    // the winner's rank; LEAST where there is none
    ranks: [u8; TEXTS + NUMBERS],
}

/// The rank of what is absent.
const LEAST: u8 = u8::MAX;

/// Largest count believed (T-07).
const MAX_COUNT: u64 = 1 << 53;

/// A finish reason that says the call failed.
pub(crate) const FINISHED_BADLY: u64 = 2;
/// A finish reason that says the answer is not whole.
pub(crate) const FINISHED_EARLY: u64 = 1;

impl<'a> Facts<'a> {
    /// Reads attributes once. What is of no use is left; what is odd is as if absent.
    #[inline]
    pub(crate) fn collect(table: &AliasTable, attributes: Attributes<'a>) -> Self {
        let mut facts = Facts {
            texts: [&[]; TEXTS],
            numbers: [0; NUMBERS],
            ranks: [LEAST; TEXTS + NUMBERS],
        };
        for attribute in attributes {
            if let Some((slot, rank)) = table.find(attribute.key) {
                facts.take(slot, rank, &attribute.value());
            }
        }
        facts
    }

    #[inline]
    fn take(&mut self, slot: Slot, rank: u8, value: &ValueView<'a>) {
        let at = slot as usize;
        if rank >= self.ranks[at] {
            return;
        }
        if at < TEXTS {
            match value {
                ValueView::Str(text) if !text.is_empty() => self.texts[at] = text,
                _ => return,
            }
        } else {
            let read = match slot {
                Slot::FinishReasons => worst_reason(*value),
                Slot::Ours => Some(1),
                Slot::CostTotal
                | Slot::CostIn
                | Slot::CostOut
                | Slot::CostCacheRead
                | Slot::CostCacheWrite => nano(value),
                _ => number(value),
            };
            match read {
                Some(number) => self.numbers[at - TEXTS] = number,
                None => return,
            }
        }
        self.ranks[at] = rank;
    }

    /// The text of a slot; empty where there is none.
    #[inline]
    pub(crate) fn text(&self, slot: Slot) -> &'a [u8] {
        self.texts[slot as usize]
    }

    /// Whether a text is there.
    #[inline]
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.ranks[slot as usize] != LEAST
    }

    /// The number of a slot.
    #[inline]
    pub(crate) fn number(&self, slot: Slot) -> Option<u64> {
        self.has(slot).then(|| self.numbers[slot as usize - TEXTS])
    }

    /// Which alias of a slot won; 0 is the first.
    #[inline]
    pub(crate) fn rank(&self, slot: Slot) -> u8 {
        self.ranks[slot as usize]
    }

    /// The first of several slots that says something.
    #[inline]
    pub(crate) fn first(&self, slots: &[Slot]) -> &'a [u8] {
        slots
            .iter()
            .map(|slot| self.text(*slot))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    }
}

/// A count or a yes (1) or no (0), in any of the forms that senders use.
fn number(value: &ValueView<'_>) -> Option<u64> {
    let number = match value {
        ValueView::Int(int) => u64::try_from(*int).ok()?,
        ValueView::Bool(bit) => u64::from(*bit),
        ValueView::Double(double)
            if double.fract() == 0.0 && *double >= 0.0 && *double <= MAX_COUNT as f64 =>
        {
            *double as u64
        }
        ValueView::Str(b"true") => 1,
        ValueView::Str(b"false") => 0,
        ValueView::Str(digits) => std::str::from_utf8(digits).ok()?.parse().ok()?,
        _ => return None,
    };
    (number <= MAX_COUNT).then_some(number)
}

/// An amount of money in billionths; none that is negative or beyond belief.
fn nano(value: &ValueView<'_>) -> Option<u64> {
    const MOST: f64 = 1e6;
    let amount = match value {
        ValueView::Double(double) => *double,
        ValueView::Int(int) => *int as f64,
        ValueView::Str(digits) => std::str::from_utf8(digits).ok()?.parse().ok()?,
        _ => return None,
    };
    (0.0..=MOST)
        .contains(&amount)
        .then_some((amount * 1e9).round() as u64)
}

/// The worst of the finish reasons, which come as a list, as JSON or Python text of a list, or as one word.
fn worst_reason(value: ValueView<'_>) -> Option<u64> {
    let of_word = |word: &[u8]| match word {
        b"error" => FINISHED_BADLY,
        b"length" | b"content_filter" => FINISHED_EARLY,
        _ => 0,
    };
    match value {
        ValueView::Str(text) => text
            .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
            .map(of_word)
            .max(),
        ValueView::Array(elements) => elements
            .map(|element| match element {
                ValueView::Str(word) => of_word(word),
                _ => 0,
            })
            .max(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::semconv;
    use crate::scan::testing::{int, span_with, text};

    #[test]
    fn the_better_key_wins_in_either_order_and_empty_is_absent() {
        let table = AliasTable::new();
        let old = text(semconv::GEN_AI_RESPONSE_MODEL, "old");
        let new = text(semconv::GEN_AI_REQUEST_MODEL, "new");
        let empty = text(semconv::GEN_AI_REQUEST_MODEL, "");
        for (attributes, expected) in [
            (vec![old.clone(), new.clone()], "new"),
            (vec![new, old.clone()], "new"),
            (vec![empty, old], "old"),
        ] {
            let bytes = span_with(attributes);
            let view = crate::otlp::SpanView::decode(&bytes);
            let facts = Facts::collect(&table, view.attributes());
            assert_eq!(facts.text(Slot::Model), expected.as_bytes());
        }
    }

    /// M-01.
    #[test]
    fn amounts_are_kept_in_billionths() {
        assert_eq!(nano(&ValueView::Double(0.0021)), Some(2_100_000));
        assert_eq!(nano(&ValueView::Str(b"0.5")), Some(500_000_000));
        assert_eq!(nano(&ValueView::Int(2)), Some(2_000_000_000));
        for odd in [f64::NAN, f64::INFINITY, -0.1, 1e7] {
            assert_eq!(nano(&ValueView::Double(odd)), None, "{odd}");
        }
    }

    #[test]
    fn numbers_come_in_many_forms() {
        let table = AliasTable::new();
        let key = semconv::GEN_AI_USAGE_INPUT_TOKENS;
        for (attribute, expected) in [
            (int(key, 7), Some(7)),
            (text(key, "7"), Some(7)),
            (int(key, -7), None),
            (text(key, "seven"), None),
            (int(key, (1 << 53) + 1), None),
        ] {
            let bytes = span_with(vec![attribute]);
            let view = crate::otlp::SpanView::decode(&bytes);
            let facts = Facts::collect(&table, view.attributes());
            assert_eq!(facts.number(Slot::TokensIn), expected);
        }
    }
}
