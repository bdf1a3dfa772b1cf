//! Meters of an endpoint's port.

use p4_tables::{
    limit_egress_bytes, limit_egress_packets, limit_ingress_bytes, limit_ingress_packets,
};
use policy_model::{Limit, Limits};
use table_model::{Row, RowKey};

/// Packs a row of a metered table: its key, rate and burst, peak rate and peak burst.
type Measure = fn(RowKey, u64, u64, u64, u64) -> Row;

/// The rows of all limits that there are.
pub(crate) fn rows(port: u16, limits: Limits) -> impl Iterator<Item = Row> {
    let Limits { ingress, egress } = limits;
    let all: [(Option<Limit>, RowKey, Measure); 4] = [
        (
            egress.packets,
            limit_egress_packets::key(port),
            limit_egress_packets::measure_egress_packets,
        ),
        (
            egress.bytes,
            limit_egress_bytes::key(port),
            limit_egress_bytes::measure_egress_bytes,
        ),
        (
            ingress.packets,
            limit_ingress_packets::key(port),
            limit_ingress_packets::measure_ingress_packets,
        ),
        (
            ingress.bytes,
            limit_ingress_bytes::key(port),
            limit_ingress_bytes::measure_ingress_bytes,
        ),
    ];
    all.into_iter()
        .filter_map(|(limit, key, measure)| Some(row(limit?, key, measure)))
}

/// A meter has two buckets, both of which must have room (RFC 2698): a limit without a peak of its
/// own fills both alike. No meter takes a peak below its rate; such a peak is the rate that counts.
fn row(limit: Limit, key: RowKey, measure: Measure) -> Row {
    let Limit { rate, burst, peak } = limit;
    let (peak_rate, peak_burst) = peak.unwrap_or((rate, burst));
    let rate = rate.min(peak_rate);
    measure(
        key,
        rate.get(),
        burst.get(),
        peak_rate.get(),
        peak_burst.get(),
    )
}
