"""Serves the tutorials' services and `barewire.control.Control` with grpcio.

    serve.py --route-db FILE [flags]

Its first line on stdout is JSON: {"port": 43121}. SIGTERM stops it as an operator would: running
calls have `--grace` seconds to end. The end of its stdin kills it, so that none outlives the tests.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import control
import control_aio
import grpc
import grpc.aio
import tutorial
import tutorial_aio
from control_pb2_grpc import add_ControlServicer_to_server
from script import COMPRESSIONS
from seen import Seen


def main():
    flags = parse()
    threading.Thread(target=die_with_parent, daemon=True).start()
    if flags.aio:
        asyncio.run(serve_aio(flags))
    else:
        serve(flags)
    # Threads of calls that were cut may still wait for something.
    sys.stdout.flush()
    os._exit(0)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--aio", action="store_true", help="coroutines instead of threads")
    parser.add_argument("--port", type=int, default=0, help="0 is any that is free")
    parser.add_argument("--tls-cert", help="PEM file; without it the server speaks plain text")
    parser.add_argument("--tls-key")
    parser.add_argument("--tls-client-ca", help="ask clients for a certificate of this authority")
    parser.add_argument("--compression", default="", choices=COMPRESSIONS, help="of all answers")
    parser.add_argument("--option", action="append", default=[], help="of the server, NAME=VALUE")
    parser.add_argument("--route-db", required=True)
    parser.add_argument("--task-interval", type=float, default=40.0, help="seconds")
    parser.add_argument("--workers", type=int, default=64, help="calls at a time")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds")
    return parser.parse_args()


def serve(flags):
    server = grpc.server(
        ThreadPoolExecutor(flags.workers), options=options(flags), compression=compression(flags)
    )
    tutorial.add_all(server, flags.route_db, flags.task_interval)
    add_ControlServicer_to_server(control.Control(Seen()), server)
    port = add_port(server, flags)
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda signum, frame: told.set())
    server.start()
    announce(port)
    told.wait()
    server.stop(flags.grace).wait()


async def serve_aio(flags):
    server = grpc.aio.server(options=options(flags), compression=compression(flags))
    tutorial_aio.add_all(server, flags.route_db)
    add_ControlServicer_to_server(control_aio.Control(Seen()), server)
    port = add_port(server, flags)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await server.start()
    announce(port)
    await told.wait()
    await server.stop(flags.grace)


def options(flags):
    """The server's options. What looks like a number is one."""
    pairs = [option.split("=", 1) for option in flags.option]
    return [(name, int(value) if value.lstrip("-").isdigit() else value) for name, value in pairs]


def compression(flags):
    return COMPRESSIONS[flags.compression] if flags.compression else None


def add_port(server, flags):
    """Binds the server to loopback. Gives its port."""
    address = f"127.0.0.1:{flags.port}"
    if flags.tls_cert is None:
        return server.add_insecure_port(address)
    pair = (read(flags.tls_key), read(flags.tls_cert))
    client_ca = flags.tls_client_ca and read(flags.tls_client_ca)
    credentials = grpc.ssl_server_credentials(
        [pair], root_certificates=client_ca, require_client_auth=client_ca is not None
    )
    return server.add_secure_port(address, credentials)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def announce(port):
    print(json.dumps({"port": port}), flush=True)


def die_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)


main()
