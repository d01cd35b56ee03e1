//! The layout of a slot page; FORMAT.md has the table.

use std::collections::BTreeMap;

use crate::account::link::decode_front;
use crate::account::slots::{Slot, SlotKind, SlotPage};
use crate::format::{Birth, DecodeError, Decoder, Encoder, SegmentId};
use crate::segment::Place;

const MAGIC: &[u8; 4] = b"COWS";
const VERSION: u16 = 1;
const NAME: &str = "a slot page";

const OFFSET_AT: u32 = 40;
const LENGTH_AT: u32 = OFFSET_AT + 26;
const LIVE_AT: u32 = LENGTH_AT + 18;
const KIND_AT: u32 = LIVE_AT + 32;
const _: () = assert!(KIND_AT + 12 == 128);

impl Slot {
    /// Packs the slot into 128 bits, none of which is set in an unused one.
    fn pack(&self) -> u128 {
        let kind = match self.kind {
            SlotKind::Extent => 1,
            SlotKind::Node => 2,
        };
        let Place { segment, offset, length } = self.place;
        assert!(offset < 1 << 26 && length < 1 << 18, "a slot cannot hold {:?}", self.place);
        u128::from(segment.0)
            | u128::from(offset) << OFFSET_AT
            | u128::from(length) << LENGTH_AT
            | u128::from(self.live) << LIVE_AT
            | kind << KIND_AT
    }

    fn unpack(bits: u128) -> Result<Option<Self>, DecodeError> {
        let field = |at: u32, width: u32| (bits >> at) as u64 & ((1 << width) - 1);
        let kind = match field(KIND_AT, 12) {
            0 if bits == 0 => return Ok(None),
            1 => SlotKind::Extent,
            2 => SlotKind::Node,
            _ => return Err(DecodeError::Field("slot kind")),
        };
        let (offset, length) = (field(OFFSET_AT, 26) as u32, field(LENGTH_AT, 18) as u32);
        let place = Place { segment: SegmentId(field(0, OFFSET_AT)), offset, length };
        let live = field(LIVE_AT, 32) as u32;
        if live == 0 {
            return Err(DecodeError::Field("live blocks"));
        }
        Ok(Some(Self { place, live, kind }))
    }
}

impl SlotPage {
    /// The page's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(24 + 16 * self.slots.len() + 6 * self.extras.len());
        out.raw(MAGIC).u16(VERSION).u16(self.slots.len() as u16);
        out.u48(self.number).u48(self.folded.0).u32(self.extras.len() as u32);
        for slot in &self.slots {
            out.raw(&slot.as_ref().map_or(0, Slot::pack).to_le_bytes());
        }
        for ((slot, index), extra) in &self.extras {
            out.u8(*slot).u8(*index).u32(*extra);
        }
        out.bytes
    }

    /// Decodes the bytes of the page `number`.
    pub fn decode(bytes: &[u8], number: u64) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(bytes);
        decode_front(&mut from, NAME, MAGIC, VERSION)?;
        let slot_count = from.u16()?;
        if from.u48()? != number || slot_count > 256 {
            return Err(DecodeError::Field("page number"));
        }
        let folded = Birth(from.u48()?);
        let extra_count = from.u32()?;
        let slot = |from: &mut Decoder<'_>| Slot::unpack(u128::from_le_bytes(from.array()?));
        let slots = (0..slot_count).map(|_| slot(&mut from)).collect::<Result<Vec<_>, _>>()?;
        let mut page = Self { number, folded, slots, extras: BTreeMap::new() };
        for _ in 0..extra_count {
            let (slot, index, extra) = (from.u8()?, from.u8()?, from.u32()?);
            let live = index < 32 && page.count(slot, index) > 0;
            let last = page.extras.last_key_value().map(|(key, _)| *key);
            if !live || extra == 0 || last >= Some((slot, index)) {
                return Err(DecodeError::Field("extra count"));
            }
            page.extras.insert((slot, index), extra);
        }
        match from.rest().is_empty() {
            true => Ok(page),
            false => Err(DecodeError::Field("page length")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::example;

    #[test]
    fn the_documented_example_is_what_is_stored() {
        let place = Place { segment: SegmentId(9), offset: 0x1_2345, length: 0x678 };
        let extent = Slot { place, live: 0b1011, kind: SlotKind::Extent };
        let node = Slot { place: Place { offset: 0x2000, length: 4096, ..place }, live: 1, kind: SlotKind::Node };
        let slots = vec![Some(extent), None, Some(node)];
        let page = SlotPage { number: 0x9_0001, folded: Birth(77), slots, extras: BTreeMap::from([((0, 3), 2)]) };
        let bytes = page.encode();
        assert_eq!(bytes, example::documented("Slot page", bytes.len()), "\n{}", example::render(&bytes));
        let decoded = SlotPage::decode(&bytes, 0x9_0001).unwrap();
        assert_eq!(decoded.encode(), bytes);
        assert_eq!(decoded.get(2), Some(&node));
        (0..bytes.len()).for_each(|length| assert!(SlotPage::decode(&bytes[..length], 0x9_0001).is_err()));
    }
}
