//! Faults: what may go wrong with a peer, a call or a machine, what is required then, and the tests that
//! provoke it.
//!
//! Where a connection must live on, a call is open on it before the fault and ends well after it: the
//! neighbour. Beside it all a canary calls on a connection of its own, and never fails. `scene` has both.
//!
//! `module::name` is a test of this suite, `suite::module::name` one of another. `table` checks that each
//! of them is there, and that no test of a row is left out.
//!
//! | row | fault | what is required | tests |
//! |---|---|---|---|
//! | f01 | TLS, junk or HTTP/1 on a port without TLS | closed within a second of the bytes; counted by kind; one line of the log in ten seconds | `requests::f01_what_is_not_http2_is_closed_and_counted_by_kind` `calls::faults::p281_tls_and_junk_on_a_plain_port_are_closed_at_once` `calls::faults::p281_http1_gets_one_line_of_http1` `calls::strangers::one_line_in_ten_seconds_tells_of_all` |
//! | f02 | `:path` is not `/service/method` | UNIMPLEMENTED before any interceptor; all layers see the one string that was checked; the last slash parts the names, so that `/a/b/C` is of the service `a/b` | `requests::f02_a_path_is_checked_before_any_interceptor_and_is_one_for_all` `calls::faults::p020_paths_are_matched_byte_for_byte` |
//! | f03 | not POST, not application/grpc | 405, 415, in words | `requests::f03_what_is_no_grpc_gets_405_or_415_in_words` |
//! | f04 | a flag above 1; flag 1 without a coding; gzip that is broken, of two members, or followed by bytes; a message cut; no protobuf | INTERNAL | `requests::f04_a_message_that_cannot_be_read_is_internal_at_a_server` `requests::f04_a_message_that_cannot_be_read_is_internal_at_a_client` `client::messages::p087_a_stream_cut_at_any_byte_is_broken` |
//! | f05 | an unknown grpc-encoding | UNIMPLEMENTED, and grpc-accept-encoding; of a response, INTERNAL | `requests::f05_an_unknown_coding_is_unimplemented_and_the_known_ones_are_told` `requests::f05_an_unknown_coding_of_a_response_is_internal` |
//! | f06 | no message or several where one is due, at either side | UNIMPLEMENTED | `requests::f06_no_message_or_two_where_one_is_due_are_unimplemented_at_a_server` `requests::f06_no_message_or_two_where_one_is_due_are_unimplemented_at_a_client` |
//! | f07 | `-bin` that is no base64, two `:authority`, a bad grpc-timeout | INTERNAL for that call | `requests::f07_a_field_that_cannot_be_read_ends_its_call_alone` `requests::f07_a_value_that_a_client_cannot_read_ends_its_call_alone` `client::resets::p117_each_reset_becomes_its_code_at_each_moment` |
//! | f08 | grpc-timeout of 0, or over a hundred years | DEADLINE_EXCEEDED before the handler; cut, by checked arithmetic | `requests::f08_a_timeout_of_zero_runs_no_handler_and_a_long_one_is_cut` `requests::f08_a_client_sends_no_call_that_is_late_and_no_timeout_that_is_too_long` |
//! | f09 | an answer that is not gRPC | its HTTP status mapped; its body never read as messages, at most 1 KiB quoted | `answers::f09_an_answer_that_is_not_grpc_is_mapped_and_quoted_and_never_read_as_messages` `client::statuses::p111_without_grpc_status_the_http_status_is_looked_up` |
//! | f10 | grpc-status is missing, or no number | UNKNOWN; if the stream was cut, INTERNAL | `answers::f10_without_a_number_for_a_status_nothing_is_a_success` |
//! | f11 | trailers above `max_metadata_size` | RESOURCE_EXHAUSTED, never OK | `answers::f11_trailers_over_the_limit_are_resource_exhausted_and_never_ok` `client::limits::p067_p272_trailers_of_any_size_are_never_cut_without_a_word` |
//! | f12 | bad percent-encoding in grpc-message | kept as it came | `answers::f12_a_text_in_bad_percent_encoding_is_kept_as_it_came` |
//! | f13 | a handler panics | UNKNOWN, and nothing of its words; the slot is free, connection and process live; counted | `ends::f13_a_handler_that_panics_is_unknown_and_tells_nothing` `calls::regressions::a_service_that_panics_at_once_ends_one_call` |
//! | f14 | a client goes away, cancels, or is out of time | the handler is dropped within 50 ms; nothing is sent after | `ends::f14_a_handler_is_dropped_within_50_ms` `ends::f14_a_call_that_is_given_up_drops_its_handler_and_nothing_is_sent_after` `ends::f14_a_deadline_drops_the_handler_and_nothing_is_sent_after` `ends::f14_a_client_that_goes_away_drops_its_handlers` |
//! | f15 | cancelled when it is complete | one outcome; a complete response stays OK | `ends::f15_a_complete_response_stays_ok_though_the_caller_gives_up` `ends::f15_cancel_against_completion_has_one_outcome_on_each_side` `client::responses::p103_a_reset_after_complete_trailers_changes_nothing` |
//! | f16 | FIN, RST, a peer that is killed | UNAVAILABLE at a client, handlers dropped at a server within a second | `ends::f16_both_sides_know_within_a_second_that_a_connection_is_cut` `ends::f16_a_connection_that_is_cut_ends_its_calls_on_both_sides` `ends::f16_a_server_that_is_killed_is_unavailable` `ends::f16_a_client_that_is_killed_drops_its_handlers` |
//! | f17 | GOAWAY below a stream, REFUSED_STREAM, never sent | made again unseen: once where a server saw it, until the deadline where none did | `ends::f17_what_the_server_has_not_seen_is_made_again_unseen_by_the_caller` `client::transparent_retry::p166_what_never_left_is_sent_as_often_as_it_takes` `client::transparent_retry::p166_the_deadline_covers_all_attempts` |
//! | f18 | the connection is lost when the request was sent | UNAVAILABLE; tried again by policy alone | `ends::f18_a_connection_lost_after_the_request_is_unavailable_and_not_tried_again` `ends::f18_a_connection_lost_after_the_request_is_tried_again_where_a_policy_says_so` |
//! | f19 | a connection that takes no more streams after GOAWAY(NO_ERROR) | a new one at once; no call fails | `ends::f19_after_goaway_a_new_connection_takes_over_and_no_call_fails` `client::goaway::p279_a_proxy_that_recycles_connections_is_not_noticed` |
//! | f20 | SIGTERM, SIGINT | NOT_SERVING, GOAWAY of 2^31-1 and a PING, the last GOAWAY; calls end; exit 0; a second signal: exit 143, 130 | `signals::f20_sigterm_and_sigint_drain_in_two_steps_and_lose_no_call` `signals::f20_a_second_signal_ends_it_at_once` |
//! | f21 | SIGPIPE, outputs closed or full | neither a panic nor an exit | `signals::f21_neither_sigpipe_nor_closed_outputs_nor_a_full_disk_end_it` `cli::stop::it_goes_on_when_nobody_listens_to_it_any_more` |
//! | f22 | no h2 by ALPN, bad certificates, none where one is due, TLS below 1.2 | no handshake on either side; UNAVAILABLE with the reason, however late it comes | `tls::f22_a_handshake_that_fails_fails_on_both_sides_with_its_reason` `tls::f22_a_version_below_1_2_is_refused_with_its_alert` `tls::f22_a_server_that_resets_after_the_handshake_may_miss_a_certificate` `client::tls::p004_a_server_of_tls_1_1_is_none` |
//! | f23 | the wall clock jumps | nothing but certificates notices | `tls::f23_a_clock_that_jumps_is_noticed_by_certificates_alone` `tls::f23_nothing_but_tls_looks_at_the_wall_clock` |
//! | f24 | h2 repeats the error of a stream | the first one ends the call | `answers::f24_the_first_error_of_a_stream_ends_it_at_a_client` `answers::f24_the_first_error_of_a_stream_ends_it_at_a_server` |
//! | f25 | an illegal field name, DATA after END_STREAM, an error of HPACK | the connection ends: h2 has no other way, but for DATA behind trailers at a client | `fatal::f25_what_h2_takes_for_a_fault_of_the_connection_ends_it_at_a_server` `fatal::f25_what_h2_takes_for_a_fault_of_the_connection_ends_it_at_a_client` `fatal::f25_data_behind_trailers_is_borne_by_a_client` `calls::malformed::fields_are_made_of_what_they_may_be_made_of` |
//! | s1 | deadlines that race answers, 100,000 calls | one outcome each; 99.9 % of the handlers dropped within 50 ms | `many::s1_deadlines_that_race_answers_have_one_outcome_each` `many::s1_deadlines_that_race_answers_on_two_threads_have_one_outcome_each` |
//! | s2 | requests of 10 KB through windows of 64 KiB, 10,000 by 1 to 1,000 at once | an answer every two seconds | `many::s2_requests_that_share_small_windows_make_progress` |
//! | s3 | 1,000 panics among 10,000 calls | 1,000 UNKNOWN, 9,000 OK, the connection lives | `many::s3_panics_among_calls_end_those_calls_alone` |

#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has said what is wrong"
)]

mod answers;
mod canary;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
#[path = "../calls/chance.rs"]
mod chance;
mod ends;
mod fatal;
#[allow(
    dead_code,
    reason = "shared with the client's tests, which use other parts"
)]
#[path = "../client/support/frames.rs"]
mod frames;
#[allow(dead_code, reason = "each suite uses some of it")]
#[path = "../client/support/identities.rs"]
mod identities;
mod many;
#[allow(dead_code, reason = "it is shared with the tests of the command")]
#[path = "../cli/process.rs"]
mod process;
#[allow(
    dead_code,
    reason = "shared with the client's tests, which use other parts"
)]
#[path = "../client/support/raw_server.rs"]
mod raw_server;
mod requests;
#[allow(dead_code, reason = "each module uses some of it")]
mod scene;
mod signals;
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use other parts"
)]
#[path = "../calls/support.rs"]
mod support;
mod table;
mod tls;
#[path = "../calls/tokio.rs"]
mod tokio;
