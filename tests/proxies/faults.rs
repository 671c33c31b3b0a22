//! A call that goes wrong is that call's business: clients whose calls share its connection to the
//! server notice nothing.
//!
//! ```text
//!  attacker ── one fault after the other ──▶ proxy ── one connection, counted ──▶ server
//!  victim ─── a stream, and calls beside it ─▶
//! ```
//!
//! Envoy puts the calls of all clients on one connection, and haproxy does if it is told to. nginx has
//! one call at a time on each connection, so there is nothing to share; that too is checked, by their
//! number.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use barewire::ServerConfig;
use bytes::Bytes;
use socket2::SockRef;

use crate::check::Check;
use crate::proxy::{Kind, Proxy, Security};
use crate::site::{Backend, Site, Wire, server};
use crate::support::{Answer, Call, Client, Seen, connect, encoded};
use crate::victim::Victim;

pub(crate) fn checks() -> Vec<Check> {
    FAULTS
        .iter()
        .map(|(name, fault)| {
            let check = Check::named(
                format!("faults::{name}"),
                async |site: &Site| run(site, *fault).await,
            );
            match *name {
                "a_client_that_does_not_read" => check.except(
                    Kind::Haproxy,
                    &Security::ALL,
                    "a stream that is not read holds up its connection to the server, which others share \
                     (haproxy/haproxy#2853); with `http-reuse never` they do not",
                ),
                _ => check,
            }
        })
        .collect()
}

/// Makes a fault some times, by one client. Panics if the server did not see it.
type Fault = for<'a> fn(&'a Attack<'a>) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

#[rustfmt::skip]
const FAULTS: &[(&str, Fault)] = &[
    ("a_storm_of_cancelled_calls",       |attack| Box::pin(attack.cancels())),
    ("deadlines_that_pass",              |attack| Box::pin(attack.deadlines())),
    ("a_flag_that_is_none",              |attack| Box::pin(attack.is_refused(&[], &[2, 0, 0, 0, 1, b'x'], "13"))),
    ("a_flag_without_a_coding",          |attack| Box::pin(attack.is_refused(&[], &[1, 0, 0, 0, 1, b'x'], "13"))),
    ("a_message_that_does_not_unpack",   |attack| Box::pin(attack.is_refused(GZIP, &[1, 0, 0, 0, 1, b'x'], "13"))),
    ("a_message_that_is_cut",            |attack| Box::pin(attack.is_refused(&[], &[0, 0, 0, 0, 9, b'x'], "13"))),
    ("a_message_that_does_not_decode",   |attack| Box::pin(attack.is_refused(&[], &[0, 0, 0, 0, 1, 0xff], "13"))),
    ("a_message_that_is_too_large",      |attack| Box::pin(attack.is_refused(&[], &[0, 1, 0, 0, 0, b'x'], "8"))),
    ("no_message",                       |attack| Box::pin(attack.is_refused(&[], &[], "12"))),
    ("a_timeout_that_is_none",           |attack| Box::pin(attack.is_refused(&[("grpc-timeout", "5x")], &[], "13"))),
    ("binary_metadata_that_is_not_base64", |attack| Box::pin(attack.is_refused(&[("some-bin", "!!!")], &[], "13"))),
    ("a_coding_that_nobody_knows",       |attack| Box::pin(attack.is_refused(&[("grpc-encoding", "zip")], &[], "12"))),
    ("a_te_that_is_none",                |attack| Box::pin(attack.ends(&[("te", "gzip")]))),
    ("a_length_that_is_not_kept",        |attack| Box::pin(attack.ends(&[("content-length", "3")]))),
    ("too_much_metadata",                |attack| Box::pin(attack.too_much_metadata())),
    ("a_request_cut_by_a_reset",         |attack| Box::pin(attack.resets())),
    ("answers_before_the_request_ends",  |attack| Box::pin(attack.early_answers())),
    ("handlers_that_panic",              |attack| Box::pin(attack.panics())),
    ("a_client_that_does_not_read",      |attack| Box::pin(attack.does_not_read())),
    ("small_messages_that_are_not_read", |attack| Box::pin(attack.sends_small_messages())),
    ("clients_that_are_gone",            |attack| Box::pin(attack.is_gone())),
];

const GZIP: &[(&str, &str)] = &[("grpc-encoding", "gzip")];

async fn run(site: &Site, fault: Fault) {
    let seen = Arc::new(Seen::default());
    let backend = Backend::start(site, server("one", &seen, ServerConfig::default())).await;
    let wire = Wire::to(backend.port).await;
    let shared = match site.kind {
        Kind::Envoy | Kind::Nginx => &[],
        Kind::Haproxy => HAPROXY_SHARES,
    };
    let proxy = site.changed_proxy(&[wire.port], shared);

    let victim = Victim::start(site.channel(proxy.address)).await;
    let attack = Attack {
        site,
        proxy: &proxy,
        seen: &seen,
        victim: &victim,
    };
    fault(&attack).await;
    victim.stop().await;

    match site.kind {
        Kind::Envoy | Kind::Haproxy => assert_eq!(wire.connections(), 1, "they share one"),
        Kind::Nginx => assert!(wire.connections() > 1, "each call has its own"),
    }
}

/// haproxy puts the calls of all clients on one connection. Who looks whether the server is there would be
/// counted too.
pub(crate) const HAPROXY_SHARES: &[(&str, &str)] = &[
    ("http-reuse never", "http-reuse always"),
    ("default-server check", "default-server"),
];

/// A client that does everything wrong.
struct Attack<'a> {
    site: &'a Site,
    proxy: &'a Proxy,
    seen: &'a Seen,
    victim: &'a Victim,
}

impl Attack<'_> {
    async fn client(&self) -> Client {
        self.site.client(self.proxy.address).await
    }

    /// Calls with these headers and these bytes end with this code, said by the server.
    async fn is_refused(&self, headers: &[(&str, &str)], bytes: &'static [u8], code: &str) {
        let client = self.client().await;
        for _ in 0..MANY_ROUNDS {
            let mut call = client.start("Echo", headers).await;
            call.send_bytes(Bytes::from_static(bytes)).await;
            let answer = call.finish().await;
            assert_eq!(answer.code(), Some(code), "{answer:?}");
        }
        self.victim.goes_on().await;
    }

    /// Calls with these headers end. Whether the proxy or the server sees to it is theirs to settle.
    async fn ends(&self, headers: &[(&str, &str)]) {
        let mut calls = Vec::new();
        for _ in 0..MANY_ROUNDS {
            // The proxy may think that the connection is at fault.
            let client = self.client().await;
            let mut call = client.start("Echo", headers).await;
            call.send_bytes(encoded("x")).await;
            calls.push((client, call));
        }
        for (_client, call) in calls {
            call.finish().await;
        }
        self.victim.goes_on().await;
    }

    async fn cancels(&self) {
        let client = self.client().await;
        for _ in 0..10 {
            let mut calls = Vec::new();
            for _ in 0..ROUNDS {
                calls.push(client.start("Never", &[]).await);
            }
            let all = |seen: &Seen| seen.running() > ROUNDS;
            self.seen.wait_for("all of them", all).await;
            for mut call in calls {
                call.send.send_reset(h2::Reason::CANCEL);
            }
            // The victim's stream is left.
            self.handlers_end().await;
        }
        self.victim.goes_on().await;
    }

    async fn deadlines(&self) {
        let client = self.client().await;
        let mut calls: Vec<Call> = Vec::new();
        for _ in 0..ROUNDS {
            calls.push(client.start("Never", &[("grpc-timeout", "20m")]).await);
        }
        for call in calls {
            let answer = call.answer().await;
            assert_eq!(answer.code(), Some("4"), "{answer:?}");
        }
        self.handlers_end().await;
    }

    async fn too_much_metadata(&self) {
        let client = self.client().await;
        let value = "x".repeat(10_000);
        for _ in 0..ROUNDS {
            let call = client
                .start("Echo", &[("one", &value), ("two", &value)])
                .await;
            let answer = call.finish().await;
            assert_eq!(answer.code(), Some("8"), "{answer:?}");
        }
    }

    async fn resets(&self) {
        let client = self.client().await;
        for reason in [
            h2::Reason::CANCEL,
            h2::Reason::INTERNAL_ERROR,
            h2::Reason::PROTOCOL_ERROR,
        ] {
            for _ in 0..ROUNDS {
                let begun = self.seen.begun();
                let mut call = client.start("Sum", &[]).await;
                call.send_bytes(Bytes::from_static(&[0, 0, 0, 0, 9, b'x']))
                    .await;
                self.seen
                    .wait_for("a call", |seen| seen.begun() > begun)
                    .await;
                call.send.send_reset(reason);
            }
        }
        self.handlers_end().await;
    }

    async fn early_answers(&self) {
        let client = self.client().await;
        for _ in 0..ROUNDS {
            let mut call = client.start("Refuse", &[]).await;
            call.send_bytes(vec![0; 200_000].into()).await;
            let answer: Answer = call.answer().await;
            assert_eq!(answer.code(), Some("7"), "{answer:?}");
        }
        self.handlers_end().await;
    }

    async fn panics(&self) {
        let client = self.client().await;
        for method in ["Panic", "PanicLate"] {
            for _ in 0..ROUNDS {
                let answer = client.call(method, &["x"]).await;
                assert_eq!(answer.code(), Some("2"), "{answer:?}");
            }
        }
        self.handlers_end().await;
    }

    /// Streams without end whose windows stay shut once they are full.
    async fn does_not_read(&self) {
        let client = self.client().await;
        // It fills the window of the client's connection.
        let mut first = client.start("Flood", &[]).await;
        first.send_bytes(encoded("x")).await;
        let mut answer = first.response.await.unwrap().into_body();
        assert!(answer.data().await.is_some(), "it floods");
        let mut calls = Vec::new();
        for _ in 0..ROUNDS {
            let mut call = client.start("Flood", &[]).await;
            call.send_bytes(encoded("x")).await;
            calls.push(call);
        }
        let all = |seen: &Seen| seen.running() > ROUNDS;
        self.seen.wait_for("all of them", all).await;
        self.victim.goes_on().await;
        drop((first.send, answer, calls));
        self.handlers_end().await;
    }

    /// More of them than a proxy may like to keep waiting.
    async fn sends_small_messages(&self) {
        let client = self.client().await;
        let mut calls = Vec::new();
        for _ in 0..4 {
            let mut call = client.start("Never", &[]).await;
            // Less than the smallest window.
            for _ in 0..8_000 {
                call.send_message("x").await;
            }
            calls.push(call);
        }
        self.victim.goes_on().await;
        drop(calls);
        self.handlers_end().await;
    }

    async fn is_gone(&self) {
        for _ in 0..10 {
            let io = connect(self.proxy.address).await;
            // It goes as one that has crashed: TCP says RST.
            SockRef::from(&io).set_linger(Some(Duration::ZERO)).unwrap();
            let client = Client::over(self.site.secured(io).await).await;
            let begun = self.seen.begun();
            let mut calls = Vec::new();
            for _ in 0..5 {
                let mut call = client.start("Begin", &[]).await;
                call.send_bytes(Bytes::from_static(&[0, 0, 0, 0, 9, b'x']))
                    .await;
                calls.push(call);
            }
            self.seen
                .wait_for("calls", |seen| seen.begun() >= begun + 5)
                .await;
            drop((calls, client));
            self.handlers_end().await;
        }
    }

    /// Waits until no handler runs but those of the victim.
    async fn handlers_end(&self) {
        let few = |seen: &Seen| seen.running() <= 2;
        self.seen.wait_for("handlers end", few).await;
        self.victim.goes_on().await;
    }
}

const ROUNDS: usize = 20;
/// More than a server allows a connection of faults that it must reset.
const MANY_ROUNDS: usize = 300;
