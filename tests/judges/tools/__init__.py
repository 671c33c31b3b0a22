"""The tools of the field, one a file, each with the same three parts.

| part | what it is |
|------|------------|
| `name` | how the scoreboard calls it |
| `prepare()` | installs or builds it below `target/judges`, where that was not done before; gives its version, or raises `NotHere` |
| `run(servers)` | makes the checks: yields the name of each, and `None` or what was wrong |

What they call is in `tutorials.py`, and what a check is in `check.py`.
"""
