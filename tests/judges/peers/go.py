"""Go: the interop programs of grpc-go."""

from peers.flags import client_flags, server_flags
from programs import go_install

VERSION = "v1.85.0"


class Go:
    name = "Go (grpc-go)"
    no_compression = "grpc-go's programs have none of the cases of compression"
    server_lacks = {
        "client_compressed_unary": no_compression,
        "server_compressed_unary": no_compression,
        "client_compressed_streaming": no_compression,
        "server_compressed_streaming": no_compression,
        "pick_first_unary": "grpc-go's server does not fill server_id",
    }
    client_lacks = {case: why for case, why in server_lacks.items() if "compressed" in case}

    def prepare(self):
        self.server_program = go_install("google.golang.org/grpc/interop/server", VERSION, "grpc-go")
        self.client_program = go_install("google.golang.org/grpc/interop/client", VERSION, "grpc-go")
        return VERSION

    def server(self, port, tls):
        return [self.server_program, f"--port={port}", *server_flags(tls)]

    def client(self, case, port, tls):
        # As grpc-go's own script has it. The balancer is for the cases of load reports.
        balancer = '{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}'
        flags = [f"--server_port={port}", f"--test_case={case}", f"--service_config_json={balancer}"]
        return [self.client_program, *flags, *client_flags(tls)]
