//! Requests of all three signals from random bytes, led by the schema, so that every field occurs.

#![expect(
    clippy::cast_possible_truncation,
    reason = "random numbers may lose what they like"
)]

use crate::otlp::json::{bit, id_len, oneof_members};
use crate::otlp::schema::{Field, Kind, Message};
use prost::encoding::{WireType, encode_key, encode_varint};

/// What a generated request may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Only what `with-serde` can read: finite numbers, no empty lists of values.
    Plain,
    /// Whatever a well-behaved sender writes.
    Canonical,
    /// What protobuf also allows: any order, plain values twice, messages in parts, unpacked lists, unknown fields.
    Odd,
}

/// A source of choices; when it is used up, every choice is the first.
pub(super) struct Dice<'a>(pub(super) &'a [u8]);

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }

    fn bits(&mut self) -> u64 {
        (0..8).fold(0, |all, _| all << 8 | self.roll(256) as u64)
    }
}

/// A message's bytes.
pub(super) fn message(
    dice: &mut Dice<'_>,
    of: &'static Message,
    style: Style,
    depth: u32,
) -> Vec<u8> {
    let mut out = Vec::new();
    let oneof = oneof_members(of);
    let mut numbers: Vec<u32> = (1..).take(of.fields.len()).collect();
    if style == Style::Odd {
        for i in (1..numbers.len()).rev() {
            numbers.swap(i, dice.roll(i + 1));
        }
    }
    let member = dice.roll(of.fields.len()) as u32 + 1;
    for number in numbers {
        let Some(field) = of.field(number) else {
            continue;
        };
        let is_out = bit(number) & oneof != 0 && number != member;
        if is_out && (style != Style::Odd || dice.roll(4) != 3) {
            continue;
        }
        if style == Style::Plain && matches!(field.json, "entityRefs" | "stringValueStrindex") {
            continue; // with-serde takes no field of the one as absent, and drops the other
        }
        let times = match (style, field.is_repeated) {
            (_, true) => dice.roll(3),
            (Style::Odd, false) => dice.roll(3),
            _ => dice.roll(2).max(usize::from(number == member)),
        };
        // with-serde takes none of these as absent
        let is_needed = of.name.ends_with("Request")
            || matches!(of.name, "ArrayValue" | "KeyValueList")
            || of.name == "KeyValue" && field.json == "key";
        let at_least = usize::from(style == Style::Plain && is_needed);
        put_field(
            dice,
            number,
            field,
            times.max(at_least),
            style,
            depth,
            &mut out,
        );
        if style == Style::Odd && dice.roll(4) == 1 {
            put_unknown(dice, &mut out);
        }
    }
    out
}

#[expect(
    clippy::too_many_arguments,
    reason = "one dice roll for each part of a field"
)]
fn put_field(
    dice: &mut Dice<'_>,
    number: u32,
    field: &'static Field,
    times: usize,
    style: Style,
    depth: u32,
    out: &mut Vec<u8>,
) {
    let wire_type = match field.kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::SixtyFourBit,
        Kind::Fixed32 => WireType::ThirtyTwoBit,
        Kind::String | Kind::Bytes | Kind::HexId | Kind::Message(_) => WireType::LengthDelimited,
        _ => WireType::Varint,
    };
    let is_len = wire_type == WireType::LengthDelimited;
    if field.is_repeated && !is_len && !(style == Style::Odd && dice.roll(2) == 1) {
        let mut packed = Vec::new();
        (0..times).for_each(|_| put_number(dice, field.kind, style, &mut packed));
        if times > 0 {
            encode_key(number, WireType::LengthDelimited, out);
            put_len(&packed, out);
        }
        return;
    }
    for _ in 0..times {
        encode_key(number, wire_type, out);
        match field.kind {
            Kind::Message(inner) if depth > 14 && inner.name == "AnyValue" => put_len(&[], out),
            Kind::Message(inner) => put_len(&message(dice, inner, style, depth + 1), out),
            Kind::String => {
                let is_key = style == Style::Plain && field.json == "key";
                let from = usize::from(is_key);
                let text = dice.pick(
                    &[
                        "",
                        "gpt-4o",
                        "é\u{1F600}",
                        "\"quoted\\\" \n\u{7f}\u{0}",
                        "a",
                    ][from..],
                );
                put_len(text.as_bytes(), out);
            }
            Kind::Bytes => {
                let bytes = dice.bits().to_le_bytes();
                let len = dice.roll(9);
                put_len(&bytes[..len], out);
            }
            Kind::HexId => {
                let half = dice.bits().to_le_bytes();
                let id = [half, half].concat();
                let len = if dice.roll(4) == 0 { 0 } else { id_len(field) };
                put_len(&id[..len], out);
            }
            kind => put_number(dice, kind, style, out),
        }
    }
}

fn put_number(dice: &mut Dice<'_>, kind: Kind, style: Style, out: &mut Vec<u8>) {
    let random = dice.bits();
    match kind {
        Kind::Bool => encode_varint(random % 2, out),
        Kind::Int32 => encode_varint(
            dice.pick(&[0, 1, -1, i32::MIN, i32::MAX]) as i64 as u64,
            out,
        ),
        // with-serde knows the values of an enum, and no others
        Kind::Enum => encode_varint(random % if style == Style::Plain { 3 } else { 9 }, out),
        Kind::Uint32 | Kind::Sint32 => {
            encode_varint(dice.pick(&[0, 1, u32::MAX, random as u32]).into(), out);
        }
        Kind::Int64 | Kind::Uint64 => {
            encode_varint(dice.pick(&[0, 1, u64::MAX, random, 1 << 63]), out)
        }
        Kind::Fixed32 => out.extend(dice.pick(&[0, 1, u32::MAX]).to_le_bytes()),
        Kind::Fixed64 | Kind::Sfixed64 => {
            out.extend(dice.pick(&[0, random, u64::MAX, 1 << 63]).to_le_bytes());
        }
        Kind::Double => {
            let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
            let drawn = f64::from_bits(random);
            let drawn = if drawn.is_finite() { drawn } else { 5e-324 };
            let plain = [0.0, 1.5, -2e300, drawn, drawn, drawn, 1e21, 0.1];
            let value = if style != Style::Plain && dice.roll(4) == 1 {
                dice.pick(&odd)
            } else {
                dice.pick(&plain)
            };
            out.extend(value.to_le_bytes());
        }
        _ => unreachable!("not a number"),
    }
}

fn put_len(bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_unknown(dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    let number = 1000 + dice.roll(50) as u32;
    match dice.roll(3) {
        0 => {
            encode_key(number, WireType::LengthDelimited, out);
            put_len(b"unknown", out);
        }
        1 => {
            encode_key(number, WireType::Varint, out);
            encode_varint(dice.bits(), out);
        }
        _ => {
            encode_key(number, WireType::StartGroup, out);
            encode_key(3, WireType::ThirtyTwoBit, out);
            out.extend([0; 4]);
            encode_key(number, WireType::EndGroup, out);
        }
    }
}
