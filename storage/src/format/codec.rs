//! Bounded little-endian reading and writing of fixed layouts.

use crate::error::{Error, ErrorKind};

/// Stored bytes do not have the layout that they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the structure does.
    #[error("the structure is cut short")]
    Truncated,
    /// A field has a value that no writer stores.
    #[error("the field {0} has an impossible value")]
    Field(&'static str),
    /// The structure is of another kind.
    #[error("the magic number is not that of {0}")]
    Magic(&'static str),
    /// The structure is of a version that this build does not know.
    #[error("{structure} has version {found}; this build knows up to {known}")]
    Version {
        /// What was decoded.
        structure: &'static str,
        /// The version found.
        found: u16,
        /// The newest version known.
        known: u16,
    },
    /// The bytes are not what was written.
    #[error("the checksum of {0} does not match its bytes")]
    Checksum(&'static str),
}

impl DecodeError {
    /// What it means to whoever read the bytes.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Version { .. } => ErrorKind::UnknownVersion,
            _ => ErrorKind::Corrupt,
        }
    }
}

impl From<DecodeError> for Error {
    fn from(cause: DecodeError) -> Self {
        Self::because(cause.kind(), "cannot decode stored bytes", cause)
    }
}

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    /// What was encoded so far.
    pub bytes: Vec<u8>,
}

impl Encoder {
    /// An encoder with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends the low six bytes of `value`, which must fit.
    pub fn u48(&mut self, value: u64) -> &mut Self {
        assert!(value < 1 << 48, "a 48-bit field cannot hold {value}");
        self.raw(&value.to_le_bytes()[..6])
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends eight bytes, signed.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends an unsigned LEB128 number: seven bits a byte, low first.
    pub fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8)
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends a length (varint) and the bytes.
    pub fn counted(&mut self, bytes: &[u8]) -> &mut Self {
        self.varint(bytes.len() as u64).raw(bytes)
    }
}

/// Takes fields off the front of a buffer, never past its end.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Takes two bytes.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Takes four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Takes six bytes.
    pub fn u48(&mut self) -> Result<u64, DecodeError> {
        let low = self.array::<6>()?;
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&low);
        Ok(u64::from_le_bytes(bytes))
    }

    /// Takes eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Takes eight bytes, signed.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// Takes an unsigned LEB128 number, of no more bytes than it needs.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            let is_padding = byte == 0 && shift > 0;
            if is_padding || shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Field("varint"))
    }

    /// Takes `length` bytes.
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes a length (varint) and that many bytes.
    pub fn counted(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.varint()?;
        self.raw(usize::try_from(length).map_err(|_| DecodeError::Truncated)?)
    }

    /// Takes an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.raw(N)?.try_into().expect("raw returns what was asked"))
    }
}
