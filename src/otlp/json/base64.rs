//! Base64 as proto3's JSON reads it: either alphabet, with or without padding.

use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD_READER: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL_SAFE_READER: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Reads bytes.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    if text.bytes().any(|c| c == b'-' || c == b'_') {
        URL_SAFE_READER.decode(text)
    } else {
        STANDARD_READER.decode(text)
    }
}

/// Appends bytes in the standard alphabet with padding.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(STANDARD_READER.encode(bytes).as_bytes());
}
