//! Requests that no encoder would write but every decoder must read, grown from a string of random bytes.
//!
//! The schema says which fields there are; the randomness chooses their order, their number, packed or not, varints
//! longer than need be, and fields that the schema does not have. Bytes as the source let `proptest` shrink a failure.

use crate::otlp::Signal;
use crate::otlp::schema::{Kind, Message};
use crate::otlp::wire::{FIXED32, FIXED64, GROUP, LEN, VARINT};
use proptest::prelude::*;

/// What every unknown field holds, so that a test can count them.
pub(super) const MARK: &[u8] = b"\xfa\xce\xb0\x0c-unknown";

const TEXTS: [&str; 12] = [
    "",
    "k",
    "service.name",
    "gen_ai.agent.name",
    "risk.score",
    "naïve café",
    "日本語",
    "0123456789abcdef",
    "exactly-sixteen-and-a-bit-more-than-that",
    "a string of more than sixty-four bytes, so that the quick look at it has to go another way",
    "a string of more than one hundred and twenty-seven bytes, whose length does not fit into one byte of a varint, \
     and that therefore is never read by the quick way at all",
    "ünïcödé that is longer than sixteen bytes ✓",
];

/// How strange a request may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Varints may take more bytes than they need.
    pub(super) is_overlong: bool,
    /// Fields that the schema does not have.
    pub(super) has_unknown: bool,
}

/// Any request of a signal, as strange as can be.
pub(super) fn requests(signal: Signal) -> impl Strategy<Value = Vec<u8>> {
    styled(
        signal,
        Style {
            is_overlong: true,
            has_unknown: true,
        },
    )
}

pub(super) fn styled(signal: Signal, style: Style) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..1500).prop_map(move |bytes| {
        let mut source = Source {
            bytes: &bytes,
            style,
        };
        source.message(signal.request(), 12)
    })
}

/// Random choices; all zero when the bytes are used up, which ends every growth.
struct Source<'a> {
    bytes: &'a [u8],
    style: Style,
}

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((&byte, rest)) => {
                self.bytes = rest;
                byte
            }
            None => 0,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn message(&mut self, shape: &'static Message, depth: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let fields = match shape.fields.len() {
            0..=3 => self.below(4) + usize::from(!self.bytes.is_empty()),
            more => self.below(more + 6),
        };
        for _ in 0..fields {
            if self.style.has_unknown && self.below(12) == 11 {
                self.unknown(&mut out, 2);
            } else {
                self.field(&mut out, shape, depth);
            }
        }
        out
    }

    fn field(&mut self, out: &mut Vec<u8>, shape: &'static Message, depth: u32) {
        let any = self.below(shape.fields.len());
        // the outer levels are lists with little beside them: half of their fields are the list's
        let list = shape.fields.iter().position(|field| field.is_repeated);
        let index = match list {
            Some(list) if shape.fields.len() <= 3 && self.below(2) == 0 => list,
            _ => any,
        };
        let field = &shape.fields[index];
        let number = u32::try_from(index + 1).unwrap();
        let wire = match field.kind {
            Kind::Gap => return,
            Kind::Message(inner) => {
                if depth == 0 {
                    return;
                }
                let body = self.message(inner, depth - 1);
                return self.len_field(out, number, &body);
            }
            Kind::String => {
                let text = TEXTS[self.below(TEXTS.len())];
                return self.len_field(out, number, text.as_bytes());
            }
            Kind::Bytes | Kind::HexId => {
                let len = [0, 8, 16, 3][self.below(4)];
                let bytes: Vec<u8> = (0..len).map(|_| self.byte()).collect();
                return self.len_field(out, number, &bytes);
            }
            Kind::Fixed32 => FIXED32,
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => FIXED64,
            _ => VARINT,
        };
        if field.is_repeated && self.below(2) == 1 {
            let mut packed = Vec::new();
            for _ in 0..self.below(5) {
                self.scalar(&mut packed, wire);
            }
            return self.len_field(out, number, &packed);
        }
        self.key(out, number, wire);
        self.scalar(out, wire);
    }

    fn unknown(&mut self, out: &mut Vec<u8>, depth: u32) {
        let number = [17, 25, 100, 20_000, (1 << 29) - 1][self.below(5)];
        match self.below(5) {
            0 => {
                self.key(out, number, VARINT);
                self.scalar(out, VARINT);
            }
            1 => {
                self.key(out, number, FIXED32);
                self.scalar(out, FIXED32);
            }
            2 => {
                self.key(out, number, FIXED64);
                self.scalar(out, FIXED64);
            }
            3 if depth > 0 => {
                self.key(out, number, GROUP);
                for _ in 0..self.below(3) {
                    self.unknown(out, depth - 1);
                }
                self.key(out, number, crate::otlp::wire::END_GROUP);
            }
            _ => self.len_field(out, number, MARK),
        }
    }

    fn scalar(&mut self, out: &mut Vec<u8>, wire: u32) {
        let few = self.byte();
        match wire {
            FIXED32 => out.extend([few, 0, 0xff, few]),
            // small numbers, and bits that are NaN as a double
            FIXED64 => out.extend([few, 1, 0, 0, few, 0, few, few]),
            _ => {
                let wide = u64::from(few) << [0, 0, 7, 24, 56][self.below(5)];
                let value = if few == 255 { u64::MAX } else { wide };
                self.varint(out, value);
            }
        }
    }

    fn len_field(&mut self, out: &mut Vec<u8>, number: u32, body: &[u8]) {
        self.key(out, number, LEN);
        self.varint(out, body.len() as u64);
        out.extend_from_slice(body);
    }

    fn key(&mut self, out: &mut Vec<u8>, number: u32, wire: u32) {
        self.varint(out, u64::from(number << 3 | wire));
    }

    fn varint(&mut self, out: &mut Vec<u8>, value: u64) {
        let at = out.len();
        prost::encoding::encode_varint(value, out);
        if self.style.is_overlong && self.below(10) == 9 {
            let room = 10 - (out.len() - at);
            let more = self.below(4).min(room);
            if more > 0 {
                *out.last_mut().unwrap() |= 0x80;
                out.extend(vec![0x80; more - 1]);
                out.push(0);
            }
        }
    }
}

/// A small damage to a request.
#[derive(Clone, Debug)]
pub(super) enum Damage {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Drop(prop::sample::Index),
    Add(prop::sample::Index, u8),
}

pub(super) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let place = any::<prop::sample::Index>;
    let damage = prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (place(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        place().prop_map(Damage::Cut),
        place().prop_map(Damage::Drop),
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Add(at, byte)),
    ];
    prop::collection::vec(damage, 1..4)
}

pub(super) fn damage(bytes: &mut Vec<u8>, damages: &[Damage]) {
    for damage in damages {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match damage {
            Damage::Set(at, byte) => bytes[at.index(len)] = *byte,
            Damage::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Damage::Cut(at) => bytes.truncate(at.index(len)),
            Damage::Drop(at) => {
                bytes.remove(at.index(len));
            }
            Damage::Add(at, byte) => bytes.insert(at.index(len), *byte),
        }
    }
}
