"""Runs scenarios, one at a time, as JSON lines on stdin tell it; answers each with a line on stdout.

→ {"module": "greeter", "function": "say_hello", "limit": 30, "target": {"address": …, …}}
← {"error": null}
"""

import faulthandler
import importlib
import json
import os
import sys
import traceback

from harness import Server


def main():
    # What scenarios and packages print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        question = json.loads(line)
        error = run(question)
        print(json.dumps({"error": error}), file=answers, flush=True)
    # Threads of a scenario that failed may still wait for something.
    os._exit(0)


def run(question):
    """Runs one scenario. Gives the traceback if it fails, else None."""
    # One that hangs says where, just before its time is over and this process is killed.
    faulthandler.dump_traceback_later(question["limit"] - 1)
    try:
        module = importlib.import_module("scenarios." + question["module"])
        function = getattr(module, question["function"])
        function(Server(**question["target"]))
    except BaseException:
        return traceback.format_exc()
    finally:
        faulthandler.cancel_dump_traceback_later()
    return None


main()
