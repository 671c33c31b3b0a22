"""The other implementations of the interop tests, one a file, each with the same four parts.

| part | what it is |
|------|------------|
| `name` | how the scoreboard calls it |
| `prepare()` | installs or builds it below `target/judges`, where that was not done before; gives its version, or raises `NotHere` |
| `server(port, tls)`, `client(case, port, tls)` | the command that serves, that runs one case |
| `server_lacks`, `client_lacks` | the cases that it has no means for, each with the reason; all of them, where it has no such side |
"""
