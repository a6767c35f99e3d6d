//! What Prometheus scrapes of the control plane. Counters are this process's own; gauges are read from the catalog at each
//! scrape, so every control plane says the same. Labels are bounded: states and results, never a tenant's name.

mod catalog;
mod server;

use std::time::{Duration, Instant};

use prometheus::{
    Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::Shared;
use crate::http::problem::Problem;

pub(crate) use server::{bind, serve};

/// Longest reading of the catalog for one scrape.
const CATALOG_TIME: Duration = Duration::from_secs(3);
/// Upper bounds of the histogram of provisioning, in seconds. A tenant of the warm pool takes a few hundredths.
const SECONDS: [f64; 11] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// How the making of a tenant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provisioned {
    Succeeded,
    /// Our fault: it was removed again.
    Failed,
    /// The caller's fault, such as a slug that is taken.
    Refused,
}

impl Provisioned {
    const ALL: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Refused];

    fn of<T>(result: &Result<T, Problem>) -> Self {
        match result {
            Ok(_) => Self::Succeeded,
            Err(problem) if problem.status >= 500 => Self::Failed,
            Err(_) => Self::Refused,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// All of the control plane's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    provisioned: IntCounterVec,
    seconds: Histogram,
    connections: IntGaugeVec,
    waiting: IntGauge,
    catalog_up: IntGauge,
    catalog: catalog::Gauges,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// A name that is there twice; a fault of the build.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let provisioned = IntCounterVec::new(
            Opts::new("palisade_provisioning_total", "Tenants asked for, by how it ended"),
            &["result"],
        )?;
        registry.register(Box::new(provisioned.clone()))?;
        for result in Provisioned::ALL {
            provisioned.with_label_values(&[result.name()]);
        }
        let seconds = Histogram::with_opts(
            HistogramOpts::new("palisade_provisioning_seconds", "Time to make and verify a tenant")
                .buckets(SECONDS.to_vec()),
        )?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self {
            provisioned,
            seconds,
            connections: gauges(
                &registry,
                "palisade_control_connections",
                "Connections to the database, by state",
                "state",
            )?,
            waiting: gauge(
                &registry,
                "palisade_control_connections_waiting",
                "Requests that wait for a connection",
            )?,
            catalog_up: gauge(
                &registry,
                "palisade_control_catalog_up",
                "1: the catalog was read for this scrape",
            )?,
            catalog: catalog::Gauges::new(&registry)?,
            registry,
        })
    }

    /// Counts one making of a tenant that began at `started`.
    pub(crate) fn provisioned<T>(&self, started: Instant, result: &Result<T, Problem>) {
        let result = Provisioned::of(result);
        self.provisioned.with_label_values(&[result.name()]).inc();
        if result == Provisioned::Succeeded {
            self.seconds.observe(started.elapsed().as_secs_f64());
        }
    }

    /// Everything in Prometheus' text format.
    pub(crate) async fn text(&self, shared: &Shared) -> String {
        let status = shared.pool.status();
        self.connections.with_label_values(&["idle"]).set(number(status.available));
        self.connections
            .with_label_values(&["active"])
            .set(number(status.size.saturating_sub(status.available)));
        self.waiting.set(number(status.waiting));
        let read = tokio::time::timeout(CATALOG_TIME, self.catalog.read(shared)).await;
        let up = matches!(read, Ok(Ok(())));
        self.catalog_up.set(i64::from(up));
        let mut families = self.registry.gather();
        if !up {
            // What was true at an earlier scrape is not said again.
            families.retain(|family| !catalog::NAMES.contains(&family.name()));
        }
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone())).map(|()| gauge)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> Result<IntGaugeVec, prometheus::Error> {
    let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(gauges.clone())).map(|()| gauges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_caller_is_no_failure() {
        for (result, name) in [
            (Ok(()), "succeeded"),
            (Err(Problem::internal("x".into())), "failed"),
            (Err(Problem::unavailable("x")), "failed"),
            (Err(Problem::conflict("x")), "refused"),
            (Err(Problem::invalid("x")), "refused"),
        ] {
            assert_eq!(Provisioned::of(&result).name(), name);
        }
    }

    #[test]
    fn every_name_is_there_before_the_first_event() {
        let metrics = Metrics::new().expect("the names are each there once");
        metrics.catalog.touch();
        let text = TextEncoder::new().encode_to_string(&metrics.registry.gather()).expect("text");
        for name in catalog::NAMES {
            assert!(text.contains(&format!("# TYPE {name} gauge")), "{name}");
        }
        assert!(text.contains("palisade_provisioning_total{result=\"failed\"} 0"), "{text}");
        assert!(text.contains("palisade_provisioning_seconds_bucket"), "{text}");
    }
}
