//! What `/metrics` shows: `offload_<stage>_<noun>_<unit>`.

use std::collections::BTreeMap;

use felix_bridge::server::Metrics as FelixMetrics;
use offload_api::host::{HitCount, HostStatus};
use offload_api::sync::SyncState;
use policy_compiler::TableUsage;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::counts::Totals;
use crate::policies;

/// Policies with samples of their own.
const POLICIES: usize = 500;

/// Steps of the two histograms, in seconds: half a millisecond to half a minute.
const STEPS: [f64; 16] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0,
];

/// All metrics of the daemon.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    desired: IntGauge,
    acknowledged: IntGauge,
    observed: IntGauge,
    connected: IntGauge,
    repaired: IntGauge,
    refused: IntGauge,
    resyncs: IntGauge,
    rows: IntGaugeVec,
    sizes: IntGaugeVec,
    endpoints: IntGaugeVec,
    refusals: IntGauge,
    policies: IntGauge,
    hit_packets: IntGaugeVec,
    hit_bytes: IntGaugeVec,
    lost_counts: IntGauge,
    pub(crate) compile: Histogram,
    pub(crate) enforced: Histogram,
    pub(crate) commits: IntCounter,
    pub(crate) compile_failures: IntCounter,
    pub(crate) model_refusals: IntCounter,
    felix: FelixMetrics,
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// Two metrics of one name.
    pub(crate) fn new(felix: FelixMetrics) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauges = |name: &str, help: &str, label: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let histogram = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(STEPS.to_vec());
            let histogram = Histogram::with_opts(options)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        Ok(Self {
            desired: gauge(
                "offload_sync_desired_generation",
                "Generation that is wanted",
            )?,
            acknowledged: gauge(
                "offload_sync_acknowledged_generation",
                "Generation that the DPU acknowledged",
            )?,
            observed: gauge(
                "offload_sync_observed_generation",
                "Generation that the DPU saw on its target",
            )?,
            connected: gauge("offload_sync_connected_streams", "Sync streams that stand")?,
            repaired: gauge(
                "offload_dpu_repaired_entries",
                "Entries that the DPU agent repaired since it started",
            )?,
            refused: gauge(
                "offload_sync_refused_changes",
                "Changes that the DPU refused since this agent started",
            )?,
            resyncs: gauge(
                "offload_sync_requested_snapshots",
                "Whole states that the DPU asked for since this agent started",
            )?,
            rows: gauges(
                "offload_table_desired_rows",
                "Rows wanted in a table",
                "table",
            )?,
            sizes: gauges("offload_table_size_rows", "Rows that fit a table", "table")?,
            endpoints: gauges(
                "offload_policy_endpoints",
                "Local workload endpoints by state",
                "state",
            )?,
            refusals: gauge(
                "offload_policy_refusals",
                "Things that are not enforced exactly",
            )?,
            policies: gauge("offload_policy_policies", "Policies known")?,
            hit_packets: gauges(
                "offload_policy_hit_packets",
                "First packets of flows that a policy's rules decided, those of the past included",
                "policy",
            )?,
            hit_bytes: gauges(
                "offload_policy_hit_bytes",
                "Bytes of the first packets that a policy's rules decided",
                "policy",
            )?,
            lost_counts: gauge(
                "offload_policy_lost_counts",
                "Deleted rows whose counts were lost, since the agents started",
            )?,
            compile: histogram(
                "offload_compiler_commit_seconds",
                "Time to compile a batch of changes",
            )?,
            enforced: histogram(
                "offload_host_frame_to_enforced_seconds",
                "Time from the first frame of a batch to the DPU's acknowledgement",
            )?,
            commits: counter("offload_compiler_commits_total", "Batches compiled")?,
            compile_failures: counter(
                "offload_compiler_failures_total",
                "Batches that could not be compiled",
            )?,
            model_refusals: counter(
                "offload_model_refused_updates_total",
                "Updates that the model refused",
            )?,
            registry,
            felix,
        })
    }

    /// Takes over what the owner knows.
    pub(crate) fn observe(&self, sync: &SyncState, status: &HostStatus, usage: &[TableUsage]) {
        self.desired.set(number(sync.desired.0));
        self.acknowledged.set(number(sync.acknowledged.0));
        self.observed.set(number(sync.status.observed.0));
        self.connected.set(i64::from(sync.connected));
        self.repaired.set(number(sync.status.drift_repaired));
        self.refused.set(number(sync.refusals));
        self.resyncs.set(number(sync.resyncs));
        self.refusals.set(number(status.refusals));
        self.policies.set(number(status.policies));
        for count in &status.endpoints {
            self.endpoints
                .with_label_values(&[count.state.as_str()])
                .set(number(count.count));
        }
        for table in usage {
            self.rows
                .with_label_values(&[table.name.as_str()])
                .set(number(table.rows));
            self.sizes
                .with_label_values(&[table.name.as_str()])
                .set(number(table.size));
        }
    }

    /// Takes over what policies counted. The first [`POLICIES`] have samples of their own, all others
    /// one together: a scrape does not grow with the cluster.
    pub(crate) fn count(&self, totals: &Totals, lost: u64) {
        self.lost_counts.set(number(lost));
        let mut by_policy: BTreeMap<String, HitCount> = BTreeMap::new();
        for (rule, count) in totals {
            let name = policies::holder_name(&rule.holder);
            by_policy.entry(name).or_default().add(*count);
        }
        self.hit_packets.reset();
        self.hit_bytes.reset();
        let mut others = HitCount::default();
        for (place, (name, count)) in by_policy.into_iter().enumerate() {
            if place < POLICIES {
                self.show(&name, count);
            } else {
                others.add(count);
            }
        }
        if others != HitCount::default() {
            self.show("others", others);
        }
    }

    fn show(&self, name: &str, count: HitCount) {
        let HitCount { packets, bytes } = count;
        self.hit_packets
            .with_label_values(&[name])
            .set(number(packets));
        self.hit_bytes.with_label_values(&[name]).set(number(bytes));
    }

    /// The page.
    pub(crate) fn page(&self) -> String {
        let mut page = Vec::new();
        if TextEncoder::new()
            .encode(&self.registry.gather(), &mut page)
            .is_err()
        {
            page.clear();
        }
        let mut page = String::from_utf8(page).unwrap_or_default();
        for sample in self.felix.samples() {
            let kind = if sample.gauge { "gauge" } else { "counter" };
            let (name, help, value) = (sample.name, sample.help, sample.value);
            page.push_str(&format!(
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
            ));
        }
        page
    }
}
