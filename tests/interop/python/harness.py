"""What scenarios share: their mark, the server under test, and ways to look at a failed call."""

import contextlib
import queue
import subprocess
import threading

import grpc
import grpc.aio


def scenario(setup, limit=30):
    """Marks a function as a scenario that wants the named server and takes at most so many seconds.

    `tests/interop/scenarios.rs` reads the mark from the source and says which servers there are.
    """
    del setup, limit
    return lambda function: function


class Server:
    """The server that a scenario talks to, and what it takes to start another one."""

    def __init__(self, setup, address, binary, features, certificates):
        self.setup = setup
        self.address = address
        self.binary = binary
        self.features = features
        self.certificates = certificates

    def channel(self, *, options=(), compression=None):
        """A channel with a connection of its own: scenarios must not meet on one."""
        options = [*OWN_CONNECTION, *options]
        credentials = self.credentials()
        if credentials is None:
            return grpc.insecure_channel(self.address, options, compression)
        return grpc.secure_channel(self.address, credentials, options, compression)

    def aio_channel(self, *, options=(), compression=None):
        """The same for asyncio."""
        options = [*OWN_CONNECTION, *options]
        credentials = self.credentials()
        if credentials is None:
            return grpc.aio.insecure_channel(self.address, options, compression)
        return grpc.aio.secure_channel(self.address, credentials, options, compression)

    def credentials(self):
        """What a well-behaved client shows and asks for; None where the server speaks plain text."""
        if self.setup == "Tls":
            return grpc.ssl_channel_credentials(self.pem("ca.pem"))
        if self.setup == "MutualTls":
            return grpc.ssl_channel_credentials(
                self.pem("ca.pem"), self.pem("client.key"), self.pem("client.pem")
            )
        return None

    def pem(self, name):
        """The bytes of a key or certificate."""
        with open(f"{self.certificates}/{name}", "rb") as file:
            return file.read()

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    @contextlib.contextmanager
    def start(self, *flags, port=0):
        """Starts a plain text server for one scenario alone, which may end it; if not, it is killed."""
        command = [self.binary, "serve", "--addr", f"127.0.0.1:{port}", "--log", "none", *flags]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )
        lines, errors = queue.Queue(), []
        readers = [
            threading.Thread(target=_read_lines, args=(process.stdout, lines.put), daemon=True),
            threading.Thread(target=_read_lines, args=(process.stderr, errors.append), daemon=True),
        ]
        for reader in readers:
            reader.start()
        problem = None
        try:
            addresses = [_address(lines) for _ in range(command.count("--addr"))]
            yield OwnServer(self, process, *addresses)
        except BaseException as caught:
            problem = caught
        process.kill()
        process.wait()
        for reader in readers:
            reader.join()
        if problem or any("panicked at" in line for line in errors if line):
            raise AssertionError(
                f"the scenario's own server wrote to stderr: {errors[-20:]}"
            ) from problem


class OwnServer(Server):
    """A server that belongs to one scenario."""

    def __init__(self, template, process, *addresses):
        super().__init__(
            "Plain", addresses[0], template.binary, template.features, template.certificates
        )
        self.process = process
        self.addresses = addresses

    def terminate(self):
        """Sends SIGTERM, which asks the server to finish its calls and end."""
        self.process.terminate()

    def exit_code(self, timeout=20):
        """Waits for the end of the server."""
        return self.process.wait(timeout)


def failure(call, *arguments, **options):
    """Makes a call that must fail, and gives its grpc.RpcError.

    The call may give a response or an iterator of responses, which is read to its end.
    """
    try:
        outcome = call(*arguments, **options)
        if hasattr(outcome, "__next__"):
            outcome = list(outcome)
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"the call ended well, with {outcome!r:.200}")


def code_of(call, *arguments, **options):
    """Makes a call that must fail, and gives its status code."""
    return failure(call, *arguments, **options).code()


async def aio_failure(call):
    """Reads a call of the asyncio API, which must fail, and gives its grpc.RpcError."""
    try:
        if hasattr(call, "__await__"):
            outcome = await call
        else:
            outcome = [response async for response in call]
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"the call ended well, with {outcome!r:.200}")


def same(found, wanted):
    """Asserts that both are equal, and shows them if not, which a bare assert does not."""
    assert found == wanted, f"found  {found!r:.2000}\n                wanted {wanted!r:.2000}"


def greets(server, channel=None):
    """Asserts that the server lives: it answers a plain call, on this channel or on a new one."""
    # Imported late: the stubs are not there for who only wants to look at this file.
    import helloworld_pb2
    import helloworld_pb2_grpc

    with contextlib.ExitStack() as stack:
        if channel is None:
            channel = stack.enter_context(server.channel())
        reply = helloworld_pb2_grpc.GreeterStub(channel).SayHello(
            helloworld_pb2.HelloRequest(name="you"), timeout=10, wait_for_ready=True
        )
        same(reply.message, "Hello, you!")


def _read_lines(stream, take):
    for line in stream:
        take(line.rstrip("\n"))
    take(None)


def _address(lines):
    while True:
        line = lines.get(timeout=20)
        assert line is not None, "the server ended before it listened"
        if line.startswith("listening on "):
            return line.removeprefix("listening on ").partition(" (")[0]


# grpcio gives channels to one target a common connection unless it is told not to.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
