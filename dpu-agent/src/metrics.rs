//! What is counted for monitoring. Names are `offload_dpu_<noun>_<unit>`.

use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};

use crate::View;

/// All of them, cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    ready: Gauge,
    connected: Gauge,
    in_sync: Gauge,
    queued: Gauge,
    generation: GaugeVec,
    rows: GaugeVec,
    operations: IntCounterVec,
    drift: IntCounterVec,
    drops: IntCounterVec,
    written: IntCounter,
    refused: IntCounter,
    enforce: Histogram,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// Two have one name, which no configuration can cause.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| -> Result<Gauge, prometheus::Error> {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let written = IntCounter::new(
            "offload_dpu_written_entries_total",
            "Entries sent to the device: inserted, modified, deleted",
        )?;
        registry.register(Box::new(written.clone()))?;
        let refused = IntCounter::new(
            "offload_dpu_refused_changes_total",
            "Changes of the host that were refused",
        )?;
        registry.register(Box::new(refused.clone()))?;
        let enforce = Histogram::with_opts(
            HistogramOpts::new(
                "offload_dpu_enforce_seconds",
                "Time from a change's arrival to its being in force as a whole",
            )
            .buckets(prometheus::exponential_buckets(0.001, 2.0, 16)?),
        )?;
        registry.register(Box::new(enforce.clone()))?;
        Ok(Self {
            ready: gauge("offload_dpu_ready", "1 if the agent does its work")?,
            connected: gauge("offload_dpu_device_connected", "1 if the device is reached")?,
            in_sync: gauge(
                "offload_dpu_in_sync",
                "1 if the device holds exactly what was asked for last",
            )?,
            queued: gauge(
                "offload_dpu_waiting_changes",
                "Changes that are not in force yet",
            )?,
            generation: gauges(
                "offload_dpu_generation",
                "Generation that is desired, enforced, observed",
                &["kind"],
            )?,
            rows: gauges(
                "offload_dpu_table_rows",
                "Rows of a table: desired, observed, and its size",
                &["table", "kind"],
            )?,
            operations: counters(
                "offload_dpu_operations_total",
                "Operations on the device by kind, failures, restored rows, undone changes",
                "kind",
            )?,
            drift: counters(
                "offload_dpu_drift_rows_total",
                "Rows that were found other than desired, and repaired",
                "kind",
            )?,
            drops: counters(
                "offload_dpu_dropped_packets_total",
                "Packets that the device dropped, by reason",
                "reason",
            )?,
            written,
            refused,
            enforce,
            registry,
        })
    }

    pub(crate) fn enforced(&self, took: Duration) {
        self.enforce.observe(took.as_secs_f64());
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    /// Everything as text, with the agent's state and the device's drops as they are now.
    ///
    /// # Errors
    /// The text cannot be made.
    pub(crate) fn render(
        &self,
        view: &View,
        drops: &[(&str, u64)],
    ) -> Result<String, prometheus::Error> {
        let status = &view.status;
        let flag = |gauge: &Gauge, on: bool| gauge.set(if on { 1.0 } else { 0.0 });
        flag(&self.ready, view.ready());
        flag(&self.connected, status.connected);
        flag(&self.in_sync, status.in_sync);
        self.queued.set(number(status.queued as u64));
        let generation = |kind, value: Option<table_model::Generation>| {
            let value = value.unwrap_or_default().0;
            self.generation
                .with_label_values(&[kind])
                .set(number(value));
        };
        generation("desired", status.desired);
        generation("enforced", status.enforced);
        generation("observed", Some(view.observed));
        for table in &view.tables {
            let rows = |kind, value| {
                let labels = [table.name.as_str(), kind];
                self.rows.with_label_values(&labels).set(number(value));
            };
            rows("desired", table.desired);
            rows("observed", table.observed);
            rows("size", table.size);
        }
        for (kind, value) in [
            ("connect", view.connects),
            ("write", status.writes),
            ("failure", status.failures),
            ("read", status.reads),
            ("drift_check", status.drift_checks),
            ("restored_row", status.restored),
            ("rollback", status.rollbacks),
        ] {
            raise(&self.operations, kind, value);
        }
        self.written
            .inc_by(status.updates - self.written.get().min(status.updates));
        raise(&self.drift, "missing", status.drift.missing);
        raise(&self.drift, "changed", status.drift.changed);
        raise(&self.drift, "foreign", status.drift.foreign);
        for (reason, packets) in drops {
            raise(&self.drops, reason, *packets);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Brings a counter up to a count that is kept elsewhere. A count that fell (the device was restarted)
/// counts as it is from there on.
fn raise(counters: &IntCounterVec, label: &str, value: u64) {
    let counter = counters.with_label_values(&[label]);
    if value < counter.get() {
        counter.reset();
    }
    counter.inc_by(value - counter.get().min(value));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating point by definition"
)]
fn number(value: u64) -> f64 {
    value as f64
}
