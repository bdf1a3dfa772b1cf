//! What a configuration may say, and what is said about it when it may not.

use std::ffi::OsString;
use std::io::Write;

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    Variables::from(
        pairs
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value))),
    )
}

fn flags(file: &tempfile::NamedTempFile) -> Flags {
    Flags {
        config: Some(file.path().to_owned()),
        ..Flags::default()
    }
}

fn complaint(text: &str) -> String {
    let file = file(text);
    let error = Config::load(&flags(&file), &Variables::default()).unwrap_err();
    offload_api::error_chain(&error)
}

#[test]
fn a_whole_file() {
    let file = file(
        r#"
        name = "dpu-7"
        listen = "127.0.0.1:0"
        http = "off"
        pki-dir = "/tmp/pki"
        host-name = "worker-7"
        log = "debug"
        log-format = "json"
        p4runtime = "127.0.0.1:9560"
        device-id = 3
        batch = 100
        drift-seconds = 5
        [[ports]]
        number = 1
        interface = "cali1"
        mac = "02:00:00:00:00:01"
        [[ports]]
        number = 510
        interface = "eth0"
        role = "uplink"
        addresses = ["192.0.2.1", "2001:db8::1"]
        next-hop-mac = "02:00:00:00:00:fe"
        neighbours = [{ net = "10.65.1.0/26", mac = "02:00:00:00:00:fd" }]
        "#,
    );
    let config = Config::load(&flags(&file), &Variables::default()).unwrap();
    assert_eq!(
        config.identity().unwrap().to_string(),
        "spiffe://margay/dpu-agent/dpu-7"
    );
    assert_eq!(config.http, HttpAddress::Off);
    assert_eq!(config.device_id, 3);
    assert_eq!(config.in_flight, 4, "the default of what is not said");
    assert_eq!(config.ports[0].role, PortRole::Workload);
    assert_eq!(config.ports[0].mac, Some(Mac([2, 0, 0, 0, 0, 1])));
    assert_eq!(config.ports[1].neighbours.len(), 1);
}

#[test]
fn variables_stand_above_flags_and_flags_above_the_file() {
    let file = file("name = \"file\"\nlog = \"file\"\np4runtime = \"file\"");
    let flags = Flags {
        log: Some("flag".to_owned()),
        p4runtime: Some("flag".to_owned()),
        ..flags(&file)
    };
    let variables = variables(&[("MARGAY_DPU_P4RUNTIME", "variable"), ("PATH", "/bin")]);
    let config = Config::load(&flags, &variables).unwrap();
    assert_eq!(config.name, "file");
    assert_eq!(config.log, "flag");
    assert_eq!(config.p4runtime, "variable");
}

#[test]
fn the_variable_can_name_the_file() {
    let file = file("name = \"file\"");
    let path = file.path().to_str().unwrap();
    let variables = variables(&[("MARGAY_DPU_CONFIG", path)]);
    assert_eq!(
        Config::load(&Flags::default(), &variables).unwrap().name,
        "file"
    );
}

#[test]
fn mistakes_are_named() {
    let said = [
        ("nmae = \"x\"", "unknown field `nmae`"),
        ("name = \"a b\"", "Setting name is no name"),
        ("host-name = \"\"", "Setting host-name is no name"),
        (
            "http = \"of\"",
            "\"of\" is neither address:port nor \"off\"",
        ),
        ("batch = 0", "Setting batch is 0; it must be 1 to 10000"),
        (
            "[[ports]]\nnumber = 1\ninterface = \"a\"\nmac = \"2:0:0:0:0:1\"",
            "not a MAC address",
        ),
        (
            "[[ports]]\nnumber = 511\ninterface = \"a\"",
            "port numbers go from 0 to 510",
        ),
        (
            "[[ports]]\nnumber = 1\ninterface = \"a\"\naddresses = [\"10.0.0.1\"]",
            "belong to `role = \"uplink\"`",
        ),
        (
            "[[ports]]\nnumber = 1\ninterface = \"a\"\n[[ports]]\nnumber = 1\ninterface = \"b\"",
            "Two [[ports]] have number 1",
        ),
        (
            "[[ports]]\nnumber = 1\ninterface = \"a\"\n[[ports]]\nnumber = 2\ninterface = \"a\"",
            "Two [[ports]] have interface a",
        ),
    ];
    for (text, want) in said {
        let complaint = complaint(text);
        assert!(
            complaint.contains(want),
            "{complaint:?} does not say {want:?}"
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let flags = Flags {
        config: Some("/nowhere/dpu.toml".into()),
        ..Flags::default()
    };
    let error = Config::load(&flags, &Variables::default()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/dpu.toml"), "{error}");
}

#[test]
fn variables_that_are_no_settings_are_refused() {
    let load = |pairs: &[(&str, &str)]| {
        Config::load(&Flags::default(), &variables(pairs))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        load(&[("MARGAY_DPU_LISTN", "x")]),
        "MARGAY_DPU_LISTN is not a setting; `dpu-agent --help` lists them"
    );
    let text = load(&[("MARGAY_DPU_LISTEN", "here")]);
    assert!(text.starts_with("MARGAY_DPU_LISTEN=\"here\":"), "{text}");
}
