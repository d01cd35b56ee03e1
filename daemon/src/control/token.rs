//! The secret that callers over TCP must know.
//!
//! Invariant: how long a comparison takes says nothing about the secret, which is kept only as its hash.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use blake3::Hash;

/// Shortest token, in bytes.
const LENGTH_MIN: usize = 16;

/// A bearer token.
#[derive(Clone)]
pub struct Token(Hash);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its file cannot be read.
    #[error("cannot read the token file {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// What the file holds is too easily guessed.
    #[error("the token in {path} is too short: write at least {LENGTH_MIN} characters, as from 'openssl rand -hex 32'")]
    Short {
        /// The file.
        path: String,
    },
    /// Others can read the file.
    #[error("others than its owner can read the token file {path}: 'chmod 600 {path}'")]
    Exposed {
        /// The file.
        path: String,
    },
}

impl Token {
    /// A token.
    pub fn new(text: &str) -> Self {
        Self(blake3::hash(text.as_bytes()))
    }

    /// The token in a file, without white space around it.
    pub fn read(file: &Path) -> Result<Self, TokenError> {
        let path = file.display().to_string();
        let unreadable = |source| TokenError::Unreadable { path: path.clone(), source };
        let text = fs::read_to_string(file).map_err(unreadable)?;
        let mode = fs::metadata(file).map_err(unreadable)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(TokenError::Exposed { path });
        }
        let text = text.trim();
        if text.len() < LENGTH_MIN { Err(TokenError::Short { path }) } else { Ok(Self::new(text)) }
    }

    /// Whether the header `Authorization` carries it.
    pub fn admits(&self, authorization: Option<&str>) -> bool {
        let Some((scheme, text)) = authorization.and_then(|header| header.split_once(' ')) else { return false };
        // Hashes compare in constant time.
        scheme.eq_ignore_ascii_case("bearer") && blake3::hash(text.trim().as_bytes()) == self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn only_the_token_is_let_in() {
        let token = Token::new("0123456789abcdef");
        assert!(token.admits(Some("Bearer 0123456789abcdef")));
        assert!(token.admits(Some("bearer  0123456789abcdef ")));
        for wrong in ["", "Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Basic 0123456789abcdef", "0123456789abcdef"]
        {
            assert!(!token.admits(Some(wrong)), "{wrong}");
        }
        assert!(!token.admits(None));
    }

    #[test]
    fn files_must_be_secret_and_long() {
        let path = std::env::temp_dir().join(format!("cow-token-test-{}", std::process::id()));
        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Token::read(&path)
        };
        assert!(write("0123456789abcdef\n", 0o640).unwrap().admits(Some("Bearer 0123456789abcdef")));
        assert!(matches!(write("0123456789abcdef\n", 0o644), Err(TokenError::Exposed { .. })));
        assert!(matches!(write("  short  \n", 0o600), Err(TokenError::Short { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(Token::read(&path), Err(TokenError::Unreadable { .. })));
    }
}
