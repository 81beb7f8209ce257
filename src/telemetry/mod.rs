//! The log (one line per event on standard error), and all metrics.

mod lines;

use std::{io, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, fmt},
    util::SubscriberInitExt,
};

use self::lines::Line;
use crate::config::Log;

/// Starts the log of this process. A second call changes nothing.
pub fn start(log: &Log) {
    let _ = subscriber(log, io::stderr).try_init();
}

/// A subscriber that writes each event as one line. In JSON, a line is a flat object.
#[must_use]
pub fn subscriber<W>(log: &Log, writer: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        // A line that cannot be written is lost. Reporting that on standard error would panic where standard
        // error is what is gone, and end the task that logged.
        .log_internal_errors(false)
        .event_format(Line(log.format))
        .with_writer(writer)
        .finish()
}

/// The labels of the request counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    endpoint: &'static str,
    status: u16,
}

/// Buckets of the latency histogram, in seconds.
const BOUNDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// The metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pangea_mcp_auth");
        let requests = Family::<Request, Counter>::default();
        let seconds = Histogram::new(BOUNDS);
        registry.register("http_requests", "Answered requests by endpoint and status", requests.clone());
        registry.register(
            "http_request_seconds",
            "Time from a request's head to its answer's",
            seconds.clone(),
        );
        Self { registry, requests, seconds }
    }
}

impl Metrics {
    /// Counts an answered request of an endpoint.
    pub fn answered(&self, endpoint: &'static str, status: u16, after: Duration) {
        self.requests.get_or_create(&Request { endpoint, status }).inc();
        self.seconds.observe(after.as_secs_f64());
    }

    /// All metrics in the `OpenMetrics` text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_endpoint_and_status() {
        let metrics = Metrics::default();
        for endpoint in ["token", "metadata", "other", "other"] {
            metrics.answered(endpoint, 200, Duration::from_millis(1));
        }
        metrics.answered("token", 429, Duration::from_millis(1));
        let text = metrics.text();
        for line in [
            "pangea_mcp_auth_http_requests_total{endpoint=\"token\",status=\"429\"} 1",
            "pangea_mcp_auth_http_requests_total{endpoint=\"token\",status=\"200\"} 1",
            "pangea_mcp_auth_http_requests_total{endpoint=\"metadata\",status=\"200\"} 1",
            "pangea_mcp_auth_http_requests_total{endpoint=\"other\",status=\"200\"} 2",
            "pangea_mcp_auth_http_request_seconds_count 5",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
