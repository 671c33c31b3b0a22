//! Why a server does not start: one sentence each, and exit code 1.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::path::Path;

use barewire::cli::messages::StartError;

use crate::process::{file, run};

/// What `barewire serve` says on standard error when it does not start.
fn sentence(flags: &[&str]) -> String {
    let output = run(&[&["serve"], flags].concat());
    assert_eq!(output.status.code(), Some(1), "{flags:?}");
    assert_eq!(output.stdout, b"", "{flags:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let line = text
        .strip_prefix("error: ")
        .unwrap()
        .strip_suffix('\n')
        .unwrap();
    assert!(!line.contains('\n'), "more than a line: {text}");
    line.to_owned()
}

fn display(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
#[rustfmt::skip]
fn an_address_that_is_none_is_told_how_to_be_one() {
    let form = "write HOST:PORT, such as 127.0.0.1:50051, [::1]:50051 or localhost:50051";
    for address in ["50051", ":50051", "localhost", "localhost:", "localhost:x", "localhost:70000", "::1:50051", "[::1]", "http://localhost:50051", ""] {
        let expected = format!("--addr \"{address}\" is not an address: {form}");
        assert_eq!(sentence(&["--addr", address]), expected);
    }
}

#[test]
fn a_name_without_an_address_is_said_to_be_unknown() {
    // Names that end in .invalid have no address anywhere. RFC 6761 §6.4.
    let line = sentence(&["--addr", "nobody.invalid:50051"]);
    let (start, end) = (
        "cannot find the address of nobody.invalid: ",
        "; check the name, or write an IP address",
    );
    assert!(line.starts_with(start) && line.ends_with(end), "{line}");
    assert!(!line.contains("os error"), "{line}");
}

#[test]
fn a_busy_port_says_which_and_what_to_do() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let next = address.port().checked_add(1).unwrap_or(50051);
    let expected = format!(
        "cannot listen on {address}: another program listens there; stop it, or choose another \
         port with --addr 127.0.0.1:{next}"
    );
    assert_eq!(sentence(&["--addr", &address.to_string()]), expected);
    // The free one before it makes no difference.
    let both = ["--addr", "127.0.0.1:0", "--addr", &address.to_string()];
    assert_eq!(sentence(&both), expected);
}

#[test]
fn an_address_of_another_machine_cannot_be_listened_on() {
    // Addresses for documentation, which no machine has. RFC 5737.
    assert_eq!(
        sentence(&["--addr", "192.0.2.1:50051"]),
        "cannot listen on 192.0.2.1:50051: this machine does not have that address; choose one \
         that it has, or all of them with --addr 0.0.0.0:50051 and --addr [::]:50051"
    );
}

/// What depends on the user who runs the tests, and on what the system is short of.
#[test]
#[rustfmt::skip]
fn what_the_system_refuses_has_its_own_words() {
    let listen = |kind: ErrorKind| StartError::Listen { address: "[::1]:80".parse().unwrap(), why: kind.into() };
    let read = |why| StartError::Unreadable { flag: "--tls-key", path: "key.pem".into(), why };
    let cases: &[(StartError, &str)] = &[
        (listen(ErrorKind::PermissionDenied), "cannot listen on [::1]:80: this user may not; ports below 1024 are often kept for administrators, so choose a higher one, such as --addr [::1]:50051"),
        (listen(ErrorKind::AddrInUse),        "cannot listen on [::1]:80: another program listens there; stop it, or choose another port with --addr [::1]:81"),
        (listen(ErrorKind::OutOfMemory),      "cannot listen on [::1]:80: out of memory; choose another address with --addr"),
        (read(ErrorKind::PermissionDenied.into()), "cannot read key.pem of --tls-key: this user may not read it; change its permissions, or the user"),
        (read(io::Error::from_raw_os_error(5)),    "cannot read key.pem of --tls-key: Input/output error; check the file"),
        (StartError::System { what: "start threads", why: io::Error::from_raw_os_error(12) }, "cannot start threads: Cannot allocate memory; the system is short of something, or forbids it"),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), *expected);
    }
}

#[test]
#[rustfmt::skip]
fn flags_of_tls_that_need_each_other_say_so() {
    let cases: &[(&[&str], &str)] = &[
        (&["--tls-cert", "c"], "--tls-cert is given without --tls-key: TLS needs both; add --tls-key FILE, or leave out --tls-cert to serve plain text"),
        (&["--tls-key", "k"], "--tls-key is given without --tls-cert: TLS needs both; add --tls-cert FILE, or leave out --tls-key to serve plain text"),
        (&["--tls-client-ca", "a"], "--tls-client-ca is given without --tls-cert and --tls-key: clients show certificates in TLS only; add both, or leave out --tls-client-ca"),
        (&["--tls-cert", "c", "--tls-key", "k", "--tls-client-auth", "optional"], "--tls-client-auth is given without --tls-client-ca: add --tls-client-ca FILE with the authorities that sign the clients' certificates"),
    ];
    for (flags, expected) in cases {
        assert_eq!(sentence(flags), *expected);
    }
}

#[test]
#[rustfmt::skip]
fn a_bad_file_of_tls_is_named_with_what_is_wrong() {
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, other) = (make(), make());
    let certificate_pem = one.cert.pem();
    let key_pem = one.signing_key.serialize_pem();
    let cut = certificate_pem.split("-----END").next().unwrap();
    let garbled = certificate_pem.replacen('M', "!", 1);
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";

    let path = |name: &str, text: &str| file(&format!("errors-{name}"), text.as_bytes());
    let good = &path("good.pem", &certificate_pem);
    let key = &path("key.pem", &key_pem);
    let other_key = &path("other-key.pem", &other.signing_key.serialize_pem());
    let der = &file("errors-der", one.cert.der());
    let (cut, garbled) = (&path("cut.pem", cut), &path("garbled.pem", &garbled));
    let (not_x509, locked) = (&path("not-x509.pem", not_x509), &path("locked.pem", locked));
    let nowhere = &good.with_file_name("errors-nowhere");
    let folder = &good.parent().unwrap().to_owned();

    let name = |path: &'_ Path| display(path).to_owned();
    let no_certificate = |flag: &str, path: &Path| format!(
        "{0} of {flag} has no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----; a \
         file in DER is converted by: openssl x509 -inform der -in {0} -out certificate.pem", path.display());
    let cases = [
        // certificate, key, authority                     what is wrong
        (nowhere,  key,       None,           format!("cannot read {} of --tls-cert: there is no such file; check the path", name(nowhere))),
        (good,     nowhere,   None,           format!("cannot read {} of --tls-key: there is no such file; check the path", name(nowhere))),
        (good,     key,       Some(nowhere),  format!("cannot read {} of --tls-client-ca: there is no such file; check the path", name(nowhere))),
        (folder,   key,       None,           format!("cannot read {} of --tls-cert: it is a directory; name a file", name(folder))),
        (der,      key,       None,           no_certificate("--tls-cert", der)),
        (good,     key,       Some(key),      no_certificate("--tls-client-ca", key)),
        (key,      good,      None,           format!("{} of --tls-cert has a private key in it and no certificate: perhaps the files of certificate and key are to change places", name(key))),
        (good,     good,      None,           format!("{0} of --tls-key has no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----; a file in DER is converted by: openssl pkey -inform der -in {0} -out key.pem", name(good))),
        (good,     locked,    None,           format!("{0} of --tls-key is locked with a passphrase, which nobody is asked for; unlock it by: openssl pkey -in {0} -out key.pem", name(locked))),
        (cut,      key,       None,           format!("{} of --tls-cert is damaged: the line -----END CERTIFICATE----- is missing; make it or copy it anew", name(cut))),
        (garbled,  key,       None,           format!("{} of --tls-cert is damaged: what stands between BEGIN and END is not base64; make it or copy it anew", name(garbled))),
        (good,     key,       Some(cut),      format!("{} of --tls-client-ca is damaged: the line -----END CERTIFICATE----- is missing; make it or copy it anew", name(cut))),
        (good,     other_key, None,           format!("the key in {} does not fit the certificate in {}: give the key that the certificate was made with, and begin the file of --tls-cert with that certificate", name(other_key), name(good))),
        (not_x509, key,       None,           format!("TLS cannot use the certificate in {} with the key in {}: the certificate cannot be read: it is no X.509 certificate; make them anew", name(not_x509), name(key))),
        (good,     key,       Some(not_x509), format!("{} of --tls-client-ca cannot vouch for anyone: a client authority cannot be read: it is no X.509 certificate; give the certificate of an authority, or of who is its own", name(not_x509))),
    ];
    for (certificate, key, authority, expected) in &cases {
        let mut flags = vec!["--tls-cert", display(certificate), "--tls-key", display(key)];
        if let Some(authority) = authority {
            flags.extend(["--tls-client-ca", display(authority)]);
        }
        assert_eq!(sentence(&flags), *expected);
    }
}

#[test]
#[rustfmt::skip]
fn a_broken_route_database_is_told_line_and_column() {
    let form = "correct it: a database is a list like [{\"location\": {\"latitude\": 409146138, \
                \"longitude\": -746188906}, \"name\": \"Here\"}]";
    let cases = [
        ("text.json",  "places\n",                   "line 1, column 1: expected value"),
        ("cut.json",   "[\n  {\"location\":\n",      "line 3, column 0: EOF while parsing a value"),
        ("range.json", "[{\"name\": \"\", \"location\": {\"latitude\": 900000001",
                                                     "line 1, column 48: invalid value: integer `900000001`, expected degrees times ten million, a whole number from -900000000 to 900000000"),
    ];
    for (name, json, error) in cases {
        let path = file(name, json.as_bytes());
        let expected = format!("the route database {} is broken at {error}; {form}", path.display());
        assert_eq!(sentence(&["--route-db", display(&path)]), expected);
    }
    let nowhere = file("text.json", b"").with_file_name("nowhere.json");
    let expected = format!("cannot read {} of --route-db: there is no such file; check the path", nowhere.display());
    assert_eq!(sentence(&["--route-db", display(&nowhere)]), expected);
}
