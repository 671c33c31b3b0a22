//! `client::resolve`: P196, P198, P199, P205.

use std::time::Duration;

use barewire::resolve::{Dns, Fixed, Resolution, ResolveError, Resolver};
use barewire::{Address, Target};
use tokio::sync::oneshot;

use crate::tokio;

/// An address as the tables below write it.
fn address(text: &str) -> Address {
    match text.parse() {
        Ok(address) => Address::Tcp(address),
        Err(_) => Address::Named(text.to_owned()),
    }
}

async fn resolve(target: &str) -> Result<Vec<String>, ResolveError> {
    let target = Target::parse(target).unwrap();
    let resolution = Dns.resolve(&target).await?;
    assert_eq!(resolution.service_config, None);
    Ok(resolution
        .addresses
        .iter()
        .map(Address::to_string)
        .collect())
}

#[test]
#[rustfmt::skip]
fn p205_address_families_take_turns_and_no_address_comes_twice() {
    let cases: &[(&[&str], &[&str])] = &[
        (&[],                                               &[]),
        (&["1.1.1.1:1"],                                    &["1.1.1.1:1"]),
        (&["[a::]:1", "[b::]:1", "[c::]:1", "1.1.1.1:1"],   &["[a::]:1", "1.1.1.1:1", "[b::]:1", "[c::]:1"]),
        (&["1.1.1.1:1", "2.2.2.2:1", "[a::]:1", "[b::]:1"], &["1.1.1.1:1", "[a::]:1", "2.2.2.2:1", "[b::]:1"]),  // the first prefers its family
        (&["1.1.1.1:1", "1.1.1.1:1", "[a::]:1", "1.1.1.1:1"], &["1.1.1.1:1", "[a::]:1"]),
        (&["1.1.1.1:1", "1.1.1.1:2"],                       &["1.1.1.1:1", "1.1.1.1:2"]),    // the port counts
        (&["x", "y", "1.1.1.1:1", "[a::]:1", "z"],          &["x", "1.1.1.1:1", "[a::]:1", "y", "z"]),
    ];
    for (found, tried) in cases {
        let found: Vec<Address> = found.iter().map(|text| address(text)).collect();
        let tried: Vec<Address> = tried.iter().map(|text| address(text)).collect();
        assert_eq!(Resolution::new(found.clone()).addresses, tried, "{found:?}");
    }
}

// Without a runtime: a lookup would panic.
#[test]
#[rustfmt::skip]
fn p196_ip_addresses_need_no_lookup() {
    let cases = [
        ("127.0.0.1:1",             "127.0.0.1:1"),
        ("http://127.0.0.1",        "127.0.0.1:80"),
        ("https://[::1]",           "[::1]:443"),
        ("dns:///[fe80::1%2]:1",    "[fe80::1%2]:1"),
    ];
    for (target, address) in cases {
        let mut resolving = Box::pin(resolve(target));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match resolving.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(found) => assert_eq!(found.unwrap(), [address], "{target}"),
            std::task::Poll::Pending => panic!("{target} is looked up"),
        }
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn p198_addresses_of_a_target_are_taken_as_they_are() {
    let cases: &[(&str, &[&str])] = &[
        ("ipv4:127.0.0.2:1,127.0.0.1:1,127.0.0.2:1", &["127.0.0.2:1", "127.0.0.1:1"]),
        ("ipv6:[::1]:1",                             &["[::1]:1"]),
        ("unix:a/b",                                 &["unix:a/b"]),
        ("unix-abstract:a%00b",                      &["unix-abstract:a\\x00b"]),
        ("passthrough:///a:b:c",                     &["a:b:c"]),
    ];
    for (target, addresses) in cases {
        assert_eq!(resolve(target).await.unwrap(), *addresses, "{target}");
    }
}

#[tokio::test]
async fn p196_a_name_is_looked_up() {
    let addresses = resolve("localhost:50051").await.unwrap();
    assert!(!addresses.is_empty());
    for address in addresses {
        assert!(
            ["127.0.0.1:50051", "[::1]:50051"].contains(&&*address),
            "{address}"
        );
    }
}

#[tokio::test]
async fn p201_an_error_names_the_host_and_the_cause() {
    // No name server is asked: names have at most 63 bytes between dots. RFC 1035 §2.3.4.
    let host = "x".repeat(64);
    let error = resolve(&host).await.unwrap_err().to_string();
    let start = format!("cannot resolve \"{host}\": ");
    assert!(
        error.starts_with(&start) && error.len() > start.len(),
        "{error}"
    );
}

#[tokio::test]
async fn p196_a_name_server_of_the_target_is_not_ignored() {
    let error = resolve("dns://10.0.0.53/foo")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"10.0.0.53\""), "{error}");
}

#[test]
fn p200_a_lookup_that_hangs_is_given_up_after_20_s() {
    let runtime = ::tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (release, released) = oneshot::channel::<()>();
    // The one thread that could look names up waits for us.
    runtime.spawn_blocking(|| released.blocking_recv());
    runtime.block_on(async {
        let lookup = tokio::spawn(resolve("localhost:1"));
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(19_900)).await;
        tokio::task::yield_now().await;
        assert!(!lookup.is_finished());
        tokio::time::advance(Duration::from_millis(200)).await;
        let error = lookup.await.unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot resolve \"localhost\": no answer within 20s"
        );
    });
    release.send(()).unwrap();
}

#[tokio::test]
async fn a_fixed_list_is_yielded_whatever_the_target() {
    let resolver = Fixed::new([
        address("127.0.0.1:1"),
        address("[::1]:1"),
        address("127.0.0.1:1"),
    ]);
    let target = Target::parse("dns:///nobody.invalid").unwrap();
    let resolution = resolver.resolve(&target).await.unwrap();
    assert_eq!(
        resolution.addresses,
        [address("127.0.0.1:1"), address("[::1]:1")]
    );
}

#[tokio::test]
#[rustfmt::skip]
async fn p202_behind_a_proxy_names_stay_as_they_are() {
    let cases: &[(&str, &[&str])] = &[
        ("http://nobody.invalid",  &["nobody.invalid:80"]),
        ("nobody.invalid",         &["nobody.invalid:443"]),
        ("dns:///[fe80::1%2]",     &["[fe80::1%2]:443"]),
        ("ipv4:1.1.1.1:1,2.2.2.2", &["1.1.1.1:1", "2.2.2.2:443"]),
    ];
    for (target, addresses) in cases {
        let target = Target::parse(target).unwrap();
        let resolution = Fixed::unresolved(&target).resolve(&target).await.unwrap();
        let found: Vec<String> = resolution.addresses.iter().map(Address::to_string).collect();
        assert_eq!(found, *addresses, "{target:?}");
    }
}
