use std::io::Write;

use super::*;

fn file(text: &str) -> Result<Layer, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Layer::file(file.path())
}

fn variable(name: &str, value: &str) -> Result<Layer, ConfigError> {
    Layer::variables([(name.to_owned(), value.to_owned())])
}

#[test]
fn variables_win_over_flags_and_flags_over_the_file() {
    let below = file("node = \"a\"\ndpu = \"10.0.0.1:1\"\nquiet-ms = 1\n").unwrap();
    let flags = Layer {
        node: Some("b".to_owned()),
        dpu: Some("10.0.0.2:2".to_owned()),
        ..Layer::default()
    };
    let above = variable("MARGAY_HOST_NODE", "c").unwrap();
    let config = above.over(flags.over(below)).resolve().unwrap();
    assert_eq!(config.identity.name(), "c");
    assert_eq!(config.dpu, "10.0.0.2:2");
    assert_eq!(config.quiet, Duration::from_millis(1));
}

#[test]
fn every_key_of_the_file_is_read() {
    let layer = file(
        r#"
        node = "n"
        felix-socket = "/a"
        socket = "/b"
        state-dir = "/c"
        endpoint-status = "/f"
        dpu = "dpu:50151"
        dpu-name = "d"
        pki = "/e"
        insecure = false
        http = "off"
        http-match = "l4"
        policy-only = true
        quiet-ms = 3
        latency-ms = 9
        log = "debug"
        log-format = "json"
        "#,
    )
    .unwrap();
    let config = layer.resolve().unwrap();
    assert_eq!(config.http, HttpAddress::Off);
    assert_eq!(config.endpoint_status, Some("/f".into()));
    assert_eq!(config.semantics.http, HttpHandling::L4);
    assert!(config.semantics.policy_only && !config.insecure);
    assert_eq!(
        config.dpu_identity.to_string(),
        "spiffe://margay/dpu-agent/d"
    );
    assert_eq!(config.log_format, LogFormat::Json);
}

#[test]
fn the_default_refuses_http_and_speaks_tls() {
    let layer = Layer {
        node: Some("n".to_owned()),
        ..Layer::default()
    };
    let config = layer.resolve().unwrap();
    assert_eq!(config.semantics, Semantics::default());
    assert!(!config.insecure);
}

#[test]
fn wrong_settings_are_named() {
    let text = |error: ConfigError| offload_api::error_chain(&error);
    let unknown = text(file("nodes = 1\n").unwrap_err());
    assert!(unknown.contains("nodes"), "{unknown}");
    let missing = text(Layer::file(Path::new("/nowhere/x.toml")).unwrap_err());
    assert!(missing.contains("/nowhere/x.toml"), "{missing}");
    let variable = text(variable("MARGAY_HOST_QUIET_MS", "soon").unwrap_err());
    assert!(
        variable.contains("MARGAY_HOST_QUIET_MS") && variable.contains("soon"),
        "{variable}"
    );
    let resolve = |layer: Layer| text(layer.resolve().unwrap_err());
    let name = resolve(Layer {
        node: Some("a b".to_owned()),
        ..Layer::default()
    });
    assert!(name.contains("node") && name.contains("a b"), "{name}");
    let address = resolve(Layer {
        node: Some("n".to_owned()),
        dpu: Some("dpu".to_owned()),
        ..Layer::default()
    });
    assert!(address.contains("HOST:PORT"), "{address}");
    let both = resolve(Layer {
        node: Some("n".to_owned()),
        insecure: Some(true),
        dpu_name: Some("d".to_owned()),
        ..Layer::default()
    });
    assert!(
        both.contains("insecure") && both.contains("dpu-name"),
        "{both}"
    );
}

#[test]
fn a_variable_that_names_no_setting_is_told() {
    let text = variable("MARGAY_HOST_DPUS", "x").unwrap_err().to_string();
    assert!(
        text.contains("MARGAY_HOST_DPUS") && text.contains("no such setting"),
        "{text}"
    );
}

#[test]
fn variables_of_others_are_left_alone() {
    assert_eq!(
        variable("MARGAY_DPU_BACKEND", "x").unwrap(),
        Layer::default()
    );
    assert_eq!(variable("PATH", "x").unwrap(), Layer::default());
}
