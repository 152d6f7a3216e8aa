//! Bodies that are what they say, and bodies that are not.
#![expect(clippy::disallowed_methods, reason = "tests unpack what they packed")]

use super::*;
use bytes::Bytes;
use flate2::read::GzEncoder;
use flate2::{Compression, GzBuilder};
use proptest::prelude::*;
use std::io::{Read as _, Write as _};

const CODECS: [Encoding; 3] = [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate];

fn open(encoding: Encoding, body: &[u8]) -> Result<Bytes, DecompressError> {
    decompress(encoding, &Bytes::copy_from_slice(body), Limits::default())
}

fn packed(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
    compress(encoding, &[Bytes::copy_from_slice(plain)])
        .unwrap()
        .to_vec()
}

/// A text that neither shrinks to nothing nor stays as long as it is.
fn plain(len: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .map(|byte| b"abcdefgh"[usize::from(byte % 8)])
        .take(len)
        .collect()
}

fn refused(encoding: Encoding, what: &'static str) -> Result<Bytes, DecompressError> {
    Err(DecompressError::Malformed { encoding, what })
}

#[test]
fn tokens_are_read_as_peers_write_them() {
    for (token, encoding) in [
        ("", Encoding::Identity),
        ("identity", Encoding::Identity),
        (" GZIP ", Encoding::Gzip),
        ("x-gzip", Encoding::Gzip),
        ("zstd", Encoding::Zstd),
        ("deflate", Encoding::Deflate),
        ("zlib", Encoding::Deflate),
    ] {
        assert_eq!(Encoding::parse(token), Ok(encoding), "{token}");
    }
    for token in ["br", "snappy", "gzip, gzip", "none of these"] {
        let unsupported = DecompressError::Unsupported(Cause::new(token));
        assert_eq!(Encoding::parse(token), Err(unsupported));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In any cut into parts, small and large, after one another on the same thread.
    #[test]
    fn what_was_compressed_comes_back(len in 0_usize..150_000, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let plain = Bytes::from(plain(len));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
        cuts.sort_unstable();
        let mut parts = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([len]) {
            parts.push(plain.slice(start..cut));
            start = cut;
        }
        for encoding in CODECS.into_iter().chain([Encoding::Identity]) {
            let body = compress(encoding, &parts).unwrap();
            prop_assert_eq!(decompress(encoding, &body, Limits::default()).unwrap(), plain.clone());
        }
    }

    #[test]
    fn any_body_is_answered(body in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, with in any::<u8>()) {
        for encoding in CODECS {
            open(encoding, &body).ok();
            let mut damaged = packed(encoding, &body);
            let at = at.index(damaged.len());
            damaged[at] = with;
            open(encoding, &damaged).ok();
        }
    }
}

#[test]
fn nothing_compresses_too() {
    for encoding in CODECS {
        let body = compress(encoding, &[]).unwrap();
        assert_eq!(open(encoding, &body).unwrap(), b"".as_slice());
        assert_eq!(open(encoding, b""), refused(encoding, "truncated"));
    }
}

/// Every proper prefix of a body is refused.
#[test]
fn a_cut_body_is_refused() {
    for encoding in CODECS {
        let body = packed(encoding, &plain(2_000));
        for cut in 0..body.len() {
            assert!(open(encoding, &body[..cut]).is_err(), "{encoding:?} {cut}");
        }
        assert_eq!(
            open(encoding, &body[..body.len() - 1]),
            refused(encoding, "truncated")
        );
    }
}

#[test]
fn a_tail_is_refused() {
    for (encoding, what) in [
        (Encoding::Gzip, "truncated"),
        (Encoding::Zstd, "invalid zstd frame"),
        (Encoding::Deflate, "bytes behind the end"),
    ] {
        let body = [packed(encoding, b"hello"), vec![0; 3]].concat();
        assert_eq!(open(encoding, &body), refused(encoding, what));
    }
    let zeros = [packed(Encoding::Gzip, b"hello"), vec![0; 16]].concat();
    assert_eq!(
        open(Encoding::Gzip, &zeros),
        refused(Encoding::Gzip, "not a gzip header")
    );
}

#[test]
fn several_members_are_one_stream() {
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let body = [
            packed(encoding, b"one, "),
            packed(encoding, b""),
            packed(encoding, b"two"),
        ]
        .concat();
        assert_eq!(open(encoding, &body).unwrap(), b"one, two".as_slice());
    }
}

/// Header fields that `gzip` and Go write.
#[test]
fn every_gzip_header_is_understood() {
    let mut writer = GzBuilder::new()
        .filename("trace.otlp")
        .comment("recorded")
        .extra(vec![1; 300])
        .mtime(1_700_000_000)
        .write(Vec::new(), Compression::best());
    writer.write_all(b"spans").unwrap();
    let body = writer.finish().unwrap();
    assert_eq!(open(Encoding::Gzip, &body).unwrap(), b"spans".as_slice());

    let with_crc = [
        &b"\x1f\x8b\x08\x02\0\0\0\0\0\x03\xaa\xbb"[..],
        &packed(Encoding::Gzip, b"spans")[10..],
    ]
    .concat();
    assert_eq!(
        open(Encoding::Gzip, &with_crc).unwrap(),
        b"spans".as_slice()
    );
    let reserved = [
        &b"\x1f\x8b\x08\x20\0\0\0\0\0\x03"[..],
        &packed(Encoding::Gzip, b"spans")[10..],
    ]
    .concat();
    assert_eq!(
        open(Encoding::Gzip, &reserved),
        refused(Encoding::Gzip, "reserved flags in the gzip header")
    );
}

/// Other programs' readers take what we write.
#[test]
fn others_read_our_gzip() {
    let text = plain(100_000);
    let mut back = Vec::new();
    flate2::read::GzDecoder::new(packed(Encoding::Gzip, &text).as_slice())
        .read_to_end(&mut back)
        .unwrap();
    assert_eq!(back, text);
    let back = zstd::decode_all(packed(Encoding::Zstd, &text).as_slice()).unwrap();
    assert_eq!(back, text);
}

#[test]
fn a_wrong_checksum_is_refused() {
    for (encoding, what) in [
        (Encoding::Gzip, "checksum does not match"),
        (Encoding::Deflate, "invalid deflate stream"),
    ] {
        let mut body = packed(encoding, b"hello hello");
        let at = body.len() - if encoding == Encoding::Gzip { 6 } else { 1 };
        body[at] ^= 1;
        assert_eq!(open(encoding, &body), refused(encoding, what));
    }
}

/// Zeros, without holding them in memory.
fn zeros(encoding: Encoding, len: u64) -> Vec<u8> {
    let source = std::io::repeat(0).take(len);
    let mut body = Vec::new();
    match encoding {
        Encoding::Gzip => GzEncoder::new(source, Compression::best()).read_to_end(&mut body),
        Encoding::Deflate => {
            flate2::read::ZlibEncoder::new(source, Compression::best()).read_to_end(&mut body)
        }
        _ => zstd::stream::read::Encoder::new(std::io::BufReader::new(source), 19)
            .unwrap()
            .read_to_end(&mut body),
    }
    .unwrap();
    body
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    for encoding in CODECS {
        // deflate shrinks zeros a thousandfold
        let bomb = zeros(encoding, 24 << 20);
        let ratio = DecompressError::Ratio { max_ratio: 200 };
        let too_large = DecompressError::TooLarge { limit: 1 << 20 };
        assert_eq!(open(encoding, &bomb), Err(ratio), "{encoding:?}");
        let body = Bytes::from(bomb);
        let limits = Limits {
            limit: 1 << 20,
            max_ratio: 200,
            ratio_floor: 1 << 20,
        };
        assert_eq!(decompress(encoding, &body, limits), Err(too_large));
        let generous = Limits {
            limit: 3 << 20,
            max_ratio: u32::MAX,
            ratio_floor: 0,
        };
        let too_large = DecompressError::TooLarge { limit: 3 << 20 };
        assert_eq!(decompress(encoding, &body, generous), Err(too_large));
    }
}

#[test]
fn the_limit_itself_is_allowed() {
    for encoding in CODECS.into_iter().chain([Encoding::Identity]) {
        let body = Bytes::from(packed(encoding, &plain(5_000)));
        let limits = |limit| Limits {
            limit,
            ..Limits::default()
        };
        assert_eq!(
            decompress(encoding, &body, limits(5_000)).unwrap().len(),
            5_000
        );
        let too_large = DecompressError::TooLarge { limit: 4_999 };
        assert_eq!(
            decompress(encoding, &body, limits(4_999)),
            Err(too_large),
            "{encoding:?}"
        );
        // below the floor growth is not asked
        let small = Bytes::from(zeros(encoding_or_gzip(encoding), 1 << 20));
        assert_eq!(
            decompress(encoding_or_gzip(encoding), &small, Limits::default())
                .unwrap()
                .len(),
            1 << 20
        );
    }
}

fn encoding_or_gzip(encoding: Encoding) -> Encoding {
    match encoding {
        Encoding::Identity => Encoding::Gzip,
        other => other,
    }
}

/// A frame that asks for a window of 1 GiB and has a few bytes.
#[test]
fn a_large_zstd_window_is_not_allocated() {
    let frame = b"\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00";
    assert_eq!(
        open(Encoding::Zstd, frame),
        refused(Encoding::Zstd, "invalid zstd frame")
    );
}
