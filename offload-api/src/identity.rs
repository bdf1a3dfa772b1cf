//! Who is at the other end: names in certificates.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What an agent is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The agent on the host, client of the offload API.
    HostAgent,
    /// The agent on the DPU, server of the offload API.
    DpuAgent,
}

impl Role {
    /// As it stands in identities and file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HostAgent => "host-agent",
            Self::DpuAgent => "dpu-agent",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `spiffe://margay/{role}/{name}`: a URI in a certificate's subject alternative name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    role: Role,
    name: String,
}

/// Why a text is no identity.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum IdentityError {
    /// Not of the form.
    #[error(
        "{0:?} is not an identity; the form is spiffe://margay/host-agent/NAME or \
         spiffe://margay/dpu-agent/NAME"
    )]
    Form(String),
    /// A name that cannot stand in a URI.
    #[error("{0:?} is not a name; use letters, digits, '-', '_' and '.', 1 to 253 of them")]
    Name(String),
    /// The certificate does not parse.
    #[error("The certificate cannot be read: {0}")]
    Certificate(String),
    /// The certificate names nobody of ours.
    #[error("The certificate has no identity: its URI names are [{0}]")]
    Missing(String),
}

impl Identity {
    /// An identity.
    ///
    /// # Errors
    /// The name is empty, too long or has characters that a URI would escape.
    pub fn new(role: Role, name: &str) -> Result<Self, IdentityError> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 253 || !name.chars().all(fine) {
            return Err(IdentityError::Name(name.to_owned()));
        }
        Ok(Self {
            role,
            name: name.to_owned(),
        })
    }

    /// What the agent is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Which one it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The identity that a certificate carries.
    ///
    /// # Errors
    /// The certificate does not parse or has no URI of the form.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|error| IdentityError::Certificate(error.to_string()))?;
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| IdentityError::Certificate(error.to_string()))?;
        let uris: Vec<&str> = names
            .iter()
            .flat_map(|extension| &extension.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            })
            .collect();
        // SPIFFE X509-SVID, clause 2: exactly one URI name.
        match uris.as_slice() {
            [uri] => uri.parse(),
            _ => Err(IdentityError::Missing(uris.join(", "))),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://margay/{}/{}", self.role, self.name)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let form = || IdentityError::Form(text.to_owned());
        let rest = text.strip_prefix("spiffe://margay/").ok_or_else(form)?;
        let (role, name) = rest.split_once('/').ok_or_else(form)?;
        let role = match role {
            "host-agent" => Role::HostAgent,
            "dpu-agent" => Role::DpuAgent,
            _ => return Err(form()),
        };
        Self::new(role, name)
    }
}

/// Who is let in: a role, and if given one name of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// Role.
    pub role: Role,
    /// Name; any if absent.
    pub name: Option<String>,
}

impl Expected {
    /// Anyone of this role whose certificate the authority signed.
    #[must_use]
    pub const fn any(role: Role) -> Self {
        Self { role, name: None }
    }

    /// Whether this is who is expected.
    ///
    /// # Errors
    /// It is not; the text names both.
    pub fn admit(&self, presented: &Identity) -> Result<(), WrongIdentity> {
        let named = self
            .name
            .as_ref()
            .is_none_or(|name| *name == presented.name);
        if self.role == presented.role && named {
            Ok(())
        } else {
            Err(WrongIdentity {
                expected: self.to_string(),
                presented: presented.to_string(),
            })
        }
    }
}

impl From<Identity> for Expected {
    fn from(identity: Identity) -> Self {
        Self {
            role: identity.role,
            name: Some(identity.name),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("*");
        write!(f, "spiffe://margay/{}/{name}", self.role)
    }
}

/// Somebody else answered or called.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("Wrong identity: {expected} is expected here, {presented} was presented")]
pub struct WrongIdentity {
    /// Who is let in.
    pub expected: String,
    /// Who came.
    pub presented: String,
}
