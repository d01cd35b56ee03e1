//! The key that seals secrets, and what it seals.
//!
//! A sealed text is `cow1:` and, in hexadecimal, a random nonce of 24 bytes followed by what XChaCha20-Poly1305 made of the
//! secret. The context, as in `environment/7/user/deploy`, is authenticated with it: a sealed text that is moved to another
//! place does not open there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

use crate::secrets::Secret;

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;
/// What a sealed text begins with.
const PREFIX: &str = "cow1:";

/// Seals and opens secrets.
pub struct Key(XChaCha20Poly1305);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file cannot be read or made.
    #[error("cannot read or make the key file {path}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Others can read the file.
    #[error("others than its owner can read the key file {path}: 'chmod 600 {path}'")]
    Exposed {
        /// The file.
        path: String,
    },
    /// The file holds something else.
    #[error(
        "the key file {path} does not hold {KEY_LEN} bytes: what was sealed by its key cannot be opened without it"
    )]
    NotAKey {
        /// The file.
        path: String,
    },
}

/// Why a sealed text was not opened: another key sealed it, it was changed, or it belongs elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be opened by this key")]
pub struct OpenError;

impl Key {
    /// The key in a file, which is made if it is not there.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io { path: path.display().to_string(), source };
        match fs::metadata(path) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                return Err(KeyError::Exposed { path: path.display().to_string() });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path).map_err(failed)?,
            Err(error) => return Err(failed(error)),
        }
        let bytes = Zeroizing::new(fs::read(path).map_err(failed)?);
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes);
        cipher.map(Self).map_err(|_| KeyError::NotAKey { path: path.display().to_string() })
    }

    /// A secret as it may be stored, for `context` alone.
    pub fn seal(&self, secret: &Secret, context: &str) -> Result<String, io::Error> {
        let nonce = random::<NONCE_LEN>()?;
        let payload = Payload { msg: secret.expose().as_bytes(), aad: context.as_bytes() };
        let sealed = self.0.encrypt(&nonce.into(), payload).map_err(|_| io::Error::other("the secret is too long"))?;
        Ok(format!("{PREFIX}{}{}", hex(&nonce), hex(&sealed)))
    }

    /// What was sealed for `context`.
    pub fn open(&self, sealed: &str, context: &str) -> Result<Secret, OpenError> {
        let bytes = sealed.strip_prefix(PREFIX).and_then(from_hex).ok_or(OpenError)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(OpenError)?;
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        let text = self.0.decrypt(&(*nonce).into(), payload).map_err(|_| OpenError)?;
        String::from_utf8(text).map(Secret::new).map_err(|_| OpenError)
    }
}

/// Writes a new key such that a crash leaves a whole one or none.
fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(Zeroizing::new(random::<KEY_LEN>()?).as_slice())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}

fn random<const LEN: usize>() -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    let mut filled = 0;
    while filled < LEN {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let pair = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(pair).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn what_is_sealed_opens_only_unchanged_by_its_key_and_for_its_context() {
        let folder = std::env::temp_dir().join(format!("cow-key-test-{}", std::process::id()));
        let path = folder.join("deep/key");
        let key = Key::load_or_create(&path).unwrap();
        let other = Key::load_or_create(&folder.join("other")).unwrap();
        for text in ["", "hunter2", "ключ\nwith 'all'\u{0} of \"it\""] {
            let secret = Secret::new(text);
            let sealed = key.seal(&secret, "here").unwrap();
            assert_ne!(sealed, key.seal(&secret, "here").unwrap(), "the nonce is new each time");
            assert!(text.is_empty() || !sealed.contains(text));
            let again = Key::load_or_create(&path).unwrap();
            assert_eq!(again.open(&sealed, "here"), Ok(secret));
            assert_eq!(key.open(&sealed, "there"), Err(OpenError));
            assert_eq!(other.open(&sealed, "here"), Err(OpenError));
            for at in 0..sealed.len() {
                let mut changed = sealed.clone().into_bytes();
                changed[at] ^= 1;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(key.open(&changed, "here"), Err(OpenError), "changed at {at}");
                assert_eq!(key.open(&sealed[..at], "here"), Err(OpenError), "cut at {at}");
            }
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Key::load_or_create(&path), Err(KeyError::Exposed { .. })));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(Key::load_or_create(&path), Err(KeyError::NotAKey { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }
}
