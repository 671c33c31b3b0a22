//! What HTTP/2 may cost a client: windows, limits, timers.
//!
//! A client has chosen whom it talks to, so its limits are wider than a server's. They still exist:
//! a server that went wrong must not take its clients along.

use std::time::Duration;

use super::frame_counts::FrameLimits;
use super::large_blocks::{BlockMeasure, LargeBlocks};
use super::late_frames::Remembered;
use super::limits::{check_frame_size, check_windows};
use super::rate::Rate;

/// The HTTP/2 side of a client, per connection. Plain data: change fields of [`Default::default`].
#[derive(Clone, Debug)]
pub struct ClientHttp2Config {
    /// Bytes a server may send on one stream before the caller takes them. Default 1 MiB.
    pub stream_window: u32,
    /// Bytes a server may send on all streams together before callers take them. At least four times
    /// `stream_window`, so that one unread stream cannot starve the others. Once callers leave so much
    /// unread, on 32 streams or more, all calls of the connection wait until one of these is read or
    /// dropped. Default 32 MiB.
    pub connection_window: u32,
    /// The largest frame payload we accept, 16 KiB to 16 MiB; announced in SETTINGS. Default 16 KiB.
    pub max_frame_size: u32,
    /// Memory that unread DATA frames may cost h2 beyond their bytes, before it gives up on the
    /// connection with GOAWAY(ENHANCE_YOUR_CALM): 256 bytes for a frame that is smaller than that. So
    /// some 260,000 small frames that no caller reads end the connection. What those of cancelled calls
    /// cost is never given back: when that is half of it, calls go to a new connection. Default 64 MiB.
    pub data_frame_budget: usize,
    /// Streams already reset that h2 remembers, so that late frames for them are no fault. Those for
    /// others are answered RST_STREAM(STREAM_CLOSED). Default 10,000.
    pub max_concurrent_reset_streams: usize,
    /// How long h2 remembers them, by the clock of the system: paused time does not stop it.
    /// Default 5 s.
    pub reset_stream_duration: Duration,
    /// Resets of our own over the life of a connection, late frames of cancelled calls among them,
    /// before h2 says GOAWAY(ENHANCE_YOUR_CALM); at half of it calls go to a new connection. Default
    /// 100,000.
    pub max_local_error_reset_streams: usize,
    /// Header bytes, in RFC 9113 count, that h2 accepts at all; announced in SETTINGS. Above it the
    /// stream is reset, far above it the connection ends. Default 64 KiB.
    pub max_header_list_size: u32,
    /// Header bytes, in RFC 9113 count, that a response's headers and its trailers may have, each:
    /// RESOURCE_EXHAUSTED. At most a quarter of `max_header_list_size`, so that what h2 cuts is never
    /// mistaken for the whole. Default 16 KiB.
    pub max_metadata_size: usize,
    /// Header fields that a response's headers and its trailers may have, each:
    /// RESOURCE_EXHAUSTED. Default 256.
    pub max_metadata_pairs: usize,
    /// Interim responses (1xx) on one stream: the call ends with UNAVAILABLE. Default 16.
    pub max_interim_responses: u32,
    /// Bytes of one stream that may wait inside h2 for the socket; the sender then waits.
    /// Default 256 KiB.
    pub stream_send_buffer: usize,
    /// Streams that we open at most at once on one connection, where the server would take more.
    /// Default 1,000,000: in fact as many as the server takes.
    pub max_concurrent_streams: u32,
    /// After this silence of the server we send a PING. `None`, the default, never asks. Less than
    /// ten seconds acts as ten. gRFC A8.
    pub keepalive_time: Option<Duration>,
    /// How long the PING may stay unanswered before the connection is closed: its calls end with
    /// UNAVAILABLE. Where keepalive is on, Linux gives up as soon on a server whose socket takes
    /// nothing (TCP_USER_TIMEOUT). Default 20 s.
    pub keepalive_timeout: Duration,
    /// Whether we ask also while no call is under way. Servers may forbid it. Default: no.
    pub keepalive_without_calls: bool,
    /// How long a connection that is no longer needed may take to say GOAWAY. Default 1 s.
    pub goaway_linger: Duration,
    /// PINGs a server may send. One before which, since the last PING, we sent HEADERS or DATA costs
    /// nothing. Past it the connection is closed. Default 1,000, and 100 more each second.
    pub pings: Rate,
    /// SETTINGS frames; past it the connection is closed. Default 100, and 10 more each second.
    pub settings_frames: Rate,
    /// PRIORITY frames, unknown frames, unasked PING acknowledgements; past it the connection is
    /// closed. Default 1,000, and 100 more each second.
    pub idle_frames: Rate,
    /// WINDOW_UPDATE frames beyond ten for each HEADERS or DATA frame of ours, and one for each four
    /// bytes of DATA:
    /// the connection is closed. Default 10,000.
    pub window_update_slack: u64,
    /// Stream ids that a connection uses up before it is replaced. Default three quarters of 2^31,
    /// as grpc-go has it.
    pub stream_id_limit: u32,
}

impl Default for ClientHttp2Config {
    fn default() -> Self {
        Self {
            stream_window: 1024 * 1024,
            connection_window: 32 * 1024 * 1024,
            max_frame_size: 16 * 1024,
            data_frame_budget: 64 * 1024 * 1024,
            max_concurrent_reset_streams: 10_000,
            reset_stream_duration: Duration::from_secs(5),
            max_local_error_reset_streams: 100_000,
            max_header_list_size: 64 * 1024,
            max_metadata_size: 16 * 1024,
            max_metadata_pairs: 256,
            max_interim_responses: 16,
            stream_send_buffer: 256 * 1024,
            max_concurrent_streams: 1_000_000,
            keepalive_time: None,
            keepalive_timeout: Duration::from_secs(20),
            keepalive_without_calls: false,
            goaway_linger: Duration::from_secs(1),
            pings: Rate {
                burst: 1_000,
                per_second: 100,
            },
            settings_frames: Rate {
                burst: 100,
                per_second: 10,
            },
            idle_frames: Rate {
                burst: 1_000,
                per_second: 100,
            },
            window_update_slack: 10_000,
            stream_id_limit: (1 << 31) / 4 * 3,
        }
    }
}

/// What keepalive time acts as where less is asked for. gRFC A8 §Client Settings.
const SHORTEST_KEEPALIVE: Duration = Duration::from_secs(10);

impl ClientHttp2Config {
    /// Says what is wrong with this configuration, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        check_windows(self.stream_window, self.connection_window)?;
        check_frame_size(self.max_frame_size)?;
        let (list, metadata) = (self.max_header_list_size, self.max_metadata_size);
        if usize::try_from(list / 4).is_ok_and(|quarter| quarter < metadata) {
            return Err(format!(
                "max_header_list_size is {list}, but must be at least four times \
                 max_metadata_size ({metadata})"
            ));
        }
        if self.max_concurrent_streams == 0 {
            return Err("max_concurrent_streams is 0, but must be at least 1".to_owned());
        }
        if self.stream_send_buffer == 0 {
            return Err("stream_send_buffer is 0, but must be at least 1".to_owned());
        }
        Ok(())
    }

    /// The keepalive time that holds.
    pub(crate) fn keepalive(&self) -> Option<Duration> {
        self.keepalive_time.map(|time| time.max(SHORTEST_KEEPALIVE))
    }

    /// What the connection's frames are counted against. How often a server asks whether we are alive
    /// is its own affair, within reason.
    pub(super) fn frame_limits(&self, large: LargeBlocks) -> FrameLimits {
        FrameLimits {
            window_update_slack: self.window_update_slack,
            pings: self.pings,
            ping_policy: None,
            settings_frames: self.settings_frames,
            idle_frames: self.idle_frames,
            faulty_streams: None,
            header_blocks: Some(BlockMeasure::new(self.max_metadata_size, large)),
            // Those before the response, its first one and its trailers.
            header_blocks_each: Some(u64::from(self.max_interim_responses).saturating_add(2)),
            remembered: Remembered {
                streams: self.max_concurrent_reset_streams,
                duration: self.reset_stream_duration,
            },
            max_local_error_reset_streams: self.max_local_error_reset_streams,
            data_frame_budget: self.data_frame_budget,
        }
    }
}
