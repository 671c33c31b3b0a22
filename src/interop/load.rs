//! The load that the test server reports: what its clients told it to.
//!
//! ```text
//!   UnaryCall      orca_per_query_report ──▶ endpoint-load-metrics-bin, in the call's trailers
//!   FullDuplexCall orca_oob_report ──▶ Load ──▶ StreamCoreMetrics, once in each interval
//! ```
//!
//! Spec: gRPC-Interop (ORCA), gRFC A51.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

use super::proto::testing::TestOrcaReport;
use super::proto::xds::data::orca::v3::OrcaLoadReport;
use super::proto::xds::service::orca::v3::{OpenRcaService, OrcaLoadReportRequest};
use crate::{Metadata, Replies, Request, Status};

/// Trailing metadata with the load of one call, a serialized [`OrcaLoadReport`]. gRFC A51.
pub(super) const LOAD_METRICS: &str = "endpoint-load-metrics-bin";

/// The server's load. Clones are the same.
#[derive(Clone)]
pub(super) struct Load {
    report: Arc<watch::Sender<OrcaLoadReport>>,
    /// Whose turn it is to say what the load is.
    turn: Arc<Semaphore>,
}

/// The right to say what the load is, until it is dropped.
pub(super) struct Turn {
    report: Arc<watch::Sender<OrcaLoadReport>>,
    _permit: OwnedSemaphorePermit,
}

impl Load {
    /// Waits until no other call says what the load is.
    ///
    /// # Cancel safety
    ///
    /// Safe. Whoever asks again stands at the end of the line.
    pub(super) async fn turn(&self) -> Result<Turn, Status> {
        let permit = Arc::clone(&self.turn).acquire_owned().await;
        Ok(Turn {
            report: Arc::clone(&self.report),
            // Nobody closes the semaphore.
            _permit: permit.map_err(|closed| Status::internal(closed.to_string()))?,
        })
    }
}

impl Turn {
    /// From here on, the load is this.
    pub(super) fn set(&self, report: TestOrcaReport) {
        self.report.send_replace(report.into());
    }
}

impl Default for Load {
    fn default() -> Self {
        Self {
            report: Arc::new(watch::Sender::new(OrcaLoadReport::default())),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("report", &*self.report.borrow())
            .finish_non_exhaustive()
    }
}

impl From<TestOrcaReport> for OrcaLoadReport {
    fn from(report: TestOrcaReport) -> Self {
        Self {
            cpu_utilization: report.cpu_utilization,
            mem_utilization: report.memory_utilization,
            request_cost: report.request_cost,
            utilization: report.utilization,
            ..Self::default()
        }
    }
}

/// Adds the load of a call to its trailing metadata.
pub(super) fn report_call(report: TestOrcaReport, trailers: &mut Metadata) -> Result<(), Status> {
    trailers.insert_bin(LOAD_METRICS, &OrcaLoadReport::from(report).encode_to_vec())
}

/// Serves `xds.service.orca.v3.OpenRcaService`: the server's load, again and again.
#[derive(Clone, Debug)]
pub(super) struct OpenRca(pub(super) Load);

impl OpenRcaService for OpenRca {
    async fn stream_core_metrics(
        &self,
        request: Request<OrcaLoadReportRequest>,
        mut replies: Replies<OrcaLoadReport>,
    ) -> Result<(), Status> {
        let wanted = &request.message;
        let interval = wanted
            .report_interval
            .and_then(|interval| Duration::try_from(interval).ok())
            .unwrap_or_default()
            .max(SHORTEST_INTERVAL);
        let tell = async {
            loop {
                let report =
                    select_costs(self.0.report.borrow().clone(), &wanted.request_cost_names);
                replies.send(report).await?;
                sleep(interval).await;
            }
        };
        // A drain ends the reports, which would go on for ever. Whichever comes first.
        tokio::select! {
            outcome = tell => outcome,
            () = request.draining() => Err(Status::unavailable("the server is shutting down")),
        }
    }
}

/// Leaves out the costs that nobody asked for. No names ask for all.
fn select_costs(mut report: OrcaLoadReport, names: &[String]) -> OrcaLoadReport {
    if !names.is_empty() {
        report.request_cost.retain(|name, _| names.contains(name));
    }
    report
}

/// The case waits 10 s for a report. A server of a real service would take 30 s for the shortest.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
