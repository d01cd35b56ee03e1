//! ONC RPC version 2 (RFC 5531): the header of a call, and those of replies. Pure.
//!
//! Invariant: whatever has a call's first two words gets a reply that names what is wrong with the rest;
//! anything else is no call, and the connection it came on is closed.

use cow_storage::fs::Credentials;

use crate::nfs::record::LAST_FRAGMENT;
use crate::nfs::xdr::{Decoder, Encoder, Garbage};
use crate::shares::ClientIdentity;

const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;
const AUTH_NONE: u32 = 0;
/// The flavor of credentials that are plain numbers.
pub const AUTH_SYS: u32 = 1;
const AUTH_LENGTH_MAX: usize = 400;
const MACHINE_NAME_LENGTH_MAX: usize = 255;
const GROUPS_MAX: u32 = 16;
/// Bytes of a record's mark.
const MARK_LEN: usize = 4;

/// A call's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number that the reply repeats.
    pub xid: u32,
    /// Which program.
    pub program: u32,
    /// Which version of it.
    pub version: u32,
    /// Which of its procedures.
    pub procedure: u32,
    /// Who calls.
    pub identity: ClientIdentity,
}

/// What comes at the front of a record.
pub enum Header<'a> {
    /// A call and its arguments.
    Call(Call, Decoder<'a>),
    /// A call that is answered without a look at its arguments.
    Denied(u32, Denial),
}

/// Why a call is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Another version of RPC than ours.
    RpcVersion,
    /// Credentials that cannot be decoded.
    BadCredentials,
    /// Credentials of a flavor that we do not take.
    TooWeak,
}

/// What became of a call, before its own results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It was run; results follow.
    Success,
    /// No such program here.
    ProgramUnavailable,
    /// We speak only this version of the program.
    ProgramMismatch(u32),
    /// The program has no such procedure.
    ProcedureUnavailable,
    /// The arguments cannot be decoded.
    GarbageArguments,
    /// It failed within the server.
    SystemError,
}

/// Decodes the front of a record.
pub fn decode(record: &[u8]) -> Result<Header<'_>, Garbage> {
    let mut decoder = Decoder::new(record);
    let xid = decoder.u32()?;
    if decoder.u32()? != CALL {
        return Err(Garbage);
    }
    if decoder.u32()? != RPC_VERSION {
        return Ok(Header::Denied(xid, Denial::RpcVersion));
    }
    let (program, version, procedure) = (decoder.u32()?, decoder.u32()?, decoder.u32()?);
    let identity = match decode_credentials(&mut decoder) {
        Ok(Some(identity)) => identity,
        Ok(None) => return Ok(Header::Denied(xid, Denial::TooWeak)),
        Err(Garbage) => return Ok(Header::Denied(xid, Denial::BadCredentials)),
    };
    Ok(Header::Call(Call { xid, program, version, procedure, identity }, decoder))
}

/// Reads credentials and verifier: `None` for a flavor that we do not take.
fn decode_credentials(decoder: &mut Decoder<'_>) -> Result<Option<ClientIdentity>, Garbage> {
    let flavor = decoder.u32()?;
    let body = decoder.opaque(AUTH_LENGTH_MAX)?;
    let _verifier_flavor = decoder.u32()?;
    decoder.opaque(AUTH_LENGTH_MAX)?;
    match flavor {
        AUTH_NONE => Ok(Some(ClientIdentity::Anonymous)),
        AUTH_SYS => decode_user(Decoder::new(body)).map(|user| Some(ClientIdentity::User(user))),
        _ => Ok(None),
    }
}

fn decode_user(mut body: Decoder<'_>) -> Result<Credentials, Garbage> {
    let _stamp = body.u32()?;
    body.opaque(MACHINE_NAME_LENGTH_MAX)?;
    let (uid, gid, count) = (body.u32()?, body.u32()?, body.u32()?);
    if count > GROUPS_MAX {
        return Err(Garbage);
    }
    let groups = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
    Ok(Credentials { uid, gid, groups })
}

/// Begins a reply to a call that was accepted; results follow `Success`.
pub fn encode_accepted(reply: &mut Encoder, xid: u32, accepted: Accepted) {
    reply.truncate(0);
    for word in [LAST_FRAGMENT, xid, REPLY, 0, AUTH_NONE, 0] {
        reply.u32(word);
    }
    match accepted {
        Accepted::Success => reply.u32(0),
        Accepted::ProgramUnavailable => reply.u32(1),
        Accepted::ProgramMismatch(version) => [2, version, version].into_iter().for_each(|word| reply.u32(word)),
        Accepted::ProcedureUnavailable => reply.u32(3),
        Accepted::GarbageArguments => reply.u32(4),
        Accepted::SystemError => reply.u32(5),
    }
}

/// Makes the whole reply to a call that is denied.
pub fn encode_denied(reply: &mut Encoder, xid: u32, denial: Denial) {
    reply.truncate(0);
    for word in [LAST_FRAGMENT, xid, REPLY, 1] {
        reply.u32(word);
    }
    match denial {
        Denial::RpcVersion => [0, RPC_VERSION, RPC_VERSION].into_iter().for_each(|word| reply.u32(word)),
        Denial::BadCredentials => [1, 1].into_iter().for_each(|word| reply.u32(word)),
        Denial::TooWeak => [1, 5].into_iter().for_each(|word| reply.u32(word)),
    }
}

/// Puts the record's mark before a reply that is complete.
pub fn seal(reply: &mut Encoder) {
    let length = reply.len() - MARK_LEN;
    reply.patch_u32(0, LAST_FRAGMENT | length as u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn calls_are_decoded() {
        let record = words(&[9, 0, 2, 100_003, 3, 1, 1, 28, 5, 1, 0x6100_0000, 10, 20, 2, 30, 0, 0, 77]);
        // The credentials' length says 28 where 24 are there: what follows is taken for groups and verifier.
        assert!(matches!(decode(&record).unwrap(), Header::Denied(9, Denial::BadCredentials)));
        let record = words(&[9, 0, 2, 100_003, 3, 1, 1, 28, 5, 1, 0x6100_0000, 10, 20, 1, 30, 0, 0, 77]);
        let Header::Call(call, mut arguments) = decode(&record).unwrap() else { panic!() };
        let user = Credentials { uid: 10, gid: 20, groups: vec![30] };
        assert_eq!((call.xid, call.procedure, call.identity), (9, 1, ClientIdentity::User(user)));
        assert_eq!(arguments.u32(), Ok(77));
        let anonymous = words(&[9, 0, 2, 1, 1, 1, 0, 0, 0, 0]);
        assert!(
            matches!(decode(&anonymous).unwrap(), Header::Call(call, _) if call.identity == ClientIdentity::Anonymous)
        );
        assert!(matches!(decode(&words(&[9, 0, 3])).unwrap(), Header::Denied(9, Denial::RpcVersion)));
        let kerberos = words(&[9, 0, 2, 1, 1, 1, 6, 0, 0, 0]);
        assert!(matches!(decode(&kerberos).unwrap(), Header::Denied(9, Denial::TooWeak)));
        assert!(decode(&words(&[9, 1, 2])).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused() {
        let good = words(&[9, 0, 2, 100_003, 3, 1, 1, 28, 5, 1, 0x6100_0000, 10, 20, 1, 30, 0, 0, 77]);
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut bytes = good.clone();
                bytes[at] = value;
                let _ = decode(&bytes);
                let _ = decode(&bytes[..at]);
            }
        }
    }
}
