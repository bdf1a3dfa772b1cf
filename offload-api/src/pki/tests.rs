//! A development PKI in a directory, and what is said about files that are not as they should be.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use time::OffsetDateTime;

use super::*;

fn host() -> Identity {
    Identity::new(Role::HostAgent, "node-1").unwrap()
}

fn dpu() -> Identity {
    Identity::new(Role::DpuAgent, "dpu-1").unwrap()
}

#[test]
fn an_empty_directory_gets_everything_once() {
    let dir = tempfile::tempdir().unwrap();
    let made = ensure(dir.path(), &host()).unwrap();
    let names: Vec<_> = made
        .files
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "ca-key.pem",
            "ca.pem",
            "host-agent-key.pem",
            "host-agent.pem"
        ]
    );
    for file in &made.files {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let ca = fs::read(dir.path().join("ca.pem")).unwrap();
    assert_eq!(ensure(dir.path(), &host()).unwrap(), Made::default());
    let made = ensure(dir.path(), &dpu()).unwrap();
    assert_eq!(made.files.len(), 2);
    assert_eq!(fs::read(dir.path().join("ca.pem")).unwrap(), ca);
    assert_eq!(load(dir.path(), &host()).unwrap().identity, host());
    assert_eq!(load(dir.path(), &dpu()).unwrap().identity, dpu());
}

#[test]
fn two_agents_at_once_share_one_authority() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for identity in [host(), dpu()] {
            let dir = dir.path();
            scope.spawn(move || ensure(dir, &identity).unwrap());
        }
    });
    let authority = |identity: &Identity| load(dir.path(), identity).unwrap().roots.len();
    assert_eq!((authority(&host()), authority(&dpu())), (1, 1));
}

#[test]
fn what_is_lost_is_not_replaced() {
    for (lost, named, fix) in [
        (vec!["ca.pem"], "ca.pem", "authority that issued"),
        (
            vec!["host-agent-key.pem"],
            "host-agent-key.pem",
            "key of the agent's certificate",
        ),
        (
            vec!["host-agent.pem"],
            "host-agent.pem",
            "certificate of the agent's key",
        ),
        (
            vec!["host-agent.pem", "host-agent-key.pem", "ca-key.pem"],
            "host-agent.pem",
            "authority's key",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        ensure(dir.path(), &host()).unwrap();
        for name in &lost {
            fs::remove_file(dir.path().join(name)).unwrap();
        }
        let text = ensure(dir.path(), &host()).unwrap_err().to_string();
        assert!(
            text.contains(named) && text.contains(fix),
            "{lost:?}: {text}"
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let text = load(dir.path(), &host()).unwrap_err().to_string();
    assert!(text.contains("ca.pem is missing"), "{text}");
}

#[test]
fn a_broken_file_is_named() {
    for name in ["ca.pem", "host-agent.pem", "host-agent-key.pem"] {
        let dir = tempfile::tempdir().unwrap();
        ensure(dir.path(), &host()).unwrap();
        let path = dir.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        let error = load(dir.path(), &host()).unwrap_err();
        assert!(
            matches!(&error, PkiError::Broken { path: at, .. } if *at == path),
            "{error:?}"
        );
    }
}

#[test]
fn a_certificate_of_another_agent_is_told_with_both_names() {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), &host()).unwrap();
    let other = Identity::new(Role::HostAgent, "node-2").unwrap();
    let text = load(dir.path(), &other).unwrap_err().to_string();
    for part in ["host-agent.pem", "/host-agent/node-1", "/host-agent/node-2"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_key_of_another_certificate_is_told() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    ensure(dir.path(), &host()).unwrap();
    ensure(other.path(), &host()).unwrap();
    let name = "host-agent-key.pem";
    fs::copy(other.path().join(name), dir.path().join(name)).unwrap();
    let error = load(dir.path(), &host()).unwrap_err();
    assert!(matches!(error, PkiError::KeyMismatch { .. }), "{error:?}");
}

#[test]
fn a_certificate_out_of_its_time_is_told_with_the_dates() {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), &host()).unwrap();
    let files = Files::of(dir.path(), Role::HostAgent);
    let ca_key = KeyPair::from_pem(&fs::read_to_string(&files.ca_key).unwrap()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&fs::read_to_string(&files.ca).unwrap(), ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(host().to_string().try_into().unwrap())];
    params.not_before = OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(1_100_000_000).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    fs::write(&files.certificate, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    let text = load(dir.path(), &host()).unwrap_err().to_string();
    for part in ["host-agent.pem is valid from", "2001", "2004", "renew"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_certificate_without_an_identity_is_told() {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), &host()).unwrap();
    let files = Files::of(dir.path(), Role::HostAgent);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    fs::write(&files.certificate, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    let text = load(dir.path(), &host()).unwrap_err().to_string();
    assert!(text.contains("names no agent"), "{text}");
}

#[test]
fn identities_are_parsed_and_compared() {
    let text = "spiffe://margay/dpu-agent/dpu-1";
    assert_eq!(text.parse::<Identity>().unwrap(), dpu());
    assert_eq!(dpu().to_string(), text);
    for wrong in [
        "spiffe://other/dpu-agent/dpu-1",
        "spiffe://margay/dpu-agent",
        "spiffe://margay/dpu-agent/",
        "spiffe://margay/dpu-agent/a/b",
        "spiffe://margay/switch/a",
    ] {
        assert!(wrong.parse::<Identity>().is_err(), "{wrong}");
    }
}
