//! What is written reads back, by us and by others.

use super::generate::{Dice, Style, message};
use super::{decode_with_serde, encode_with_serde, encoded, through_prost};
use crate::otlp::Signal;
use crate::otlp::json::{decode, encode, encode_parts};
use proptest::prelude::*;

fn signals() -> impl Strategy<Value = Signal> {
    prop_oneof![
        Just(Signal::Traces),
        Just(Signal::Metrics),
        Just(Signal::Logs)
    ]
}

fn requests(style: Style) -> impl Strategy<Value = (Signal, Vec<u8>)> {
    (signals(), prop::collection::vec(any::<u8>(), 0..3000)).prop_map(move |(signal, entropy)| {
        let mut dice = Dice(&entropy);
        (signal, message(&mut dice, signal.request(), style, 0))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// R-STR-1: text in, the same request out.
    #[test]
    fn what_we_write_we_read((signal, bytes) in requests(Style::Canonical)) {
        let text = encoded(signal, &bytes);
        let back = decode(signal, &text).unwrap();
        prop_assert_eq!(through_prost(signal, &back), through_prost(signal, &bytes));
        prop_assert_eq!(encoded(signal, &back), text);
    }

    #[test]
    fn what_we_write_others_read((signal, bytes) in requests(Style::Plain)) {
        let text = encoded(signal, &bytes);
        prop_assert_eq!(decode_with_serde(signal, &text), through_prost(signal, &bytes));
    }

    #[test]
    fn what_others_write_we_read((signal, bytes) in requests(Style::Plain)) {
        let text = encode_with_serde(signal, &bytes);
        let back = decode(signal, &text).unwrap();
        prop_assert_eq!(through_prost(signal, &back), through_prost(signal, &bytes));
    }

    /// Order, parts, repetitions and unknown fields make no difference, as they make none to prost.
    #[test]
    fn the_text_is_that_of_the_merged_message((signal, bytes) in requests(Style::Odd)) {
        let merged = through_prost(signal, &bytes);
        prop_assert_eq!(
            String::from_utf8(encoded(signal, &bytes)).unwrap(),
            String::from_utf8(encoded(signal, &merged)).unwrap()
        );
    }

    #[test]
    fn a_request_in_parts_is_one_request((signal, one) in requests(Style::Odd), entropy in prop::collection::vec(any::<u8>(), 0..500)) {
        let other = message(&mut Dice(&entropy), signal.request(), Style::Odd, 0);
        let mut text = Vec::new();
        encode_parts(signal, &[&one, &[], &other], &mut text).unwrap();
        prop_assert_eq!(text, encoded(signal, &[one, other].concat()));
    }

    #[test]
    fn any_text_is_answered(signal in signals(), text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for text in [text.as_bytes(), &bytes] {
            if let Err(refused) = decode(signal, text) {
                prop_assert!(refused.at <= text.len());
                prop_assert!(refused.what.chars().count() <= 256);
            }
        }
    }

    /// One byte replaced in a good text: refused, or still a request.
    #[test]
    fn a_damaged_text_is_answered((signal, bytes) in requests(Style::Canonical), at: prop::sample::Index, with in any::<u8>()) {
        let mut text = encoded(signal, &bytes);
        let at = at.index(text.len());
        text[at] = with;
        match decode(signal, &text) {
            Ok(bytes) => {
                through_prost(signal, &bytes);
            }
            Err(refused) => prop_assert!(refused.at <= text.len()),
        }
    }

    #[test]
    fn damaged_bytes_are_answered((signal, bytes) in requests(Style::Odd), at: prop::sample::Index, with in any::<u8>(), cut: prop::sample::Index) {
        let mut damaged = bytes;
        if !damaged.is_empty() {
            let at = at.index(damaged.len());
            damaged[at] = with;
            damaged.truncate(cut.index(damaged.len()) + 1);
        }
        let mut text = b"kept".to_vec();
        match encode(signal, &damaged, &mut text) {
            Ok(()) => {
                decode(signal, &text[4..]).ok();
            }
            Err(refused) => {
                prop_assert!(refused.at <= damaged.len());
                prop_assert_eq!(text, b"kept");
            }
        }
    }
}
