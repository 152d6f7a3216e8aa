//! Accepted exactly when `prost` decodes it.

use super::generate::{damage, damages, requests};
use super::{captured, decoded_items};
use crate::otlp::{Signal, validate};
use proptest::prelude::*;

fn agrees(signal: Signal, bytes: &[u8]) -> Result<(), TestCaseError> {
    let ours = validate(signal, bytes);
    let theirs = decoded_items(signal, bytes);
    prop_assert_eq!(
        ours.is_ok(),
        theirs.is_ok(),
        "{:?}: ours {:?}, theirs {:?}",
        signal,
        ours,
        theirs
    );
    if let Err(malformed) = ours {
        prop_assert!(malformed.at <= bytes.len(), "{}", malformed);
    }
    Ok(())
}

fn check(signal: Signal) -> impl Strategy<Value = (Signal, Vec<u8>)> {
    requests(signal).prop_map(move |bytes| (signal, bytes))
}

fn any_request() -> impl Strategy<Value = (Signal, Vec<u8>)> {
    prop_oneof![
        check(Signal::Traces),
        check(Signal::Metrics),
        check(Signal::Logs)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn every_generated_request_is_accepted_and_counted((signal, bytes) in any_request()) {
        let items = decoded_items(signal, &bytes).expect("generated requests decode");
        let ours = validate(signal, &bytes);
        if signal == Signal::Metrics {
            // a metric with data of two kinds keeps the last when it is decoded; all its points travel
            prop_assert!(ours.is_ok_and(|ours| ours as usize >= items));
        } else {
            prop_assert_eq!(ours.map(|ours| ours as usize), Ok(items));
        }
    }

    #[test]
    fn a_damaged_request_is_refused_when_prost_refuses_it(
        (signal, mut bytes) in any_request(),
        damages in damages(),
    ) {
        damage(&mut bytes, &damages);
        agrees(signal, &bytes)?;
    }

    #[test]
    fn a_request_of_one_signal_read_as_another_is_judged_as_prost_does((_, bytes) in any_request()) {
        for signal in Signal::ALL {
            agrees(signal, &bytes)?;
        }
    }

    #[test]
    fn noise_is_judged_as_prost_does(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        for signal in Signal::ALL {
            agrees(signal, &bytes)?;
        }
    }

    #[test]
    fn a_damaged_capture_is_refused_when_prost_refuses_it(
        which in any::<prop::sample::Index>(),
        damages in damages(),
    ) {
        let captured = captured();
        let mut bytes = which.get(&captured).clone();
        damage(&mut bytes, &damages);
        agrees(Signal::Traces, &bytes)?;
    }
}

#[test]
fn every_capture_is_accepted_and_counted() {
    let mut spans = 0;
    for bytes in captured() {
        let items = decoded_items(Signal::Traces, &bytes).unwrap();
        assert_eq!(
            validate(Signal::Traces, &bytes),
            Ok(u32::try_from(items).unwrap())
        );
        spans += items;
    }
    assert!(spans > 100, "{spans} spans in the captures");
}

#[test]
fn a_small_request_cut_anywhere_is_judged_as_prost_does() {
    let captured = captured();
    let smallest = captured.iter().min_by_key(|bytes| bytes.len()).unwrap();
    for cut in 0..smallest.len().min(4000) {
        agrees(Signal::Traces, &smallest[..cut]).unwrap();
    }
}

/// Nesting of arrays, of maps, of unknown groups and of unknown fields at the limit.
#[test]
fn nesting_ends_where_prost_ends_it() {
    use crate::otlp::wire::put_len;
    let wrap = |inner: Vec<u8>, path: &[u32]| {
        path.iter().rev().fold(inner, |inner, number| {
            let mut outer = Vec::new();
            put_len(&mut outer, *number, &inner);
            outer
        })
    };
    let innermost: [&[u8]; 5] = [b"", b"\x10\x01", b"\x78\x01", b"\x0a\x02hi", b"\x7b\x7c"];
    for levels in 40..55 {
        for inner in innermost {
            for (step, ends) in [(&[5, 1][..], 2), (&[6, 1, 2], 3)] {
                for cut in 0..ends {
                    let mut path = vec![1, 2, 2, 9, 2];
                    path.extend(step.iter().cycle().take(levels * 2 + cut));
                    agrees(Signal::Traces, &wrap(inner.to_vec(), &path)).unwrap();
                }
            }
        }
    }
    for levels in 90..105 {
        let mut groups = [0xfb, 0x01].repeat(levels);
        groups.extend([0xfc, 0x01].repeat(levels));
        for path in [&[][..], &[1, 2, 2], &[1, 2, 2, 9, 2]] {
            agrees(Signal::Traces, &wrap(groups.clone(), path)).unwrap();
        }
    }
}
