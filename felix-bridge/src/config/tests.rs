use super::*;

fn config(values: &[(&str, &str)]) -> FelixConfig {
    FelixConfig::from(&Config {
        values: values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    })
}

fn port(protocol: Protocol, net: Option<&str>, port: u16) -> FailsafePort {
    FailsafePort {
        protocol,
        net: net.map(|net| net.parse().unwrap()),
        port,
    }
}

use policy_model::{FailsafePort, Protocol};

#[test]
fn silence_means_felixs_default() {
    let config = config(&[]);
    assert_eq!(config.endpoint_to_host(), EndpointToHost::Drop);
    assert_eq!(config.interface_prefixes(), ["cali"]);
    assert_eq!((config.vxlan_port(), config.vxlan_vni()), (4789, 4096));
    assert_eq!(config.wireguard_ports(), [51820, 51821]);
    assert!(!config.vxlan_from_workloads() && !config.ipip_from_workloads());
    assert!(!config.source_spoofing() && !config.floating_ips());
    assert!(config.ipv6());
    assert_eq!(config.reporting_interval(), Some(Duration::from_secs(30)));
    assert_eq!(config.endpoint_status_path(), Some("/var/run/calico"));
    let node_ports = PortRange {
        first: 30000,
        last: 32767,
    };
    assert_eq!(config.node_ports(), [node_ports]);
    let inbound = config.failsafe_inbound().unwrap();
    assert_eq!(inbound.len(), 9);
    assert_eq!(inbound[1], port(Protocol::UDP, None, 68));
    assert_eq!(config.hostname(), None);
}

#[test]
fn words_and_names_are_compared_without_case() {
    let config = config(&[
        ("DefaultEndpointToHostAction", "Return"),
        ("WorkloadSourceSpoofing", "any"),
        ("floatingips", "ENABLED"),
        ("AllowIPIPPacketsFromWorkloads", "True"),
    ]);
    assert_eq!(config.endpoint_to_host(), EndpointToHost::Return);
    assert!(config.source_spoofing() && config.floating_ips() && config.ipip_from_workloads());
}

#[test]
fn a_value_that_cannot_be_read_is_the_default() {
    let config = config(&[
        ("VXLANPort", "70000"),
        ("Ipv6Support", "perhaps"),
        ("DefaultEndpointToHostAction", "Shrug"),
    ]);
    assert_eq!(config.vxlan_port(), 4789);
    assert!(config.ipv6());
    assert_eq!(config.endpoint_to_host(), EndpointToHost::Drop);
}

#[test]
fn failsafe_ports_have_three_forms() {
    let parse = |text| config(&[("FailsafeInboundHostPorts", text)]).failsafe_inbound();
    assert_eq!(
        parse("tcp:172.20.0.0/16:22, udp:68,tcp:fd00::/8:179,443"),
        Ok(vec![
            port(Protocol::TCP, Some("172.20.0.0/16"), 22),
            port(Protocol::UDP, None, 68),
            port(Protocol::TCP, Some("fd00::/8"), 179),
            port(Protocol::TCP, None, 443),
        ])
    );
    assert_eq!(parse("none"), Ok(vec![]));
    let error = parse("tcp:22,icmp:8").unwrap_err();
    assert!(
        error.contains("icmp:8") && error.contains("Failsafe"),
        "{error}"
    );
}

#[test]
fn a_zero_interval_turns_reports_off() {
    let config = config(&[("ReportingIntervalSecs", "0")]);
    assert_eq!(config.reporting_interval(), None);
}

#[test]
fn the_table_of_defaults_is_sorted() {
    assert!(DEFAULTS.is_sorted_by_key(|(name, _)| name.to_ascii_lowercase()));
}
