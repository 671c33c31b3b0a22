//! One connection that makes calls: as a client would, but with requests that were encoded before and
//! responses that are only counted, so that the server is what is measured.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use harness::Fault;
use harness::figures::Latencies;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::call::Call;
use crate::frames::{self, Found, Scanner};

pub trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// What may be on its way to us, on one stream and on all together, as full-grown clients have it.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// With so many bytes that wait for the socket nothing is added.
const OUTGOING_LIMIT: usize = 256 << 10;

thread_local! {
    /// What all connections read into: nothing of it is kept.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 10]);
}

/// When calls begin.
#[derive(Clone, Copy)]
pub enum Pace {
    /// So many are always under way.
    InFlight(usize),
    /// One at `first` and at each interval after it, however long the others take. How long a call
    /// took is counted from when it was due.
    Every { first: Instant, interval: Duration },
}

/// Calls that are to be made.
pub struct Run {
    pub calls: u64,
    pub pace: Pace,
    /// Whether to look for answers all the time instead of sleeping: then nothing is measured of how
    /// fast the system wakes us.
    pub spin: bool,
}

pub struct Connection {
    io: Box<dyn Io>,
    scanner: Scanner,
    outgoing: Vec<u8>,
    /// How much of it the socket has taken.
    written: usize,
    call: Rc<Call>,
    /// The header block of the first call, and of the others.
    blocks: [Vec<u8>; 2],
    streams: HashMap<u32, Stream>,
    /// Streams that have something to send, in the order in which they may.
    sending: VecDeque<u32>,
    next_stream: u32,
    /// What we may still send on all streams, and on a new one.
    window: i64,
    stream_window: i64,
    /// What came and was not given back yet.
    taken: u32,
    has_settings: bool,
    fault: Option<Fault>,
    /// As in the call; known after the first one if not before.
    answer: Option<usize>,
    latencies: Latencies,
}

struct Stream {
    began: Instant,
    window: i64,
    taken: u32,
    /// Messages that were sent whole, and how much of the next one.
    sent: u32,
    offset: usize,
    /// Bytes of DATA that came.
    came: usize,
}

/// Why a stream sends no more for now.
enum Sent {
    All,
    NoWindow,
    NoRoom,
}

impl Connection {
    /// Ready when the server's SETTINGS are known.
    pub async fn open(io: Box<dyn Io>, call: Rc<Call>) -> Result<Self, Fault> {
        let mut outgoing = frames::PREFACE.to_vec();
        frames::write_settings(&mut outgoing, STREAM_WINDOW);
        frames::write_window_update(&mut outgoing, 0, CONNECTION_WINDOW - frames::FIRST_WINDOW);
        let block = |first| frames::header_block(call.tls, &call.fields, first);
        let mut connection = Self {
            io,
            scanner: Scanner::default(),
            outgoing,
            written: 0,
            blocks: [block(true), block(false)],
            answer: call.answer,
            call,
            streams: HashMap::new(),
            sending: VecDeque::new(),
            next_stream: 1,
            window: frames::FIRST_WINDOW.into(),
            stream_window: frames::FIRST_WINDOW.into(),
            taken: 0,
            has_settings: false,
            fault: None,
            latencies: Latencies::default(),
        };
        poll_fn(|cx| {
            let _ = connection.poll_write(cx)?;
            while !connection.has_settings {
                ready!(connection.poll_read(cx))?;
            }
            connection.poll_write(cx)
        })
        .await?;
        Ok(connection)
    }

    /// Makes calls until all of them are answered.
    pub async fn make(&mut self, mut run: Run) -> Result<Latencies, Fault> {
        poll_fn(|cx| self.poll_make(cx, &mut run)).await?;
        Ok(std::mem::take(&mut self.latencies))
    }

    /// Opens streams that say nothing and are not answered.
    pub async fn open_idle(&mut self, streams: usize) -> Result<(), Fault> {
        for _ in 0..streams {
            self.begin(Instant::now());
        }
        poll_fn(|cx| self.poll_write(cx)).await
    }

    fn poll_make(&mut self, cx: &mut Context<'_>, run: &mut Run) -> Poll<Result<(), Fault>> {
        loop {
            let read = self.poll_read(cx)?;
            self.begin_calls(run);
            loop {
                let more = self.send_messages();
                let written = self.poll_write(cx)?;
                if !more || written.is_pending() {
                    break;
                }
            }
            if run.calls == 0 && self.streams.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if read.is_pending() {
                if run.spin {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        }
    }

    fn begin_calls(&mut self, run: &mut Run) {
        let now = Instant::now();
        while run.calls > 0 {
            match &mut run.pace {
                Pace::InFlight(limit) if self.streams.len() >= *limit => break,
                Pace::InFlight(_) => self.begin(now),
                Pace::Every { first, .. } if *first > now => break,
                Pace::Every { first, interval } => {
                    let due = *first;
                    *first += *interval;
                    self.begin(due);
                }
            }
            run.calls -= 1;
        }
    }

    fn begin(&mut self, began: Instant) {
        let id = self.next_stream;
        self.next_stream += 2;
        let [first, others] = &self.blocks;
        let block = if id == 1 { first } else { others };
        let flags = frames::END_HEADERS;
        frames::write_head(&mut self.outgoing, block.len(), frames::HEADERS, flags, id);
        self.outgoing.extend_from_slice(block);
        let stream = Stream {
            began,
            window: self.stream_window,
            taken: 0,
            sent: 0,
            offset: 0,
            came: 0,
        };
        self.streams.insert(id, stream);
        if self.call.messages > 0 {
            self.sending.push_back(id);
        }
    }

    /// Whether there is more to send than there was room for.
    fn send_messages(&mut self) -> bool {
        for _ in 0..self.sending.len() {
            let Some(id) = self.sending.pop_front() else {
                break;
            };
            match self.send(id) {
                Sent::All => {}
                Sent::NoWindow => self.sending.push_back(id),
                Sent::NoRoom => {
                    self.sending.push_front(id);
                    return true;
                }
            }
        }
        false
    }

    fn send(&mut self, id: u32) -> Sent {
        let (call, out) = (&self.call, &mut self.outgoing);
        let Some(stream) = self.streams.get_mut(&id) else {
            return Sent::All;
        };
        loop {
            if stream.sent == call.messages {
                frames::write_head(out, 0, frames::DATA, frames::END_STREAM, id);
                return Sent::All;
            }
            if out.len() - self.written >= OUTGOING_LIMIT {
                return Sent::NoRoom;
            }
            let rest = call.message.get(stream.offset..).unwrap_or_default();
            let window = usize::try_from(self.window.min(stream.window)).unwrap_or_default();
            let length = rest.len().min(window).min(frames::FRAME_LIMIT);
            let Some(part) = rest.get(..length).filter(|part| !part.is_empty()) else {
                return Sent::NoWindow;
            };
            let whole = length == rest.len();
            let last = whole && !call.in_turn && stream.sent + 1 == call.messages;
            let flags = if last { frames::END_STREAM } else { 0 };
            frames::write_head(out, length, frames::DATA, flags, id);
            out.extend_from_slice(part);
            let length = i64::try_from(length).unwrap_or_default();
            self.window -= length;
            stream.window -= length;
            stream.offset += part.len();
            if whole {
                stream.sent += 1;
                stream.offset = 0;
            }
            if last || whole && call.in_turn {
                return Sent::All;
            }
        }
    }

    fn take(&mut self, found: Found<'_>) {
        match found {
            Found::Data { stream, length } => self.take_data(stream, length),
            Found::End { stream } => self.take_end(stream),
            Found::Control {
                kind,
                flags,
                stream,
                payload,
            } => self.take_control(kind, flags, stream, payload),
        }
    }

    fn take_data(&mut self, id: u32, length: usize) {
        let bytes = u32::try_from(length).unwrap_or_default();
        let out = &mut self.outgoing;
        give_back(&mut self.taken, bytes, CONNECTION_WINDOW / 2, |bytes| {
            frames::write_window_update(out, 0, bytes);
        });
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        give_back(&mut stream.taken, bytes, STREAM_WINDOW / 2, |bytes| {
            frames::write_window_update(out, id, bytes);
        });
        stream.came += length;
        if self.call.in_turn && Some(stream.came) == total(self.answer, stream.sent) {
            let now = Instant::now();
            self.latencies.add(now - stream.began);
            stream.began = now;
            self.sending.push_back(id);
        }
    }

    fn take_end(&mut self, id: u32) {
        let Some(stream) = self.streams.remove(&id) else {
            return;
        };
        let answers = if self.call.in_turn {
            self.call.messages
        } else {
            1
        };
        let answer = *self.answer.get_or_insert(stream.came);
        if Some(stream.came) != total(Some(answer), answers) {
            let came = stream.came;
            self.fault = Some(format!("{came} bytes came, not {answers} times {answer}").into());
        }
        if !self.call.in_turn {
            self.latencies.add(stream.began.elapsed());
        }
    }

    fn take_control(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        match kind {
            frames::SETTINGS if flags & frames::ACK == 0 => {
                if let Some(window) = frames::initial_window(payload) {
                    let change = i64::from(window) - self.stream_window;
                    self.stream_window += change;
                    for stream in self.streams.values_mut() {
                        stream.window += change;
                    }
                }
                frames::write_head(&mut self.outgoing, 0, frames::SETTINGS, frames::ACK, 0);
                self.has_settings = true;
            }
            frames::PING if flags & frames::ACK == 0 => {
                let length = payload.len();
                frames::write_head(&mut self.outgoing, length, frames::PING, frames::ACK, 0);
                self.outgoing.extend_from_slice(payload);
            }
            frames::WINDOW_UPDATE => {
                let bytes = frames::increment(payload);
                match self.streams.get_mut(&stream) {
                    Some(stream) => stream.window += bytes,
                    None if stream == 0 => self.window += bytes,
                    None => {}
                }
            }
            frames::RST_STREAM if !self.streams.contains_key(&stream) => {}
            frames::RST_STREAM | frames::GOAWAY => {
                let text = format!("frame {kind:#x} on stream {stream}: {payload:02x?}");
                self.fault = Some(text.into());
            }
            _ => {}
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err("the server ended the connection".into()));
            }
            let mut scanner = std::mem::take(&mut self.scanner);
            scanner.scan(buffer.filled(), |found| self.take(found));
            self.scanner = scanner;
            Poll::Ready(self.fault.take().map_or(Ok(()), Err))
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        while let Some(rest) = self
            .outgoing
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            self.written += ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
        }
        self.outgoing.clear();
        self.written = 0;
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        Poll::Ready(Ok(()))
    }
}

/// So many answers of this length.
fn total(answer: Option<usize>, answers: u32) -> Option<usize> {
    answer?.checked_mul(usize::try_from(answers).ok()?)
}

/// Counts what was taken, and gives it back when it is half of the window.
fn give_back(taken: &mut u32, bytes: u32, half: u32, give: impl FnOnce(u32)) {
    *taken += bytes;
    if *taken >= half {
        give(std::mem::take(taken));
    }
}
