//! `grpc.health.v1.Health`: tells load balancers and probes whether calls would be served.
//!
//! ```text
//!   set, clear ──▶ ┌ Statuses ──────────────┐ ──▶ Check: one of them, or NOT_FOUND
//!   drain ───────▶ │ ""             SERVING │ ──▶ List:  all of them
//!                  │ "shop.Orders"  SERVING │ ──▶ Watch: one of them, now and whenever it changes
//!                  └────────────────────────┘
//! ```
//!
//! A name is any text. By custom it is a service's full name, and the empty one stands for the
//! server as a whole. Nothing is looked up: what was never set is unknown, though the server may
//! serve it.
//!
//! A drain has no way back, since neither has the server's.
//!
//! Spec: gRPC-Health; gRFC A17, A90.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::{Replies, Request, Response, ServerCall, Service, Serving, Status};

use generated::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse, HealthServer,
};

#[path = "generated/grpc.health.v1.rs"]
#[expect(
    unreachable_pub,
    reason = "what is generated does not know where it will lie"
)]
pub(super) mod generated;

pub use generated::health_check_response::ServingStatus;

/// The health service, and the handle by which a program says how it is. Clones share what is set.
///
/// # Example
///
/// ```no_run
/// use barewire::Server;
/// use barewire::services::{Health, ServingStatus};
///
/// # async fn run(orders: impl barewire::Service) -> std::io::Result<()> {
/// let health = Health::new();
/// health.set("shop.Orders", ServingStatus::NotServing); // until its database is there
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:50051").await?;
/// Server::new().add(orders).add(health.clone()).serve(listener).await
/// # }
/// ```
#[derive(Clone)]
pub struct Health(Arc<HealthServer<Board>>);

impl Health {
    /// The server as a whole is SERVING, and nothing else is known.
    pub fn new() -> Self {
        let statuses = Statuses {
            by_name: BTreeMap::from([(String::new(), ServingStatus::Serving)]),
            draining: false,
        };
        Self(Arc::new(HealthServer(Board(watch::Sender::new(statuses)))))
    }

    /// Says how `service` is from now on. [`ServingStatus::ServiceUnknown`], which is what a Watch
    /// says of an unknown one, makes it unknown. Has no effect once the server drains.
    pub fn set(&self, service: impl Into<String>, status: ServingStatus) {
        let service = service.into();
        match status {
            ServingStatus::ServiceUnknown => self.clear(&service),
            ServingStatus::Unknown | ServingStatus::Serving | ServingStatus::NotServing => {
                self.change(|by_name| by_name.insert(service, status) != Some(status));
            }
        }
    }

    /// Makes `service` unknown. Has no effect once the server drains.
    pub fn clear(&self, service: &str) {
        self.change(|by_name| by_name.remove(service).is_some());
    }

    /// Wakes the watchers only if `change` says that it was one.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, ServingStatus>) -> bool) {
        self.board()
            .send_if_modified(|statuses| !statuses.draining && change(&mut statuses.by_name));
    }

    fn board(&self) -> &watch::Sender<Statuses> {
        let HealthServer(Board(statuses)) = &*self.0;
        statuses
    }
}

impl Service for Health {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn serve(&self, call: ServerCall) -> Serving<'_> {
        self.0.serve(call)
    }

    fn file_descriptor_set(&self) -> &'static [u8] {
        self.0.file_descriptor_set()
    }

    // A program that goes on to set what it knows must not call back the clients that a drain sends
    // elsewhere, so this is the last change. It also ends the calls of Watch: by themselves they
    // would go on for ever, and the drain would wait for them until its time is up.
    fn drain(&self) {
        self.board().send_modify(|statuses| {
            statuses.draining = true;
            for status in statuses.by_name.values_mut() {
                *status = ServingStatus::NotServing;
            }
        });
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses = self.board().borrow();
        f.debug_struct("Health")
            .field("statuses", &statuses.by_name)
            .field("draining", &statuses.draining)
            .finish()
    }
}

/// All that is known.
struct Statuses {
    by_name: BTreeMap<String, ServingStatus>,
    draining: bool,
}

/// Where it is written up, for all calls to read.
///
/// One `watch` for all names wakes each Watch at each change, which then looks whether the change
/// concerns it. One for each name would have to keep those that clients ask for and nobody sets.
struct Board(watch::Sender<Statuses>);

impl generated::Health for Board {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let statuses = self.0.borrow();
        match statuses.by_name.get(&request.message.service) {
            Some(status) => Ok(response(*status).into()),
            // The name is not repeated: it may be as long as a message, and a header field may not.
            None => Err(Status::not_found("the health of this service is not known")),
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
        mut replies: Replies<HealthCheckResponse>,
    ) -> Result<(), Status> {
        let service = request.message.service;
        let mut board = self.0.subscribe();
        let mut told = None;
        loop {
            // While a slow client takes in one status, others may come and go. The latest counts.
            let (status, draining) = {
                let statuses = board.borrow_and_update();
                let known = statuses.by_name.get(&service).copied();
                let status = known.unwrap_or(ServingStatus::ServiceUnknown);
                (status, statuses.draining)
            };
            if told != Some(status) {
                replies.send(response(status)).await?;
                told = Some(status);
            }
            // An error would say that the board is gone, to which this call holds a reference.
            if draining || board.changed().await.is_err() {
                return Err(Status::unavailable("the server is shutting down"));
            }
        }
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        let statuses = self.0.borrow();
        let known = statuses.by_name.len();
        if known > LIST_LIMIT {
            return Err(Status::resource_exhausted(format!(
                "the health of {known} services is known, and a list holds at most {LIST_LIMIT}"
            )));
        }
        let pairs = statuses.by_name.iter();
        let statuses = pairs.map(|(name, status)| (name.clone(), response(*status)));
        Ok(HealthListResponse {
            statuses: statuses.collect(),
        }
        .into())
    }
}

/// Statuses that one List tells, the server's own among them. The document leaves the number to the
/// server; grpc-go has the same.
const LIST_LIMIT: usize = 100;

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
