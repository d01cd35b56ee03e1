//! What NLM version 4 sends and answers (RFC 1813, appendix II; X/Open XNFS): decoded and encoded. Pure.

use crate::locks::{Claim, Kind, Outcome};
use crate::nfs::xdr::{Decoder, Encoder, Garbage};

/// Longest name of a client, handle of an owner, file handle and cookie, in bytes.
const TEXT_LENGTH_MAX: usize = 1024;

/// An outcome of NLM; the X/Open document gives the meaning of each name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat(pub u32);

/// What the X/Open document calls NLM4_GRANTED and so on.
impl Stat {
    pub const GRANTED: Self = Self(0);
    pub const DENIED: Self = Self(1);
    pub const DENIED_NO_LOCKS: Self = Self(2);
    pub const BLOCKED: Self = Self(3);
    pub const DENIED_GRACE_PERIOD: Self = Self(4);
    pub const DEADLOCK: Self = Self(5);
    pub const READ_ONLY: Self = Self(6);
    pub const STALE_HANDLE: Self = Self(7);
    pub const TOO_BIG: Self = Self(8);
    pub const FAILED: Self = Self(9);
}

impl From<&Outcome> for Stat {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Granted => Self::GRANTED,
            Outcome::Denied(_) => Self::DENIED,
            Outcome::Waiting => Self::BLOCKED,
            Outcome::Deadlock => Self::DEADLOCK,
            Outcome::Full => Self::DENIED_NO_LOCKS,
            Outcome::Grace => Self::DENIED_GRACE_PERIOD,
        }
    }
}

/// Which lock of whom is meant (nlm4_lock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What the client calls itself.
    pub caller: &'a [u8],
    /// The file.
    pub handle: &'a [u8],
    /// What the client calls the owner.
    pub owner: &'a [u8],
    /// The owner's process, as the client counts them: what tells owners apart.
    pub process: i32,
    /// The first byte.
    pub offset: u64,
    /// How many; zero has no end.
    pub length: u64,
}

/// The arguments of TEST, LOCK, CANCEL, UNLOCK and GRANTED, as far as each has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// What the answer repeats.
    pub cookie: &'a [u8],
    /// Whether the call waits for the lock.
    pub block: bool,
    /// How the lock is held.
    pub kind: Kind,
    /// The lock.
    pub subject: Subject<'a>,
    /// Whether it was held before a restart of the server.
    pub reclaim: bool,
    /// The number that grows when the client restarts; zero is none.
    pub state: i32,
}

/// Which members arguments have besides cookie and subject, which all have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// UNLOCK: none.
    Bare,
    /// TEST and GRANTED: how.
    Kind,
    /// CANCEL: whether it blocks, and how.
    Block,
    /// LOCK and NM_LOCK: all.
    Full,
}

impl<'a> Arguments<'a> {
    /// Reads arguments of a form.
    pub fn decode(decoder: &mut Decoder<'a>, form: Form) -> Result<Self, Garbage> {
        let cookie = decoder.opaque(TEXT_LENGTH_MAX)?;
        let block = matches!(form, Form::Block | Form::Full) && decoder.bool()?;
        let exclusive = form != Form::Bare && decoder.bool()?;
        let subject = Subject::decode(decoder)?;
        let reclaim = form == Form::Full && decoder.bool()?;
        let state = if form == Form::Full { decoder.u32()?.cast_signed() } else { 0 };
        let kind = if exclusive { Kind::Exclusive } else { Kind::Shared };
        Ok(Self { cookie, block, kind, subject, reclaim, state })
    }
}

impl<'a> Subject<'a> {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, Garbage> {
        Ok(Self {
            caller: decoder.opaque(TEXT_LENGTH_MAX)?,
            handle: decoder.opaque(TEXT_LENGTH_MAX)?,
            owner: decoder.opaque(TEXT_LENGTH_MAX)?,
            process: decoder.u32()?.cast_signed(),
            offset: decoder.u64()?,
            length: decoder.u64()?,
        })
    }
}

/// The client's name and the number that it had, of FREE_ALL and of what NSM notifies of.
pub fn decode_notice<'a>(decoder: &mut Decoder<'a>) -> Result<(&'a [u8], i32), Garbage> {
    Ok((decoder.opaque(TEXT_LENGTH_MAX)?, decoder.u32()?.cast_signed()))
}

/// What SHARE and UNSHARE are about, of which only the cookie is looked at.
pub fn decode_share<'a>(decoder: &mut Decoder<'a>) -> Result<&'a [u8], Garbage> {
    let cookie = decoder.opaque(TEXT_LENGTH_MAX)?;
    for _text in ["caller", "handle", "owner"] {
        decoder.opaque(TEXT_LENGTH_MAX)?;
    }
    let (_mode, _access, _reclaim) = (decoder.u32()?, decoder.u32()?, decoder.bool()?);
    Ok(cookie)
}

/// Answers with a cookie and an outcome.
pub fn encode_stat(reply: &mut Encoder, cookie: &[u8], stat: Stat) {
    reply.opaque(cookie);
    reply.u32(stat.0);
}

/// Tells, after an outcome of DENIED, which lock is in the way.
pub fn encode_holder(reply: &mut Encoder, holder: &Claim) {
    reply.bool(holder.kind == Kind::Exclusive);
    reply.u32(holder.process.cast_unsigned());
    reply.opaque(&holder.handle);
    reply.u64(holder.range.first());
    reply.u64(holder.range.length());
}

/// The arguments of GRANTED.
pub fn encode_granted(call: &mut Encoder, cookie: &[u8], kind: Kind, subject: &Subject<'_>) {
    call.opaque(cookie);
    call.bool(kind == Kind::Exclusive);
    for text in [subject.caller, subject.handle, subject.owner] {
        call.opaque(text);
    }
    call.u32(subject.process.cast_unsigned());
    call.u64(subject.offset);
    call.u64(subject.length);
}

/// The outcome that a client answers GRANTED with.
pub fn decode_stat(decoder: &mut Decoder<'_>) -> Result<Stat, Garbage> {
    decoder.opaque(TEXT_LENGTH_MAX)?;
    decoder.u32().map(Stat)
}
