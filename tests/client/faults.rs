//! `transport::faults`.

use std::io::ErrorKind;
use std::time::Duration;

use barewire::faults::{Fault, Faults, FaultyIo, OneWay};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout};

use crate::tokio;

const LONG: Duration = Duration::from_secs(60 * 60);

/// A faulty end of a pipe, and the other one.
fn pipe(faults: Faults) -> (FaultyIo<DuplexStream>, DuplexStream) {
    let (near, far) = tokio::io::duplex(64);
    (FaultyIo::new(near, faults), far)
}

fn inbound(inbound: OneWay) -> Faults {
    Faults {
        inbound,
        ..Faults::default()
    }
}

fn outbound(outbound: OneWay) -> Faults {
    Faults {
        outbound,
        ..Faults::default()
    }
}

fn at(byte: u64, fault: Fault) -> OneWay {
    OneWay {
        fault_at: Some((byte, fault)),
        ..OneWay::default()
    }
}

/// All that comes, and how it ends: with the end of the stream, an error, or never.
async fn read_all(
    io: &mut (impl AsyncReadExt + Unpin),
) -> (Vec<u8>, Option<Result<(), ErrorKind>>) {
    let mut bytes = Vec::new();
    loop {
        match timeout(LONG, io.read_buf(&mut bytes)).await {
            Ok(Ok(0)) => return (bytes, Some(Ok(()))),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return (bytes, Some(Err(error.kind()))),
            Err(_) => return (bytes, None),
        }
    }
}

/// How writing ends.
async fn write_all(
    io: &mut (impl AsyncWriteExt + Unpin),
    bytes: &[u8],
) -> Option<Result<(), ErrorKind>> {
    let written = timeout(LONG, io.write_all(bytes)).await;
    written
        .ok()
        .map(|written| written.map_err(|error| error.kind()))
}

#[tokio::test(start_paused = true)]
async fn without_faults_all_passes_at_once() {
    let (mut near, mut far) = pipe(Faults::default());
    let start = Instant::now();
    near.write_all(b"there").await.unwrap();
    far.write_all(b"and back").await.unwrap();
    let mut bytes = [0; 5];
    far.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"there");
    far.shutdown().await.unwrap();
    assert_eq!(
        read_all(&mut near).await,
        (b"and back".to_vec(), Some(Ok(())))
    );
    near.shutdown().await.unwrap();
    assert_eq!(read_all(&mut far).await, (Vec::new(), Some(Ok(()))));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(
        (near.handle().read_bytes(), near.handle().written_bytes()),
        (8, 5)
    );
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn what_is_read_stops_at_its_byte() {
    let cases: &[(u64, Fault, &str, Option<Result<(), ErrorKind>>)] = &[
        // at    fault          arrives        and then
        (0,      Fault::Cut,    "",            Some(Ok(()))),
        (3,      Fault::Cut,    "hel",         Some(Ok(()))),
        (5,      Fault::Cut,    "hello",       Some(Ok(()))),
        (0,      Fault::Reset,  "",            Some(Err(ErrorKind::ConnectionReset))),
        (3,      Fault::Reset,  "hel",         Some(Err(ErrorKind::ConnectionReset))),
        (3,      Fault::Stall,  "hel",         None),
        (9,      Fault::Reset,  "hello",       Some(Ok(()))),                           // never comes to it
    ];
    for (byte, fault, arrives, end) in cases {
        let (mut near, mut far) = pipe(inbound(at(*byte, *fault)));
        far.write_all(b"hello").await.unwrap();
        drop(far);
        let (bytes, found) = read_all(&mut near).await;
        assert_eq!((bytes.as_slice(), &found), (arrives.as_bytes(), end), "{fault:?} at {byte}");
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn what_is_written_stops_at_its_byte_for_the_peer_too() {
    let cases: &[(u64, Fault, Option<Result<(), ErrorKind>>, &str, Option<Result<(), ErrorKind>>)] = &[
        // at    fault          the writer gets                            the peer gets
        (0,      Fault::Cut,    Some(Err(ErrorKind::BrokenPipe)),          "",        Some(Ok(()))),
        (3,      Fault::Cut,    Some(Err(ErrorKind::BrokenPipe)),          "hel",     Some(Ok(()))),
        (5,      Fault::Cut,    Some(Ok(())),                              "hello",   Some(Ok(()))),  // at once, not with the next byte
        (3,      Fault::Reset,  Some(Err(ErrorKind::ConnectionReset)),     "hel",     Some(Ok(()))),
        (3,      Fault::Stall,  None,                                      "hel",     None),
        (9,      Fault::Cut,    Some(Ok(())),                              "hello",   None),          // never comes to it
    ];
    for (byte, fault, writer, arrives, end) in cases {
        let (mut near, mut far) = pipe(outbound(at(*byte, *fault)));
        assert_eq!(write_all(&mut near, b"hello").await, *writer, "{fault:?} at {byte}");
        let (bytes, found) = read_all(&mut far).await;
        assert_eq!((bytes.as_slice(), &found), (arrives.as_bytes(), end), "{fault:?} at {byte}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dribble_loses_nothing() {
    let dribble = OneWay {
        at_most: Some(1),
        ..OneWay::default()
    };
    let (mut near, mut far) = pipe(Faults {
        inbound: dribble.clone(),
        outbound: dribble,
    });
    assert_eq!(near.write(b"hello").await.unwrap(), 1);
    near.write_all(b"ello").await.unwrap();
    far.write_all(b"world").await.unwrap();
    let mut bytes = [0; 5];
    far.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    for letter in b"world" {
        assert_eq!(near.read(&mut bytes).await.unwrap(), 1);
        assert_eq!(bytes[0], *letter);
    }
}

#[tokio::test(start_paused = true)]
async fn one_byte_is_corrupt_however_the_bytes_are_cut() {
    for at_most in [None, Some(1), Some(2), Some(3)] {
        let faults = OneWay {
            at_most,
            corrupt_at: Some(2),
            ..OneWay::default()
        };
        let (mut near, mut far) = pipe(Faults {
            inbound: faults.clone(),
            outbound: faults,
        });
        near.write_all(&[1, 2, 3, 4]).await.unwrap();
        far.write_all(&[1, 2, 3, 4]).await.unwrap();
        let mut bytes = [0; 4];
        far.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, [1, 2, !3, 4], "{at_most:?}");
        near.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, [1, 2, !3, 4], "{at_most:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_piece_passes_in_one() {
    let (near, mut far) = tokio::io::duplex(4096);
    let mut near = FaultyIo::new(near, Faults::default());
    let mut bytes = vec![7; 4096];
    assert_eq!(near.write(&bytes).await.unwrap(), 4096);
    far.read_exact(&mut bytes).await.unwrap();
    far.write_all(&bytes).await.unwrap();
    assert_eq!(near.read(&mut bytes).await.unwrap(), 4096);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_write_waits_for_room_as_well() {
    let delay = OneWay {
        delay: Some(Duration::from_secs(2)),
        ..OneWay::default()
    };
    let (mut near, mut far) = pipe(outbound(delay));
    let start = Instant::now();
    let writer = tokio::spawn(async move { near.write_all(&[7; 100]).await });
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!writer.is_finished());
    far.read_exact(&mut [0; 100]).await.unwrap();
    writer.await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn each_piece_is_delayed_in_both_directions() {
    let faults = OneWay {
        delay: Some(Duration::from_secs(2)),
        ..OneWay::default()
    };
    let (mut near, mut far) = pipe(Faults {
        inbound: faults.clone(),
        outbound: faults,
    });
    let start = Instant::now();
    let mut bytes = [0; 5];
    near.write_all(b"hello").await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 2);
    far.read_exact(&mut bytes).await.unwrap();
    far.write_all(b"world").await.unwrap();
    near.read_exact(&mut bytes).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 4);
    // A reader that gives up does not lose the piece, nor begin to wait again.
    far.write_all(b"again").await.unwrap();
    timeout(Duration::from_secs(1), near.read_exact(&mut bytes))
        .await
        .unwrap_err();
    near.read_exact(&mut bytes).await.unwrap();
    assert_eq!((&bytes, start.elapsed().as_secs()), (b"again", 6));
}

#[tokio::test(start_paused = true)]
async fn a_stall_ends_when_it_is_resumed() {
    let stalls = [inbound(at(2, Fault::Stall)), Faults::default()];
    for faults in stalls {
        let by_handle = faults == Faults::default();
        let (mut near, mut far) = pipe(faults);
        let handle = near.handle();
        if by_handle {
            handle.stall();
        }
        far.write_all(b"hello").await.unwrap();
        let reader = tokio::spawn(async move {
            let mut bytes = [0; 5];
            near.read_exact(&mut bytes).await.unwrap();
            near.write_all(&bytes).await.unwrap();
            near
        });
        tokio::time::sleep(LONG).await;
        assert!(!reader.is_finished());
        assert_eq!(handle.read_bytes(), if by_handle { 0 } else { 2 });
        handle.resume();
        let mut bytes = [0; 5];
        far.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        reader.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn a_handle_ends_the_stream_under_a_waiting_reader_and_for_the_peer() {
    for reset in [false, true] {
        let (mut near, mut far) = pipe(Faults::default());
        let handle = near.handle();
        let reader = tokio::spawn(async move { (read_all(&mut near).await, near) });
        tokio::task::yield_now().await;
        if reset { handle.reset() } else { handle.cut() }
        let ((bytes, end), mut near) = reader.await.unwrap();
        assert!(bytes.is_empty());
        let (read, write) = if reset {
            (Err(ErrorKind::ConnectionReset), ErrorKind::ConnectionReset)
        } else {
            (Ok(()), ErrorKind::BrokenPipe)
        };
        assert_eq!(end, Some(read));
        assert_eq!(read_all(&mut far).await, (Vec::new(), Some(Ok(()))), "the other end is still held");
        assert_eq!(write_all(&mut near, b"x").await, Some(Err(write)));
        handle.resume();
        assert_eq!(write_all(&mut near, b"x").await, Some(Err(write)), "only a stall is resumed");
        near.shutdown().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_is_neither_flushed_nor_closed() {
    let (mut near, mut far) = pipe(Faults::default());
    near.handle().stall();
    timeout(LONG, near.flush()).await.unwrap_err();
    timeout(LONG, near.shutdown()).await.unwrap_err();
    assert_eq!(read_all(&mut far).await, (Vec::new(), None));
    near.handle().cut();
    assert_eq!(
        near.flush().await.unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    assert_eq!(read_all(&mut far).await, (Vec::new(), Some(Ok(()))));
}
