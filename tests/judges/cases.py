"""The cases of gRPC's interop tests that are run, and those that are not."""

# The cases of the document, in its order, that need neither an account of Google Cloud nor a proxy.
CASES = [
    "empty_unary",
    "large_unary",
    "client_compressed_unary",
    "server_compressed_unary",
    "client_streaming",
    "client_compressed_streaming",
    "server_streaming",
    "server_compressed_streaming",
    "ping_pong",
    "empty_stream",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
    "pick_first_unary",
    "orca_per_rpc",
    "orca_oob",
    "rpc_soak",
    "channel_soak",
]
