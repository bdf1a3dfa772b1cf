//! The program as a user starts it.
#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use p4runtime_proto::{
    Client, ElectionId, client::endpoint,
    p4::v1::get_forwarding_pipeline_config_request::ResponseType,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

fn p4switch() -> Command {
    Command::new(env!("CARGO_BIN_EXE_p4switch"))
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(name)
}

/// A switch that runs; killed if the test fails.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = p4switch()
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("stderr");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let ready =
            lines.find_map(|line| line.strip_prefix("ready: P4Runtime on ").map(str::to_owned));
        // The pipe is read to its end, so that the program can always write.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address: ready.expect("a line that says ready"),
        }
    }

    /// Sends a signal and waits for a clean end.
    fn end(mut self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("signalled");
        let deadline = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("waited") {
                break status;
            }
            assert!(Instant::now() < deadline, "it goes on after {signal}");
            std::thread::yield_now();
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = p4switch()
        .args(arguments)
        .output()
        .expect("the program starts");
    assert!(stdout.is_empty(), "errors go to stderr");
    (status.code(), String::from_utf8(stderr).expect("text"))
}

#[tokio::test]
async fn it_starts_serves_and_stops() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let directory = tempfile::tempdir().expect("temporary directory");
        let socket = directory.path().join("packets.sock");
        let running = Running::start(&[
            program("wire.json").to_str().expect("text"),
            "--p4info",
            program("wire.p4info.bin").to_str().expect("text"),
            "--packet-socket",
            socket.to_str().expect("text"),
            "--device-id",
            "3",
            "--",
            "--grpc-server-addr",
            "127.0.0.1:0",
        ]);
        let client = Client::connect(&running.address, 3)
            .await
            .expect("connected");
        let config = client
            .pipeline(ResponseType::All)
            .await
            .expect("answered")
            .expect("one");
        assert_eq!(config.cookie, None);
        assert_eq!(config.p4info.expect("p4info").tables.len(), 1);
        assert!(socket.exists());
        let client = client.primary("", ElectionId(1)).await.expect("primary");
        running.end(signal);
        assert!(!socket.exists(), "the packet socket stays behind");
        drop(client);
    }
}

#[test]
fn wrong_use_is_explained() {
    let (code, text) = fails(&[]);
    assert_eq!(code, Some(2));
    assert!(text.contains("--no-p4"), "{text}");
    let (code, text) = fails(&["--no-p4", "--device"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("--device"), "{text}");
    let (code, text) = fails(&["/nowhere/program.json"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("/nowhere/program.json") && text.contains("No such file"),
        "{text}"
    );
    let (code, text) = fails(&[
        "--no-p4",
        "-i",
        "1@nowhere0",
        "--grpc-server-addr",
        "127.0.0.1:0",
    ]);
    assert_eq!(code, Some(1));
    assert!(text.contains("nowhere0"), "{text}");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let (code, text) = fails(&[manifest, "--grpc-server-addr", "127.0.0.1:0"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("p4c"), "{text}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("address").to_string();
    let (code, text) = fails(&["--no-p4", "--grpc-server-addr", &address]);
    assert_eq!(code, Some(1));
    assert!(text.contains(&address), "{text}");
}

#[test]
fn text_p4info_is_told_from_binary() {
    let (code, text) = fails(&[
        program("wire.json").to_str().expect("text"),
        "--p4info",
        program("wire.p4").to_str().expect("text"),
        "--grpc-server-addr",
        "127.0.0.1:0",
    ]);
    assert_eq!(code, Some(1));
    assert!(text.contains("--p4runtime-files NAME.p4info.bin"), "{text}");
}

/// A certificate authority with a server and a client, as PEM files of a directory.
struct Authority {
    certificate: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec![]).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed").pem();
        Self {
            certificate,
            issuer: rcgen::Issuer::new(params, key),
        }
    }

    fn issue(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn tls_asks_for_certificates() {
    let authority = Authority::new();
    let (server_certificate, server_key) = authority.issue("localhost");
    let (client_certificate, client_key) = authority.issue("controller");
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let running = Running::start(&[
        "--no-p4",
        "--device-id",
        "1",
        "--",
        "--grpc-server-addr",
        "127.0.0.1:0",
        "--grpc-server-ssl",
        "--grpc-server-cert",
        &file("server.pem", &server_certificate),
        "--grpc-server-key",
        &file("server.key", &server_key),
        "--grpc-server-cacert",
        &file("ca.pem", &authority.certificate),
        "--grpc-server-with-client-auth",
    ]);
    let trusting = || {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&authority.certificate))
            .domain_name("localhost")
    };
    let ask = async |tls: ClientTlsConfig| {
        let endpoint = endpoint(&format!("https://{}", running.address)).expect("address");
        let endpoint = endpoint.tls_config(tls).expect("TLS is set up");
        let client = Client::connect_to(endpoint, 1).await.ok()?;
        client.capabilities().await.ok()
    };
    let known = trusting().identity(Identity::from_pem(client_certificate, client_key));
    assert_eq!(ask(known).await.as_deref(), Some("1.5.0"));
    assert_eq!(
        ask(trusting()).await,
        None,
        "a client without certificate was let in"
    );
    let (other_certificate, other_key) = Authority::new().issue("controller");
    let stranger = trusting().identity(Identity::from_pem(other_certificate, other_key));
    assert_eq!(
        ask(stranger).await,
        None,
        "a certificate of another authority was taken"
    );
    let plain = Client::connect(&running.address, 1).await;
    assert!(match plain {
        Err(_) => true,
        Ok(client) => client.capabilities().await.is_err(),
    });
    running.end(Signal::SIGTERM);
}
