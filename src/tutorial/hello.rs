//! `hello.Hello`: the route guide as another tutorial has it, which knows two names and no places.

use super::proto::hello::{Feature, Hello, Point, Rectangle, RouteNote, RouteSummary};
use crate::{Inbound, Replies, Request, Response, Status};

/// Answers about places, always the same, as `hello.Hello`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beijing;

impl Hello for Beijing {
    async fn get_feature(&self, request: Request<Point>) -> Result<Response<Feature>, Status> {
        Ok(feature("北京", request.message).into())
    }

    async fn list_features(
        &self,
        request: Request<Rectangle>,
        mut replies: Replies<Feature>,
    ) -> Result<(), Status> {
        let corner = request.message.lo.unwrap_or_default();
        for _ in 0..10 {
            replies.send(feature("Beijing-Shanghai", corner)).await?;
        }
        Ok(())
    }

    // A server need not read a request to its end: this one answers at the first point, while the
    // client is still sending. gRPC-HTTP2 §Responses.
    async fn record_route(
        &self,
        mut requests: Request<Inbound<Point>>,
    ) -> Result<Response<RouteSummary>, Status> {
        let summary = match requests.next().await? {
            Some(_) => RouteSummary {
                point_count: 1,
                feature_count: 2,
                distance: 3,
                elapsed_time: 4,
            },
            None => RouteSummary::default(),
        };
        Ok(summary.into())
    }

    async fn route_chat(
        &self,
        mut requests: Request<Inbound<RouteNote>>,
        mut replies: Replies<RouteNote>,
    ) -> Result<(), Status> {
        while let Some(note) = requests.next().await? {
            replies.send(note).await?;
        }
        Ok(())
    }
}

fn feature(name: &str, location: Point) -> Feature {
    Feature {
        name: name.to_owned(),
        location: Some(location),
    }
}
