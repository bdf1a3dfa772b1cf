//! Mutual TLS: TLS 1.3 only, both sides show a certificate of the same authority, and each checks
//! the identity in the other's.
//!
//! Files are read again when they changed, so a rotation needs no restart: the client looks at
//! each connect, the server at each accepted connection. A rotated file that cannot be used leaves
//! the server with what it had.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use thiserror::Error;
use tracing::{info, warn};

use crate::identity::Identity;
use crate::pki::{self, Files, PkiError};

/// Where an agent's certificates are and who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pki {
    /// Directory; see [`crate::pki`].
    pub dir: PathBuf,
    /// This agent.
    pub identity: Identity,
}

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The files.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The library refuses what the files have.
    #[error("The certificates in {} cannot be used", dir.display())]
    Unusable {
        /// Where they are.
        dir: PathBuf,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Pki {
    fn unusable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TlsError {
        TlsError::Unusable {
            dir: self.dir.clone(),
            source: source.into(),
        }
    }

    /// Makes what is missing and checks what is there.
    ///
    /// # Errors
    /// See [`PkiError`].
    pub fn prepare(&self) -> Result<(), TlsError> {
        let made = pki::ensure(&self.dir, &self.identity)?;
        if !made.files.is_empty() {
            let files: Vec<String> = made
                .files
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            info!(identity = %self.identity, files = files.join(" "), "made a development PKI");
        }
        pki::load(&self.dir, &self.identity)?;
        Ok(())
    }

    /// The client's side of a handshake, from the files as they are now.
    ///
    /// # Errors
    /// The files are not usable.
    pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let credentials = pki::load(&self.dir, &self.identity)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = ChainVerifier {
            roots: credentials.roots,
            algorithms: provider.signature_verification_algorithms,
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| self.unusable(error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(credentials.chain, credentials.key)
            .map_err(|error| self.unusable(error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let credentials = pki::load(&self.dir, &self.identity)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(credentials.roots),
            Arc::clone(&provider),
        )
        .build()
        .map_err(|error| self.unusable(error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| self.unusable(error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(credentials.chain, credentials.key)
            .map_err(|error| self.unusable(error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// The server's side of handshakes, following its files.
#[derive(Debug)]
pub struct ServerTls {
    pki: Pki,
    current: Mutex<(Vec<Option<SystemTime>>, Arc<ServerConfig>)>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// They are not usable.
    pub fn new(pki: Pki) -> Result<Self, TlsError> {
        let stamp = Files::of(&pki.dir, pki.identity.role()).stamp();
        let config = Arc::new(pki.server_config()?);
        Ok(Self {
            pki,
            current: Mutex::new((stamp, config)),
        })
    }

    /// What the next connection is to be met with.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Files::of(&self.pki.dir, self.pki.identity.role()).stamp();
        if stamp != current.0 {
            // Remembered even if it fails: the warning comes once for each change.
            current.0 = stamp;
            match self.pki.server_config() {
                Ok(config) => {
                    info!(identity = %self.pki.identity, "took up rotated certificates");
                    current.1 = Arc::new(config);
                }
                Err(error) => warn!(%error, "rotated certificates are not usable, kept the old"),
            }
        }
        Arc::clone(&current.1)
    }
}

/// Checks a server's chain and leaves its name to the caller: a DPU is known by the URI in its
/// certificate, not by the address that it happens to have.
#[derive(Debug)]
struct ChainVerifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let leaf = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &leaf,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        // A certificate without an identity never gets as far as the caller.
        Identity::of(end_entity).map_err(|_| CertificateError::ApplicationVerificationFailure)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
