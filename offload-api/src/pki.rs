//! Certificates and keys in a directory.
//!
//! | File | What it is |
//! |---|---|
//! | `ca.pem` | certificates of the authorities that are trusted |
//! | `ca-key.pem` | key of the development authority; needed to issue, not to run |
//! | `host-agent.pem`, `dpu-agent.pem` | certificate chain of an agent |
//! | `host-agent-key.pem`, `dpu-agent-key.pem` | its key |
//!
//! Files that exist are used as they are, whoever made them. Only what is missing is made, and only
//! where that cannot take the place of something lost: see [`ensure`].

mod issue;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::identity::{Identity, IdentityError, Role};

pub use issue::{Made, ensure};

/// The files of one agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// Authorities.
    pub ca: PathBuf,
    /// Key of the development authority.
    pub ca_key: PathBuf,
    /// Own certificate chain.
    pub certificate: PathBuf,
    /// Own key.
    pub key: PathBuf,
}

impl Files {
    /// Where they are.
    #[must_use]
    pub fn of(dir: &Path, role: Role) -> Self {
        Self {
            ca: dir.join("ca.pem"),
            ca_key: dir.join("ca-key.pem"),
            certificate: dir.join(format!("{role}.pem")),
            key: dir.join(format!("{role}-key.pem")),
        }
    }

    /// When any of the files that a connection needs was last written; changes mean a rotation.
    #[must_use]
    pub fn stamp(&self) -> Vec<Option<SystemTime>> {
        [&self.ca, &self.certificate, &self.key]
            .into_iter()
            .map(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok())
            .collect()
    }
}

/// Why certificates cannot be used. Each text names the file and what to do.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file is not there, and must not be made up.
    #[error("{} is missing: {fix}", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// What to do.
        fix: String,
    },
    /// A file cannot be read.
    #[error("Cannot read {}: give this user access to it", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A file or directory cannot be written.
    #[error("Cannot write {}: make the directory writable for this user", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Not what its name says.
    #[error("{} is broken ({problem}): put a PEM file there, or delete it together with its \
             key to have a development one made", path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Out of its time.
    #[error("{} is valid from {from} to {to} and it is now {now}: renew it, or delete it \
             together with its key to have a development one made", path.display())]
    Expired {
        /// Which.
        path: PathBuf,
        /// Start.
        from: String,
        /// End.
        to: String,
        /// Clock of this machine.
        now: String,
    },
    /// For somebody else.
    #[error("{} is for {presented}, this agent is {expected}: put this agent's certificate \
             there, or name the agent as the certificate does", path.display())]
    WrongName {
        /// Which.
        path: PathBuf,
        /// Who this agent is.
        expected: String,
        /// Whom the certificate names.
        presented: String,
    },
    /// No identity in the certificate.
    #[error("{} names no agent: issue it with the URI name {expected}", path.display())]
    NoIdentity {
        /// Which.
        path: PathBuf,
        /// Who this agent is.
        expected: String,
        /// Cause.
        source: IdentityError,
    },
    /// The certificate is not the key's.
    #[error("{} does not belong to {}: put the key of this very certificate there",
            key.display(), certificate.display())]
    KeyMismatch {
        /// Key file.
        key: PathBuf,
        /// Certificate file.
        certificate: PathBuf,
    },
    /// The agent's name cannot be an identity.
    #[error("The agent's name cannot stand in a certificate")]
    Name {
        /// Cause.
        #[source]
        source: IdentityError,
    },
    /// Making a certificate failed.
    #[error("Cannot make {}", path.display())]
    Issue {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: rcgen::Error,
    },
}

/// What an agent shows and trusts.
#[derive(Debug)]
pub struct Credentials {
    /// Authorities.
    pub roots: RootCertStore,
    /// Own chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// Own key.
    pub key: PrivateKeyDer<'static>,
    /// Who the chain says this agent is.
    pub identity: Identity,
}

/// Reads an agent's files and checks that they can work.
///
/// # Errors
/// A file is missing, unreadable, broken, expired or somebody else's.
pub fn load(dir: &Path, identity: &Identity) -> Result<Credentials, PkiError> {
    let files = Files::of(dir, identity.role());
    let now = SystemTime::now();

    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.ca)? {
        in_time(&files.ca, &authority, now)?;
        roots.add(authority).map_err(|error| PkiError::Broken {
            path: files.ca.clone(),
            problem: error.to_string(),
        })?;
    }
    let chain = certificates(&files.certificate)?;
    for certificate in &chain {
        in_time(&files.certificate, certificate, now)?;
    }
    if let Some(leaf) = chain.first() {
        let presented = Identity::of(leaf).map_err(|source| PkiError::NoIdentity {
            path: files.certificate.clone(),
            expected: identity.to_string(),
            source,
        })?;
        if presented != *identity {
            return Err(PkiError::WrongName {
                path: files.certificate,
                expected: identity.to_string(),
                presented: presented.to_string(),
            });
        }
    }
    let text = read(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| PkiError::Broken {
        path: files.key.clone(),
        problem: error.to_string(),
    })?;
    belongs(&files, &chain, &key)?;
    Ok(Credentials {
        roots,
        chain,
        key,
        identity: identity.clone(),
    })
}

fn belongs(
    files: &Files,
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
) -> Result<(), PkiError> {
    let provider = rustls::crypto::ring::default_provider();
    let certified =
        rustls::sign::CertifiedKey::from_der(chain.to_vec(), key.clone_key(), &provider);
    match certified {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(PkiError::KeyMismatch {
            key: files.key.clone(),
            certificate: files.certificate.clone(),
        }),
        Err(error) => Err(PkiError::Broken {
            path: files.key.clone(),
            problem: error.to_string(),
        }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PkiError> {
    fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => PkiError::Missing {
            path: path.to_owned(),
            fix: "put it there, or empty the directory to have a development PKI made".to_owned(),
        },
        _ => PkiError::Read {
            path: path.to_owned(),
            source,
        },
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let broken = |problem: String| PkiError::Broken {
        path: path.to_owned(),
        problem,
    };
    let text = read(path)?;
    let list = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| broken(error.to_string()))?;
    if list.is_empty() {
        return Err(broken("no certificate in it".to_owned()));
    }
    Ok(list)
}

fn in_time(path: &Path, certificate: &CertificateDer<'_>, now: SystemTime) -> Result<(), PkiError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| PkiError::Broken {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&seconds) {
        return Ok(());
    }
    Err(PkiError::Expired {
        path: path.to_owned(),
        from: validity.not_before.to_string(),
        to: validity.not_after.to_string(),
        now: time::OffsetDateTime::from_unix_timestamp(seconds)
            .map(|time| time.to_string())
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
