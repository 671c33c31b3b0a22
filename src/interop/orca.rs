//! The cases about load reports, one function each, named as in the document.
//!
//! There, a load balancer takes the reports. No balancer here goes by load, so the cases take them
//! where such a balancer would: from the trailers of a call, and from a stream on the same channel.
//!
//! Spec: gRPC-Interop (ORCA), gRFC A51.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message as _;
use tokio::time::timeout;

use super::client::{Failure, Run, ends, equal, next, sent, succeeded};
use super::load::LOAD_METRICS;
use super::proto::testing::{
    ResponseParameters, SimpleRequest, StreamingOutputCallRequest, TestOrcaReport,
};
use super::proto::xds::data::orca::v3::OrcaLoadReport;
use super::proto::xds::service::orca::v3::{OpenRcaServiceClient, OrcaLoadReportRequest};
use crate::Inbound;

pub(super) async fn orca_per_rpc(run: &Run) -> Result<(), Failure> {
    let report = TestOrcaReport {
        cpu_utilization: 0.8210,
        memory_utilization: 0.5847,
        request_cost: HashMap::from([("cost".to_owned(), 3456.32)]),
        utilization: HashMap::from([("util".to_owned(), 0.30499)]),
    };
    let message = SimpleRequest {
        orca_per_query_report: Some(report.clone()),
        ..SimpleRequest::default()
    };
    let response = run.service.unary_call(run.request(message)).await;
    let trailers = succeeded("UnaryCall", response)?.trailers;
    // More than one value would say that some proxy has added its own.
    let values: Vec<_> = trailers.get_all_bin(LOAD_METRICS).collect();
    let [value] = &*values else {
        return Err(Failure::new(
            format!("one {LOAD_METRICS} in the trailers"),
            values.len().to_string(),
        ));
    };
    let came = OrcaLoadReport::decode(value.clone())
        .map_err(|error| Failure::new("a load report", error.to_string()))?;
    equal("the load report", OrcaLoadReport::from(report), came)
}

pub(super) async fn orca_oob(run: &Run) -> Result<(), Failure> {
    let call = run.service.full_duplex_call(run.request(())).await;
    let (mut outbound, mut inbound) = succeeded("FullDuplexCall", call)?;
    let service = OpenRcaServiceClient::new(run.channel.clone());
    let message = OrcaLoadReportRequest {
        report_interval: Duration::from_secs(1).try_into().ok(),
        ..OrcaLoadReportRequest::default()
    };
    let call = service.stream_core_metrics(run.request(message)).await;
    let mut reports = succeeded("StreamCoreMetrics", call)?;

    for (cpu, memory, other) in [(0.8210, 0.5847, 0.30499), (0.29309, 0.2, 0.2039)] {
        let report = TestOrcaReport {
            cpu_utilization: cpu,
            memory_utilization: memory,
            utilization: HashMap::from([("util".to_owned(), other)]),
            ..TestOrcaReport::default()
        };
        let message = StreamingOutputCallRequest {
            orca_oob_report: Some(report.clone()),
            response_parameters: vec![ResponseParameters {
                size: 1,
                ..ResponseParameters::default()
            }],
            ..StreamingOutputCallRequest::default()
        };
        sent(outbound.send(message).await, &mut inbound).await?;
        next(&mut inbound).await?;
        is_reported(&mut reports, report.into()).await?;
    }
    sent(outbound.finish(), &mut inbound).await?;
    ends(&mut inbound).await
}

/// Waits for a report. Reports of the load before may come first.
async fn is_reported(
    reports: &mut Inbound<OrcaLoadReport>,
    expected: OrcaLoadReport,
) -> Result<(), Failure> {
    let mut last = None;
    let waited = timeout(REPORT_TIMEOUT, async {
        loop {
            let report = next(reports).await?;
            if report == expected {
                return Ok(());
            }
            last = Some(report);
        }
    });
    waited.await.unwrap_or_else(|_| {
        Err(Failure::new(
            format!("within {REPORT_TIMEOUT:?} the load report {expected:?}"),
            format!("at last {last:?}"),
        ))
    })
}

/// How long the server may take to report what it was told.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);
