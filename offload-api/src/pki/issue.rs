//! The development authority.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::{Files, PkiError};
use crate::identity::Identity;

/// How long a development authority lives.
const AUTHORITY_DAYS: i64 = 3650;
/// How long a certificate of it lives; browsers and auditors agree that more is too much.
const LEAF_DAYS: i64 = 825;
/// Clocks of host and DPU may differ; certificates begin this much before they are made.
const CLOCK_SLACK: Duration = Duration::hours(24);

/// What [`ensure`] had to make.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Made {
    /// Files, in the order in which they were written.
    pub files: Vec<PathBuf>,
}

/// Makes a development PKI for an agent as far as it is missing.
///
/// An empty directory gets an authority and the agent's certificate. A directory with an authority
/// and its key, but no certificate of this agent, gets the certificate. Anything else that is
/// missing is an error: an authority that was lost must not be replaced in silence, as the other
/// side would no longer be trusted. Two agents that start at once take turns.
///
/// # Errors
/// A file is missing and cannot be made from what is there, or writing fails.
pub fn ensure(dir: &Path, identity: &Identity) -> Result<Made, PkiError> {
    let files = Files::of(dir, identity.role());
    let mut made = Made::default();
    if files.certificate.exists() && files.key.exists() && files.ca.exists() {
        return Ok(made);
    }
    let _lock = lock(dir)?;
    match (files.certificate.exists(), files.key.exists()) {
        (true, true) if files.ca.exists() => return Ok(made), // The other agent's turn made it.
        (true, true) => {
            return Err(missing(
                &files.ca,
                "put the certificate of the authority that issued the agent's certificate there",
            ));
        }
        (true, false) => {
            return Err(missing(
                &files.key,
                "put the key of the agent's certificate there",
            ));
        }
        (false, true) => {
            return Err(missing(
                &files.certificate,
                "put the certificate of the agent's key there, or delete the key as well to have \
                 both made",
            ));
        }
        (false, false) => {}
    }
    match (files.ca.exists(), files.ca_key.exists()) {
        (true, true) => {}
        (true, false) => {
            return Err(missing(
                &files.certificate,
                "put the agent's certificate and key there, or the authority's key \
                 (ca-key.pem) to have them issued",
            ));
        }
        (false, true) => {
            return Err(missing(
                &files.ca,
                "put the certificate of ca-key.pem there",
            ));
        }
        (false, false) => authority(&files, &mut made)?,
    }
    leaf(&files, identity, &mut made)?;
    Ok(made)
}

fn missing(path: &Path, fix: &str) -> PkiError {
    PkiError::Missing {
        path: path.to_owned(),
        fix: fix.to_owned(),
    }
}

fn authority(files: &Files, made: &mut Made) -> Result<(), PkiError> {
    let issue = |source| PkiError::Issue {
        path: files.ca.clone(),
        source,
    };
    let key = KeyPair::generate().map_err(issue)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Margay development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = lifetime(AUTHORITY_DAYS);
    let certificate = params.self_signed(&key).map_err(issue)?;
    // The key first: a certificate without its key cannot issue, and says so.
    write(&files.ca_key, &key.serialize_pem(), made)?;
    write(&files.ca, &certificate.pem(), made)
}

fn leaf(files: &Files, identity: &Identity, made: &mut Made) -> Result<(), PkiError> {
    let issue = |source| PkiError::Issue {
        path: files.certificate.clone(),
        source,
    };
    let broken = |path: &Path, error: rcgen::Error| PkiError::Broken {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    let ca_key =
        KeyPair::from_pem(&text(&files.ca_key)?).map_err(|error| broken(&files.ca_key, error))?;
    let issuer = Issuer::from_ca_cert_pem(&text(&files.ca)?, ca_key)
        .map_err(|error| broken(&files.ca, error))?;
    let key = KeyPair::generate().map_err(issue)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&format!("{} {}", identity.role(), identity.name()));
    let uri = identity.to_string().try_into().map_err(issue)?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = lifetime(LEAF_DAYS);
    let certificate = params.signed_by(&key, &issuer).map_err(issue)?;
    write(&files.key, &key.serialize_pem(), made)?;
    write(&files.certificate, &certificate.pem(), made)
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn lifetime(days: i64) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - CLOCK_SLACK, now + Duration::days(days))
}

fn text(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|source| PkiError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that only its owner can read, whole or not at all.
fn write(path: &Path, text: &str, made: &mut Made) -> Result<(), PkiError> {
    let part = path.with_extension("pem.part");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|source| PkiError::Write {
        path: path.to_owned(),
        source,
    })?;
    made.files.push(path.to_owned());
    Ok(())
}

/// Holds others off until it is dropped.
fn lock(dir: &Path) -> Result<File, PkiError> {
    let failed = |path: &Path, source| PkiError::Write {
        path: path.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| failed(dir, source))?;
    let path = dir.join(".lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| failed(&path, source))?;
    file.lock().map_err(|source| failed(&path, source))?;
    Ok(file)
}
