//! A Python server, started as a process of its own, killed, stopped, and started again where it was.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::environment::Environment;
use crate::process::Process;
use crate::scenarios::python_folder;

/// A place where a Python server is, was, or will be.
pub(crate) struct PythonServer {
    python: OsString,
    stubs: OsString,
    flags: Vec<OsString>,
    port: u16,
    /// Bound to the port and deaf. While no server is there, nobody else takes the port, and who
    /// connects is refused.
    _place: Socket,
    process: Option<Process>,
}

impl PythonServer {
    /// A place on loopback for a server with these flags, which does not run yet.
    pub(crate) fn later(environment: &Environment, flags: Vec<OsString>) -> Self {
        let place = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets can be made");
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        place.set_reuse_address(true).expect("an address is shared");
        place.set_reuse_port(true).expect("a port is shared");
        place.bind(&any_port.into()).expect("some port is free");
        let address = place.local_addr().expect("it is bound");
        Self {
            python: environment.python.clone().into(),
            stubs: environment.stubs.clone().into(),
            flags,
            port: address.as_socket().expect("an IP address").port(),
            _place: place,
            process: None,
        }
    }

    /// Starts it, and returns when it listens.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let mut command = Command::new(&self.python);
        command
            .arg(python_folder().join("servers/serve.py"))
            .args(["--route-db".as_ref(), features().as_os_str()])
            .args(["--port", &self.port.to_string()])
            .args(&self.flags)
            .env("PYTHONPATH", &self.stubs)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("GRPC_ENABLE_FORK_SUPPORT", "0");
        let process = Process::start(&mut command).expect("the interpreter was there before");
        let line = process.next_line(START_LIMIT).unwrap_or_else(|silence| {
            panic!("{command:?}: {silence:?}; {}", process.last_words());
        });
        let announced: Value = serde_json::from_str(&line).expect("the first line is JSON");
        assert_eq!(announced["port"], self.port, "{}", process.last_words());
        self.process = Some(process);
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal("KILL");
        process.exit_status(END_LIMIT).expect("kill -9 ends it");
    }

    /// Tells it to stop, as an operator does. It ends its calls first.
    pub(crate) fn stop(&mut self) {
        self.process.as_mut().expect("it runs").signal("TERM");
    }

    /// Waits for its end, after it was told to stop.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it ran");
        let status = process.exit_status(END_LIMIT);
        status.unwrap_or_else(|| panic!("it does not end; {}", process.last_words()))
    }

    /// Says what is wrong if it does not run.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Err("the server does not run".to_owned());
        };
        process
            .exit_status(Duration::ZERO)
            .map_or(Ok(()), |status| {
                Err(format!("it ended with {status}; {}", process.last_words()))
            })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What a client in clear text connects to.
    pub(crate) fn target(&self) -> String {
        format!("http://{}", self.address())
    }
}

/// The route guide's database, with places that the scenarios know.
fn features() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/interop/features.json"
    ))
}

// Python starts in a tenth of a second, unless the machine has much else to do.
const START_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(20);
