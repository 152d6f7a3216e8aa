//! What one span's attributes say, collected in one pass.

use crate::otlp::{AttrView, SpanBytes, ValueView};
use crate::scan::alias::{AliasTable, SLOTS, Slot, TEXTS};

/// The winning value of each slot, borrowed from the span.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    span: SpanBytes<'a>,
    present: Slots,
    // a number; of a text where it begins in the span (high half) and how long it is, all zero where there is none
    values: [u64; SLOTS],
    // the winner's, where there is one
    ranks: [u8; SLOTS],
}

/// A set of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots(u128);

const _: () = assert!(SLOTS <= 128, "a bit for each slot");

impl Slots {
    /// These.
    pub(crate) const fn of(slots: &[Slot]) -> Slots {
        let mut set = 0;
        let mut rest = slots;
        while let [slot, after @ ..] = rest {
            set |= 1 << *slot as u8;
            rest = after;
        }
        Slots(set)
    }
}

/// Largest count believed (T-07).
const MAX_COUNT: u64 = 1 << 53;

/// A finish reason that says the call failed.
pub(crate) const FINISHED_BADLY: u64 = 2;
/// A finish reason that says the answer is not whole.
pub(crate) const FINISHED_EARLY: u64 = 1;

impl<'a> Facts<'a> {
    /// Nothing is known of this span.
    #[inline]
    pub(crate) fn new(span: SpanBytes<'a>) -> Self {
        Facts {
            span,
            present: Slots(0),
            values: [0; SLOTS],
            ranks: [0; SLOTS],
        }
    }

    /// Takes an attribute of the span. What is of no use is left; what is odd is as if absent.
    #[inline]
    pub(crate) fn note(&mut self, table: &AliasTable, attribute: &AttrView<'a>) {
        let Some((slot, rank)) = table.find(attribute.key) else {
            return;
        };
        let at = slot as usize;
        if self.has(slot) && rank >= self.ranks[at] {
            return;
        }
        let value = if at < TEXTS {
            attribute.text().and_then(|text| self.place_of(text))
        } else {
            match attribute.quick_int() {
                Some(int) if is_count(slot) => count(int),
                _ => read(slot, attribute),
            }
        };
        if let Some(value) = value {
            self.values[at] = value;
            self.ranks[at] = rank;
            self.present.0 |= 1 << slot as u8;
        }
    }

    /// Where a text lies in the span; none of an empty one.
    #[inline]
    fn place_of(&self, text: &[u8]) -> Option<u64> {
        let from = u32::try_from(self.span.offset_of(text)).ok()?;
        let len = u32::try_from(text.len()).ok()?;
        (len > 0).then_some(u64::from(from) << 32 | u64::from(len))
    }

    /// The text of a slot; empty where there is none.
    #[inline]
    pub(crate) fn text(&self, slot: Slot) -> &'a [u8] {
        let place = self.values[slot as usize];
        let len = place & u64::from(u32::MAX);
        self.span.part((place >> 32) as usize, len as usize)
    }

    /// Whether it says this.
    #[inline]
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.present.0 >> slot as u8 & 1 != 0
    }

    /// Whether it says any of these.
    #[inline]
    pub(crate) fn has_any(&self, slots: Slots) -> bool {
        self.present.0 & slots.0 != 0
    }

    /// The number of a slot.
    #[inline]
    pub(crate) fn number(&self, slot: Slot) -> Option<u64> {
        self.has(slot).then(|| self.values[slot as usize])
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

/// Whether a slot's number is a count or a yes or no, and nothing else.
#[inline]
fn is_count(slot: Slot) -> bool {
    !matches!(
        slot,
        Slot::FinishReasons
            | Slot::Ours
            | Slot::CostTotal
            | Slot::CostIn
            | Slot::CostOut
            | Slot::CostCacheRead
            | Slot::CostCacheWrite
    )
}

/// A number in whatever form it comes.
#[inline(never)]
fn read(slot: Slot, attribute: &AttrView<'_>) -> Option<u64> {
    let value = attribute.value();
    match slot {
        Slot::FinishReasons => worst_reason(value),
        Slot::Ours => Some(1),
        _ if is_count(slot) => number(&value),
        _ => nano(&value),
    }
}

#[inline]
fn count(int: i64) -> Option<u64> {
    u64::try_from(int).ok().filter(|count| *count <= MAX_COUNT)
}

/// A count or a yes (1) or no (0), in any of the forms that senders use.
fn number(value: &ValueView<'_>) -> Option<u64> {
    let number = match value {
        ValueView::Int(int) => return count(*int),
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
    use crate::scan::testing::{int, read, span_with, text};

    #[test]
    fn the_better_key_wins_in_either_order_and_empty_is_absent() {
        let old = text(semconv::GEN_AI_RESPONSE_MODEL, "old");
        let new = text(semconv::GEN_AI_REQUEST_MODEL, "new");
        let empty = text(semconv::GEN_AI_REQUEST_MODEL, "");
        for (attributes, expected) in [
            (vec![old.clone(), new.clone()], "new"),
            (vec![new, old.clone()], "new"),
            (vec![empty, old], "old"),
        ] {
            let bytes = span_with(attributes);
            assert_eq!(read(&bytes).0.text(Slot::Model), expected.as_bytes());
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
        let key = semconv::GEN_AI_USAGE_INPUT_TOKENS;
        for (attribute, expected) in [
            (int(key, 7), Some(7)),
            (text(key, "7"), Some(7)),
            (int(key, -7), None),
            (text(key, "seven"), None),
            (int(key, (1 << 53) + 1), None),
        ] {
            let bytes = span_with(vec![attribute]);
            assert_eq!(read(&bytes).0.number(Slot::TokensIn), expected);
        }
    }
}
