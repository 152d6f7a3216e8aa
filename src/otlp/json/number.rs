//! Numbers as proto3's JSON has them: bare or quoted, with a fraction or an exponent as long as the value is whole.

use crate::otlp::json::text::{quoted, shown};
use crate::otlp::json::wire::Wire;
use crate::otlp::schema::Kind;

/// A number as it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Written without fraction and exponent, not negative.
    Unsigned(u64),
    /// Written without fraction and exponent, negative.
    Signed(i64),
    /// Written in another way, or too large for the others.
    Float(f64),
}

/// What stands on the wire for a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OnWire {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
}

impl OnWire {
    /// Whether proto3 leaves it out. `-0.0` is not a default.
    pub(super) fn is_default(self) -> bool {
        matches!(
            self,
            OnWire::Varint(0) | OnWire::Fixed32(0) | OnWire::Fixed64(0)
        )
    }
}

impl Number {
    /// Reads a quoted number; `quoted` must look like a JSON number.
    pub(super) fn parse(quoted: &str) -> Option<Number> {
        let digits = quoted.strip_prefix('-').unwrap_or(quoted);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None; // also `inf` and `nan`, which Rust would read
        }
        if let Ok(number) = quoted.parse() {
            return Some(Number::Unsigned(number));
        }
        if let Ok(number) = quoted.parse() {
            return Some(Number::Signed(number));
        }
        let number: f64 = quoted.parse().ok()?;
        number.is_finite().then_some(Number::Float(number))
    }

    /// The nearest double.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a double field takes the nearest double of an integer, as every JSON parser does"
    )]
    pub(super) fn to_double(self) -> f64 {
        match self {
            Number::Unsigned(number) => number as f64,
            Number::Signed(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// The value if it is whole.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole numbers below 2^65 are exact in i128"
    )]
    fn to_whole(self) -> Option<i128> {
        const BEYOND_ALL: f64 = 36_893_488_147_419_103_232.0; // 2^65
        match self {
            Number::Unsigned(number) => Some(number.into()),
            Number::Signed(number) => Some(number.into()),
            Number::Float(number) => {
                (number.trunc() == number && number.abs() < BEYOND_ALL).then_some(number as i128)
            }
        }
    }

    /// What a field of this kind holds for the number; `Err` says why it cannot.
    pub(super) fn encode(self, kind: Kind) -> Result<OnWire, &'static str> {
        if let Kind::Double = kind {
            return Ok(OnWire::Fixed64(self.to_double().to_bits()));
        }
        let whole = self.to_whole().ok_or("not a whole number")?;
        to_wire(whole, kind).ok_or("out of range")
    }
}

/// `None` is out of range. Negative 32-bit numbers are sign-extended, as protobuf has it.
fn to_wire(whole: i128, kind: Kind) -> Option<OnWire> {
    let sign_extended = |number: i64| OnWire::Varint(number.cast_unsigned());
    match kind {
        Kind::Int32 | Kind::Enum => i32::try_from(whole).ok().map(|n| sign_extended(n.into())),
        Kind::Uint32 => u32::try_from(whole).ok().map(|n| OnWire::Varint(n.into())),
        Kind::Sint32 => i32::try_from(whole)
            .ok()
            .map(|n| OnWire::Varint(((n << 1) ^ (n >> 31)).cast_unsigned().into())),
        Kind::Int64 => i64::try_from(whole).ok().map(sign_extended),
        Kind::Uint64 => u64::try_from(whole).ok().map(OnWire::Varint),
        Kind::Fixed32 => u32::try_from(whole).ok().map(OnWire::Fixed32),
        Kind::Fixed64 => u64::try_from(whole).ok().map(OnWire::Fixed64),
        Kind::Sfixed64 => i64::try_from(whole)
            .ok()
            .map(|n| OnWire::Fixed64(n.cast_unsigned())),
        _ => None,
    }
}

// ── from the wire ──

/// A number or truth value as JSON shows it.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    Bool(bool),
    /// Written bare.
    Short(i64),
    /// Written as a string.
    Long(i128),
    Double(f64),
}

impl Shown {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "protobuf reads a 32-bit field from the low bits of its varint"
    )]
    /// Reads a value as its kind says; `None` if the wire type is another's.
    pub(super) fn new(kind: Kind, value: Wire<'_>) -> Option<Self> {
        Some(match (kind, value) {
            (Kind::Bool, Wire::Varint(n)) => Shown::Bool(n != 0),
            (Kind::Int32 | Kind::Enum, Wire::Varint(n)) => {
                Shown::Short((n as u32).cast_signed().into())
            }
            (Kind::Uint32, Wire::Varint(n)) => Shown::Short((n as u32).into()),
            (Kind::Sint32, Wire::Varint(n)) => {
                let n = n as u32;
                Shown::Short(((n >> 1).cast_signed() ^ -(n & 1).cast_signed()).into())
            }
            (Kind::Fixed32, Wire::Fixed32(n)) => Shown::Short(n.into()),
            (Kind::Int64, Wire::Varint(n)) | (Kind::Sfixed64, Wire::Fixed64(n)) => {
                Shown::Long(n.cast_signed().into())
            }
            (Kind::Uint64, Wire::Varint(n)) | (Kind::Fixed64, Wire::Fixed64(n)) => {
                Shown::Long(n.into())
            }
            (Kind::Double, Wire::Fixed64(n)) => Shown::Double(f64::from_bits(n)),
            _ => return None,
        })
    }

    /// Whether proto3 leaves it out.
    pub(super) fn is_default(self) -> bool {
        match self {
            Shown::Bool(value) => !value,
            Shown::Short(number) => number == 0,
            Shown::Long(number) => number == 0,
            Shown::Double(number) => number.to_bits() == 0,
        }
    }

    /// Appends it.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Shown::Bool(value) => shown(format_args!("{value}"), out),
            Shown::Short(number) => shown(format_args!("{number}"), out),
            Shown::Long(number) => shown(format_args!("\"{number}\""), out),
            Shown::Double(number) if number.is_nan() => quoted("NaN", out),
            Shown::Double(f64::INFINITY) => quoted("Infinity", out),
            Shown::Double(f64::NEG_INFINITY) => quoted("-Infinity", out),
            Shown::Double(number) => {
                let written = serde_json::to_writer(&mut *out, &number);
                debug_assert!(written.is_ok(), "a Vec takes every write");
            }
        }
    }
}
