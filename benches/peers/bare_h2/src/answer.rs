//! One call of a server.

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use harness::messages::{Chunk, DownloadRequest, HelloReply, HelloRequest, UploadReply};
use harness::{CHANNEL_DEPTH, Fault, payload};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use prost::Message;
use tokio::sync::mpsc;

use crate::messages::{Deframer, frame, only};
use crate::sender::{Coalescing, Sender};

pub async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    coalescing: Coalescing,
) -> Result<(), Fault> {
    let (parts, mut body) = request.into_parts();
    let mut respond = || {
        let mut response = Response::new(());
        let content_type = HeaderValue::from_static("application/grpc");
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        respond.send_response(response, false)
    };
    match parts.uri.path() {
        "/bench.Bench/SayHello" => {
            let HelloRequest { name } = whole(&mut body).await?;
            let message = format!("Hello, {name}!");
            let reply = frame(&HelloReply { message })?;
            let mut stream = respond()?;
            stream.send_data(reply, false)?;
            Ok(stream.send_trailers(trailers())?)
        }
        "/bench.Bench/Download" => {
            let request = whole(&mut body).await?;
            download(request, Sender::new(respond()?, coalescing)).await
        }
        "/bench.Bench/Upload" => {
            let mut deframer = Deframer::default();
            let mut payload_bytes = 0;
            while let Some(Chunk { payload }) = next(&mut body, &mut deframer).await? {
                payload_bytes += u64::try_from(payload.len())?;
            }
            let mut stream = respond()?;
            stream.send_data(frame(&UploadReply { payload_bytes })?, false)?;
            Ok(stream.send_trailers(trailers())?)
        }
        "/bench.Bench/Echo" => {
            let mut sender = Sender::new(respond()?, coalescing);
            let mut deframer = Deframer::default();
            while let Some(chunk) = next::<Chunk>(&mut body, &mut deframer).await? {
                sender.send(&chunk).await?;
                sender.flush().await?;
            }
            sender.finish(trailers()).await
        }
        path => Err(format!("{path} is not served").into()),
    }
}

async fn download(request: DownloadRequest, mut sender: Sender) -> Result<(), Fault> {
    let DownloadRequest {
        chunks,
        chunk_bytes,
        through_channel,
    } = request;
    let chunk = Chunk {
        payload: payload(chunk_bytes),
    };
    if through_channel {
        let (into, mut from) = mpsc::channel(CHANNEL_DEPTH);
        tokio::spawn(async move {
            for _ in 0..chunks {
                if into.send(chunk.clone()).await.is_err() {
                    break;
                }
            }
        });
        while let Some(chunk) = from.recv().await {
            sender.send(&chunk).await?;
            if from.is_empty() {
                sender.flush().await?;
            }
        }
    } else {
        for _ in 0..chunks {
            sender.send(&chunk.clone()).await?;
        }
    }
    sender.finish(trailers()).await
}

/// The one message of a request.
async fn whole<M: Message + Default>(body: &mut RecvStream) -> Result<M, Fault> {
    let Some(first) = body.data().await else {
        return Err("a request without a message".into());
    };
    let first = first?;
    body.flow_control().release_capacity(first.len())?;
    if body.is_end_stream() {
        return only(first);
    }
    let mut rest = BytesMut::from(first);
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        rest.extend_from_slice(&chunk);
    }
    only(rest.freeze())
}

/// The next message of a stream of them.
pub async fn next<M: Message + Default>(
    body: &mut RecvStream,
    deframer: &mut Deframer,
) -> Result<Option<M>, Fault> {
    loop {
        if let Some(message) = deframer.next()? {
            return Ok(Some(message));
        }
        let Some(chunk) = body.data().await else {
            return Ok(None);
        };
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        deframer.add(&chunk);
    }
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}
