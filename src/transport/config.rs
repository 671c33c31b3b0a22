//! What HTTP/2 may cost: windows, limits, timers, and how often a peer may try our patience.
//!
//! Every wait has a timer here and every buffer a bound. The defaults suit a server that faces
//! strangers; each field says what a peer sees when it goes past.

use std::time::Duration;

use super::frame_counts::FrameLimits;
use super::late_frames::Remembered;
use super::limits::{check_frame_size, check_windows};
use super::ping_policy::PingPolicy;
use super::rate::Rate;

/// The HTTP/2 side of a server, per connection. Plain data: change fields of [`Default::default`].
#[derive(Clone, Debug)]
pub struct Http2Config {
    /// Streams, hence calls, that a peer may have open at once; announced in SETTINGS. One more is
    /// answered RST_STREAM(REFUSED_STREAM), which clients retry. Default 1,000.
    pub max_concurrent_streams: u32,
    /// Bytes a peer may send on one stream before the handler takes them; one more is answered
    /// RST_STREAM(FLOW_CONTROL_ERROR). Default 256 KiB.
    pub stream_window: u32,
    /// Bytes a peer may send on all streams together before handlers take them. At least four times
    /// `stream_window`, so that one unread stream cannot starve the others. Default 16 MiB.
    pub connection_window: u32,
    /// The largest frame payload we accept, 16 KiB to 16 MiB; announced in SETTINGS. Default 16 KiB.
    pub max_frame_size: u32,
    /// Memory that unread DATA frames may cost h2 beyond their bytes, before it gives up on the
    /// connection with GOAWAY(ENHANCE_YOUR_CALM). What small frames of streams that were reset cost is
    /// never given back: when that is half of it, the connection is drained instead. Default 32 MiB.
    pub data_frame_budget: usize,
    /// Streams already reset that h2 remembers, so that late frames for them are no fault. Those for
    /// others are answered RST_STREAM(STREAM_CLOSED). Default 1,000.
    pub max_concurrent_reset_streams: usize,
    /// How long h2 remembers them, by the clock of the system: paused time does not stop it.
    /// Default 2 s.
    pub reset_stream_duration: Duration,
    /// Resets that h2 may owe to a peer's faults over the life of a connection before it says
    /// GOAWAY(ENHANCE_YOUR_CALM); at half of it the connection is drained instead. Default 10,000.
    pub max_local_error_reset_streams: usize,
    /// Header bytes, in RFC 9113 count, that h2 accepts at all; announced in SETTINGS. From it on
    /// h2 answers 431, which is counted if the request is to go on; far above it ends the connection.
    /// Default 64 KiB.
    pub max_header_list_size: u32,
    /// Header bytes, in RFC 9113 count, that a call may bring: RESOURCE_EXHAUSTED. Default 16 KiB.
    pub max_metadata_size: usize,
    /// Header fields that a call may bring: RESOURCE_EXHAUSTED. Default 256.
    pub max_metadata_pairs: usize,
    /// Bytes of one stream that may wait inside h2 for the socket; the sender then waits.
    /// Default 64 KiB.
    pub stream_send_buffer: usize,
    /// Bytes of all streams together that may wait inside h2 for the socket; the senders then wait.
    /// Default 8 MiB.
    pub connection_send_buffer: usize,
    /// From accept to preface and first SETTINGS, after any TLS handshake: closed. Default 10 s.
    pub preface_timeout: Duration,
    /// From our SETTINGS to their acknowledgement: GOAWAY(SETTINGS_TIMEOUT). Default 30 s.
    pub settings_ack_timeout: Duration,
    /// From the first to the last byte of one header block: GOAWAY(ENHANCE_YOUR_CALM). Default 10 s.
    pub header_block_timeout: Duration,
    /// A peer that takes no byte of a reply for so long loses the call: RST_STREAM(CANCEL).
    /// Default 300 s.
    pub send_stall_timeout: Duration,
    /// When requests that no handler reads have used up the connection's window for so long, the one
    /// that was left unread the longest ends with RESOURCE_EXHAUSTED. Default 10 s.
    pub stalled_stream_timeout: Duration,
    /// After this silence of the peer we send a PING. `None` never asks. Default 300 s.
    pub keepalive_time: Option<Duration>,
    /// How long the PING may stay unanswered before the connection is closed. Where keepalive is on,
    /// Linux gives up as soon on a peer whose socket takes nothing (TCP_USER_TIMEOUT). Default 20 s.
    pub keepalive_timeout: Duration,
    /// How often a peer may send PING while it has calls; without calls, every two hours.
    /// Default 300 s, as gRPC's keepalive document has it.
    pub min_ping_interval: Duration,
    /// PINGs too early that are forgiven; the next one earns GOAWAY(ENHANCE_YOUR_CALM) with the text
    /// `too_many_pings`. Default 2.
    pub max_ping_strikes: u32,
    /// PINGs a peer may send. One before which, since the last PING, we sent HEADERS or DATA costs
    /// nothing: clients measure bandwidth so. Past it: GOAWAY(ENHANCE_YOUR_CALM) with the text
    /// `too_many_pings`. Default 100, and 10 more each second.
    pub pings: Rate,
    /// SETTINGS frames: GOAWAY(ENHANCE_YOUR_CALM). Default 100, and 10 more each second.
    pub settings_frames: Rate,
    /// PRIORITY frames, unknown frames, unasked PING acknowledgements: GOAWAY(ENHANCE_YOUR_CALM).
    /// Default 1,000, and 100 more each second.
    pub idle_frames: Rate,
    /// WINDOW_UPDATE frames beyond ten for each HEADERS or DATA frame of ours, and one for each four
    /// bytes of DATA:
    /// GOAWAY(ENHANCE_YOUR_CALM). Default 1,000.
    pub window_update_slack: u64,
    /// Streams that the peer resets before we began to answer: GOAWAY(ENHANCE_YOUR_CALM).
    /// Default 10,000, and 1,000 more each second.
    pub cancelled_streams: Rate,
    /// Streams that we must reset for a fault of the peer: GOAWAY(ENHANCE_YOUR_CALM).
    /// Default 200, and 10 more each second.
    pub faulty_streams: Rate,
    /// Closed after so long without a call: GOAWAY(NO_ERROR). Default `None`.
    pub max_connection_idle: Option<Duration>,
    /// Drained at this age, give or take a tenth: GOAWAY(NO_ERROR). Default `None`.
    pub max_connection_age: Option<Duration>,
    /// How long calls may go on after that; `None`: until they end. Default `None`.
    pub max_connection_age_grace: Option<Duration>,
    /// How long a drain waits for the answer to its PING before it refuses new streams.
    /// Default 5 s.
    pub drain_ping_timeout: Duration,
    /// How long we read and discard after our last GOAWAY, so that a TCP reset does not eat it.
    /// Default 1 s.
    pub goaway_linger: Duration,
    /// How long an unread request may go on after its answer is complete, so that its late frames
    /// are no fault: what comes is thrown away; then RST_STREAM(NO_ERROR). Default 1 s.
    pub early_answer_linger: Duration,
    /// Whether a call runs at once inside its connection's task until it first waits.
    pub first_poll: FirstPoll,
}

/// Where a call runs until it first waits. From then on it has a task of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstPoll {
    /// In the task of its connection: a handler that never waits costs no task. A handler that
    /// computes for long delays the other calls of its connection.
    Inline,
    /// In a task of its own from the start, for handlers that compute.
    Spawned,
}

impl Default for Http2Config {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 1_000,
            stream_window: 256 * 1024,
            connection_window: 16 * 1024 * 1024,
            max_frame_size: 16 * 1024,
            data_frame_budget: 32 * 1024 * 1024,
            max_concurrent_reset_streams: 1_000,
            reset_stream_duration: Duration::from_secs(2),
            max_local_error_reset_streams: 10_000,
            max_header_list_size: 64 * 1024,
            max_metadata_size: 16 * 1024,
            max_metadata_pairs: 256,
            stream_send_buffer: 64 * 1024,
            connection_send_buffer: 8 * 1024 * 1024,
            preface_timeout: Duration::from_secs(10),
            settings_ack_timeout: Duration::from_secs(30),
            header_block_timeout: Duration::from_secs(10),
            send_stall_timeout: Duration::from_secs(300),
            stalled_stream_timeout: Duration::from_secs(10),
            keepalive_time: Some(Duration::from_secs(300)),
            keepalive_timeout: Duration::from_secs(20),
            min_ping_interval: Duration::from_secs(300),
            max_ping_strikes: 2,
            pings: Rate {
                burst: 100,
                per_second: 10,
            },
            settings_frames: Rate {
                burst: 100,
                per_second: 10,
            },
            idle_frames: Rate {
                burst: 1_000,
                per_second: 100,
            },
            window_update_slack: 1_000,
            cancelled_streams: Rate {
                burst: 10_000,
                per_second: 1_000,
            },
            faulty_streams: Rate {
                burst: 200,
                per_second: 10,
            },
            max_connection_idle: None,
            max_connection_age: None,
            max_connection_age_grace: None,
            drain_ping_timeout: Duration::from_secs(5),
            goaway_linger: Duration::from_secs(1),
            early_answer_linger: Duration::from_secs(1),
            first_poll: FirstPoll::Inline,
        }
    }
}

impl Http2Config {
    /// What the connection's frames are counted against.
    pub(super) fn frame_limits(&self) -> FrameLimits {
        FrameLimits {
            window_update_slack: self.window_update_slack,
            pings: self.pings,
            ping_policy: Some(PingPolicy::new(
                self.min_ping_interval,
                self.max_ping_strikes,
            )),
            settings_frames: self.settings_frames,
            idle_frames: self.idle_frames,
            faulty_streams: Some(self.faulty_streams),
            header_blocks: None,
            header_blocks_each: None,
            remembered: Remembered {
                streams: self.max_concurrent_reset_streams,
                duration: self.reset_stream_duration,
            },
            max_local_error_reset_streams: self.max_local_error_reset_streams,
            data_frame_budget: self.data_frame_budget,
        }
    }

    /// Says what is wrong with this configuration, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        check_windows(self.stream_window, self.connection_window)?;
        check_frame_size(self.max_frame_size)?;
        if self.max_concurrent_streams == 0 {
            return Err("max_concurrent_streams is 0, but must be at least 1".to_owned());
        }
        if self.stream_send_buffer == 0 {
            return Err("stream_send_buffer is 0, but must be at least 1".to_owned());
        }
        if self.connection_send_buffer == 0 {
            return Err("connection_send_buffer is 0, but must be at least 1".to_owned());
        }
        Ok(())
    }
}
