"""grpcui: a page that calls. It is opened here, and asked to call, as a browser would."""

import http.cookiejar
import json
import urllib.request

from programs import CERTIFICATES, free_port, go_install, serving
from tools.check import difference, messages
from tools.tutorials import CALLS, REFUSAL, REFUSED, SERVICES

VERSION = "v1.4.3"

REQUEST_TIMEOUT = 60


class Grpcui:
    name = "grpcui"

    def prepare(self):
        self.program = go_install("github.com/fullstorydev/grpcui/cmd/grpcui", VERSION)
        return VERSION

    def run(self, servers):
        port = free_port()
        security = ["-cacert", CERTIFICATES / "ca.pem"] if servers.tls else ["-plaintext"]
        flags = ["-open-browser=false", "-emit-defaults=false", f"-port={port}"]
        command = [self.program, *security, *flags, f"127.0.0.1:{servers.tutorials}"]
        try:
            with serving(command, port, "grpcui.log"):
                page = Page(port)
                yield "list", difference([("the list", page.services(), PAGE_SERVICES)])
                for call in CALLS:
                    yield call.name, page.call(call, error=None)
                yield REFUSED.name, page.call(REFUSED, error=("InvalidArgument", REFUSAL))
        except (RuntimeError, OSError) as why:
            yield "the page works", str(why)


# The page is not for what it works by.
PAGE_SERVICES = [name for name in SERVICES.split() if "reflection" not in name]


class Page:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.cookies = http.cookiejar.CookieJar()
        # Loopback is reached by no proxy.
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)]
        self.browser = urllib.request.build_opener(*handlers)
        self.text = self.fetch("/").decode()

    def services(self):
        start = '<option value="'
        return [line.strip().removeprefix(start).split('"')[0] for line in self.text.splitlines() if start in line]

    def call(self, call, error):
        """What is wrong about the call; `error` is the name and message that it must end with."""
        answer = self.invoke(call, messages(call.requests))
        came = answer["error"] and (answer["error"]["name"], answer["error"]["message"])
        replies = [reply["message"] for reply in answer["responses"] or []]
        return difference([("error", came, error), ("answer", replies, call.replies)])

    def invoke(self, call, requests):
        body = json.dumps({"metadata": [], "data": requests}).encode()
        # What keeps other pages from calling: the cookie of the page, said once more.
        [token] = [cookie.value for cookie in self.cookies if "csrf" in cookie.name]
        headers = {"content-type": "application/json", "x-grpcui-csrf-token": token}
        return json.loads(self.fetch(f"/invoke/{call.method.replace('/', '.')}", body, headers))

    def fetch(self, path, body=None, headers=None):
        request = urllib.request.Request(self.url + path, body, headers or {})
        with self.browser.open(request, timeout=REQUEST_TIMEOUT) as response:
            return response.read()
