"""The flags of the official interop programs, which most peers take as they are."""

from programs import CERTIFICATES, SERVER_NAME


def server_flags(tls):
    if not tls:
        return ["--use_tls=false"]
    return [
        "--use_tls=true",
        f"--tls_cert_file={CERTIFICATES / 'server.pem'}",
        f"--tls_key_file={CERTIFICATES / 'server.key'}",
    ]


def client_flags(tls):
    if not tls:
        return ["--use_tls=false"]
    return [
        "--use_tls=true",
        "--use_test_ca=true",
        f"--ca_file={CERTIFICATES / 'ca.pem'}",
        f"--server_host_override={SERVER_NAME}",
    ]
