//! `QoSControls` of an endpoint: rates become limits, the rest is reported.

use std::num::NonZeroU64;

use felix_proto::felix;
use policy_model::{DirectionLimits, Limit, Limits};

/// The smallest burst that lets a full-sized frame through at all.
const FRAME: NonZeroU64 = NonZeroU64::new(1 << 16).unwrap();
/// Felix's default burst of packets.
const PACKETS: NonZeroU64 = NonZeroU64::new(5).unwrap();

/// The limits, and in words what is asked for and not enforced.
pub(super) fn limits(controls: &felix::QoSControls) -> (Limits, String) {
    let felix::QoSControls {
        ingress_bandwidth,
        egress_bandwidth,
        ingress_burst,
        egress_burst,
        ingress_packet_rate,
        egress_packet_rate,
        ingress_max_connections,
        egress_max_connections,
        ingress_peakrate,
        egress_peakrate,
        ingress_minburst,
        egress_minburst,
        ingress_packet_burst,
        egress_packet_burst,
    } = *controls;
    let limits = Limits {
        ingress: DirectionLimits {
            packets: packets(ingress_packet_rate, ingress_packet_burst),
            bytes: bytes(
                (ingress_bandwidth, ingress_burst),
                (ingress_peakrate, ingress_minburst),
            ),
        },
        egress: DirectionLimits {
            packets: packets(egress_packet_rate, egress_packet_burst),
            bytes: bytes(
                (egress_bandwidth, egress_burst),
                (egress_peakrate, egress_minburst),
            ),
        },
    };
    let rates = [
        ("ingress bandwidth", ingress_bandwidth),
        ("egress bandwidth", egress_bandwidth),
        ("ingress packet rate", ingress_packet_rate),
        ("egress packet rate", egress_packet_rate),
        ("ingress peak rate", ingress_peakrate),
        ("egress peak rate", egress_peakrate),
    ];
    let connections = [
        ("ingress connections", ingress_max_connections),
        ("egress connections", egress_max_connections),
    ];
    // Felix's rates are signed; one below zero means nothing.
    let senseless = rates.into_iter().filter(|(_, value)| *value < 0);
    let counted = connections.into_iter().filter(|(_, value)| *value != 0);
    let left: Vec<String> = senseless
        .chain(counted)
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    (limits, left.join(", "))
}

fn packets(rate: i64, burst: i64) -> Option<Limit> {
    Some(Limit {
        rate: positive(rate)?,
        burst: positive(burst).unwrap_or(PACKETS),
        peak: None,
    })
}

/// Bandwidth, burst and peak rate are in bits, the least burst of the peak in bytes.
fn bytes((rate, burst): (i64, i64), (peak, peak_burst): (i64, i64)) -> Option<Limit> {
    let peak = positive(peak).map(in_bytes);
    Some(Limit {
        rate: in_bytes(positive(rate)?),
        burst: positive(burst).map_or(FRAME, in_bytes).max(FRAME),
        peak: peak.map(|peak| (peak, positive(peak_burst).unwrap_or(FRAME).max(FRAME))),
    })
}

fn positive(value: i64) -> Option<NonZeroU64> {
    NonZeroU64::new(u64::try_from(value).ok()?)
}

fn in_bytes(bits: NonZeroU64) -> NonZeroU64 {
    NonZeroU64::new(bits.get().div_ceil(8)).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u64) -> NonZeroU64 {
        NonZeroU64::new(value).unwrap()
    }

    #[test]
    fn rates_become_limits_in_bytes_and_packets() {
        // What a recorded Felix sent.
        let (limits, left) = limits(&felix::QoSControls {
            ingress_bandwidth: 1_000_000_000,
            ingress_burst: 4_294_967_296,
            egress_packet_rate: 5_000,
            egress_packet_burst: 5,
            ingress_max_connections: 1_000,
            ..felix::QoSControls::default()
        });
        let bytes = Limit {
            rate: number(125_000_000),
            burst: number(536_870_912),
            peak: None,
        };
        let packets = Limit {
            rate: number(5_000),
            burst: number(5),
            peak: None,
        };
        assert_eq!(limits.ingress.bytes, Some(bytes));
        assert_eq!(limits.ingress.packets, None);
        assert_eq!(limits.egress.packets, Some(packets));
        assert_eq!(limits.egress.bytes, None);
        assert_eq!(left, "ingress connections 1000");
    }

    #[test]
    fn a_peak_has_a_bucket_of_its_own_that_holds_a_frame() {
        let (limits, left) = limits(&felix::QoSControls {
            egress_bandwidth: 8_001,
            egress_peakrate: 16_000,
            egress_minburst: 100,
            ..felix::QoSControls::default()
        });
        let bytes = Limit {
            rate: number(1_001),
            burst: FRAME,
            peak: Some((number(2_000), FRAME)),
        };
        assert_eq!(limits.egress.bytes, Some(bytes));
        assert_eq!(left, "");
    }

    #[test]
    fn a_rate_below_zero_limits_nothing_and_is_told() {
        let (limits, left) = limits(&felix::QoSControls {
            egress_packet_rate: -5,
            ..felix::QoSControls::default()
        });
        assert_eq!(limits, Limits::default());
        assert_eq!(left, "egress packet rate -5");
    }
}
