//! Entries of a tier's policy lists, which changed their type in Felix 3.32.

use prost::Message;
use thiserror::Error;

use crate::felix::PolicyId;

/// First byte of an encoded `PolicyID`: field 2 (name), length delimited. No policy name begins
/// with it, so it tells the two forms apart.
const NAME_TAG: u8 = 0x12;

/// A policy as `TierInfo` names it.
#[derive(Clone, PartialEq, Debug)]
pub enum PolicyRef {
    /// Felix 3.31 and older: `name`, or `namespace/name`.
    Text(String),
    /// Felix 3.32 and newer.
    Id(PolicyId),
}

/// Why an entry is neither form.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum PolicyRefError {
    /// Begins like a `PolicyID`.
    #[error("Entry of {length} bytes is not a PolicyID")]
    Id {
        /// Length of the entry.
        length: usize,
        /// What the decoder says.
        source: prost::DecodeError,
    },
    /// Not text.
    #[error("Entry of {length} bytes is neither a PolicyID nor text")]
    Text {
        /// Length of the entry.
        length: usize,
        /// Where it stops to be text.
        source: std::str::Utf8Error,
    },
    /// Nothing at all.
    #[error("Entry is empty")]
    Empty,
}

impl TryFrom<&[u8]> for PolicyRef {
    type Error = PolicyRefError;

    fn try_from(entry: &[u8]) -> Result<Self, PolicyRefError> {
        let length = entry.len();
        match entry.first() {
            None => Err(PolicyRefError::Empty),
            Some(&NAME_TAG) => PolicyId::decode(entry)
                .map(Self::Id)
                .map_err(|source| PolicyRefError::Id { length, source }),
            Some(_) => std::str::from_utf8(entry)
                .map(|text| Self::Text(text.to_owned()))
                .map_err(|source| PolicyRefError::Text { length, source }),
        }
    }
}

impl PolicyRef {
    /// The entry as it stands in a `TierInfo`.
    #[must_use]
    pub fn to_entry(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Id(id) => id.encode_to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_two_forms_apart() {
        let id = PolicyId {
            tier: String::new(),
            name: "default.db".to_owned(),
            namespace: "shop".to_owned(),
            kind: "NetworkPolicy".to_owned(),
        };
        for entry in [
            PolicyRef::Id(id),
            PolicyRef::Text("shop/default.db".to_owned()),
        ] {
            assert_eq!(PolicyRef::try_from(&entry.to_entry()[..]), Ok(entry));
        }
    }

    #[test]
    fn refuses_what_is_neither() {
        assert_eq!(PolicyRef::try_from(&b""[..]), Err(PolicyRefError::Empty));
        assert!(matches!(
            PolicyRef::try_from(&b"\x12\x7f"[..]),
            Err(PolicyRefError::Id { length: 2, .. })
        ));
        assert!(matches!(
            PolicyRef::try_from(&b"\xff\xfe"[..]),
            Err(PolicyRefError::Text { .. })
        ));
    }
}
