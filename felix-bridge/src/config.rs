//! Felix's configuration with Felix's defaults.
//!
//! `ConfigUpdate` holds only values that somebody set, as the user or the resource's default spelled
//! them; so the defaults live here, in one table, and words are compared without case.

use std::collections::BTreeMap;
use std::time::Duration;

use policy_model::{Config, FailsafePort, PortRange};

/// Parameters that matter to a dataplane driver, with Felix's default for each, as text.
pub const DEFAULTS: [(&str, &str); 30] = [
    ("AllowIPIPPacketsFromWorkloads", "false"),
    ("AllowVXLANPacketsFromWorkloads", "false"),
    ("DefaultEndpointToHostAction", "DROP"),
    ("DisableConntrackInvalidCheck", "false"),
    ("EndpointReportingEnabled", "false"),
    ("EndpointStatusPathPrefix", "/var/run/calico"),
    ("FailsafeInboundHostPorts", FailsafePort::INBOUND),
    ("FailsafeOutboundHostPorts", FailsafePort::OUTBOUND),
    ("FloatingIPs", "Disabled"),
    ("FlowLogsFlushInterval", "300"),
    ("FlowLogsGoldmaneServer", ""),
    ("InterfacePrefix", "cali"),
    ("IptablesFilterAllowAction", "ACCEPT"),
    ("IptablesFilterDenyAction", "DROP"),
    ("IptablesMangleAllowAction", "ACCEPT"),
    ("Ipv6Support", "true"),
    ("KubeNodePortRanges", "30000:32767"),
    ("NFTablesMode", "Auto"),
    ("PolicySyncPathPrefix", ""),
    ("ProgramClusterRoutes", "EnabledIPIPOnly"),
    ("ReportingIntervalSecs", "30"),
    ("ReportingTTLSecs", "90"),
    ("RouteSource", "CalicoIPAM"),
    ("ServiceLoopPrevention", "Drop"),
    ("UsageReportingEnabled", "true"),
    ("VXLANPort", "4789"),
    ("VXLANVNI", "4096"),
    ("WireguardListeningPort", "51820"),
    ("WireguardListeningPortV6", "51821"),
    ("WorkloadSourceSpoofing", "Disabled"),
];

/// What is done with what a workload sends to its own node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndpointToHost {
    /// `DROP`, the default; also for a word that is not known.
    Drop,
    /// `ACCEPT`.
    Accept,
    /// `RETURN`: the host's own rules decide.
    Return,
}

/// Typed view of a [`Config`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FelixConfig {
    /// By lower-case name.
    values: BTreeMap<String, String>,
}

impl From<&Config> for FelixConfig {
    fn from(config: &Config) -> Self {
        let values = config
            .values
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect();
        Self { values }
    }
}

impl FelixConfig {
    /// A parameter's value, or Felix's default; none for a parameter that has neither.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let set = self.values.get(&name.to_ascii_lowercase());
        set.map(String::as_str).or_else(|| default(name))
    }

    /// `FelixHostname`: this node.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.text("FelixHostname").filter(|name| !name.is_empty())
    }

    /// `InterfacePrefix`: workload interfaces begin with one of these.
    #[must_use]
    pub fn interface_prefixes(&self) -> Vec<&str> {
        self.list("InterfacePrefix")
    }

    /// `DefaultEndpointToHostAction`.
    #[must_use]
    pub fn endpoint_to_host(&self) -> EndpointToHost {
        let word = self.text("DefaultEndpointToHostAction").unwrap_or_default();
        if word.eq_ignore_ascii_case("accept") {
            EndpointToHost::Accept
        } else if word.eq_ignore_ascii_case("return") {
            EndpointToHost::Return
        } else {
            EndpointToHost::Drop
        }
    }

    /// `AllowVXLANPacketsFromWorkloads`.
    #[must_use]
    pub fn vxlan_from_workloads(&self) -> bool {
        self.flag("AllowVXLANPacketsFromWorkloads")
    }

    /// `AllowIPIPPacketsFromWorkloads`.
    #[must_use]
    pub fn ipip_from_workloads(&self) -> bool {
        self.flag("AllowIPIPPacketsFromWorkloads")
    }

    /// `DisableConntrackInvalidCheck`.
    #[must_use]
    pub fn conntrack_invalid_check_disabled(&self) -> bool {
        self.flag("DisableConntrackInvalidCheck")
    }

    /// `WorkloadSourceSpoofing` is `Any`.
    #[must_use]
    pub fn source_spoofing(&self) -> bool {
        self.word_is("WorkloadSourceSpoofing", "Any")
    }

    /// `FloatingIPs` is `Enabled`.
    #[must_use]
    pub fn floating_ips(&self) -> bool {
        self.word_is("FloatingIPs", "Enabled")
    }

    /// `Ipv6Support`.
    #[must_use]
    pub fn ipv6(&self) -> bool {
        self.flag("Ipv6Support")
    }

    /// `VXLANPort`.
    #[must_use]
    pub fn vxlan_port(&self) -> u16 {
        self.number("VXLANPort")
    }

    /// `VXLANVNI`.
    #[must_use]
    pub fn vxlan_vni(&self) -> u32 {
        self.number("VXLANVNI")
    }

    /// `WireguardListeningPort` and `WireguardListeningPortV6`.
    #[must_use]
    pub fn wireguard_ports(&self) -> [u16; 2] {
        [
            self.number("WireguardListeningPort"),
            self.number("WireguardListeningPortV6"),
        ]
    }

    /// `KubeNodePortRanges`; entries that are no range are left out.
    #[must_use]
    pub fn node_ports(&self) -> Vec<PortRange> {
        self.list("KubeNodePortRanges")
            .into_iter()
            .filter_map(|range| {
                let (first, last) = range.split_once(':').unwrap_or((range, range));
                let range = PortRange {
                    first: first.parse().ok()?,
                    last: last.parse().ok()?,
                };
                (range.first <= range.last).then_some(range)
            })
            .collect()
    }

    /// `ReportingIntervalSecs`; none if it is 0, which turns reports off.
    #[must_use]
    pub fn reporting_interval(&self) -> Option<Duration> {
        let seconds: u32 = self.number("ReportingIntervalSecs");
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// `EndpointReportingEnabled`.
    #[must_use]
    pub fn endpoint_reporting(&self) -> bool {
        self.flag("EndpointReportingEnabled")
    }

    /// `EndpointStatusPathPrefix`; none if it is empty. With an external driver Felix writes no
    /// status files below it; host-agent does, where its setting `endpoint-status` names it.
    #[must_use]
    pub fn endpoint_status_path(&self) -> Option<&str> {
        self.text("EndpointStatusPathPrefix")
            .filter(|path| !path.is_empty())
    }

    /// `FailsafeInboundHostPorts`.
    ///
    /// # Errors
    /// The first entry that is not `protocol:port` or `protocol:cidr:port`.
    pub fn failsafe_inbound(&self) -> Result<Vec<FailsafePort>, String> {
        self.failsafe("FailsafeInboundHostPorts")
    }

    /// `FailsafeOutboundHostPorts`.
    ///
    /// # Errors
    /// As for the inbound ones.
    pub fn failsafe_outbound(&self) -> Result<Vec<FailsafePort>, String> {
        self.failsafe("FailsafeOutboundHostPorts")
    }

    fn failsafe(&self, name: &str) -> Result<Vec<FailsafePort>, String> {
        FailsafePort::list(self.text(name).unwrap_or_default())
            .map_err(|what| format!("{name}: {what}"))
    }

    fn list(&self, name: &str) -> Vec<&str> {
        self.text(name)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect()
    }

    fn word_is(&self, name: &str, word: &str) -> bool {
        self.text(name)
            .is_some_and(|value| value.eq_ignore_ascii_case(word))
    }

    /// A value that is no flag counts as the default, as it does for Felix.
    fn flag(&self, name: &str) -> bool {
        let parse = |text: &str| match &*text.to_ascii_lowercase() {
            "true" | "1" | "yes" | "y" | "t" => Some(true),
            "false" | "0" | "no" | "n" | "f" => Some(false),
            _ => None,
        };
        self.text(name)
            .and_then(parse)
            .or_else(|| default(name).and_then(parse))
            .unwrap_or(false)
    }

    fn number<T: std::str::FromStr + Default>(&self, name: &str) -> T {
        self.text(name)
            .and_then(|text| text.trim().parse().ok())
            .or_else(|| default(name).and_then(|text| text.parse().ok()))
            .unwrap_or_default()
    }
}

fn default(name: &str) -> Option<&'static str> {
    DEFAULTS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| *value)
}

#[cfg(test)]
mod tests;
