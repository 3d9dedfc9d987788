"""A headless Chromium for tests of pages, driven over its DevTools protocol; no driver program is needed.

with open_page(path, folder=tmp_path) as page:
    page.evaluate("document.title")
    page.problems()             # what was logged as an error, thrown, or asked from a network
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
START_S, ANSWER_S = 30.0, 30.0


def program() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab. Events that arrive while an answer is awaited are kept."""

    def __init__(self, socket) -> None:
        self._socket, self._number = socket, 0
        self.events: list[dict] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv())).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, message["error"]
        return message["result"]

    def open(self, path: Path) -> None:
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.documentElement?.hasAttribute('data-drawn')")

    def wait(self, condition: str) -> None:
        end_s = time.monotonic() + ANSWER_S
        while not self.evaluate(condition):
            assert time.monotonic() < end_s, f"{condition} did not come true; {self.problems()}"
            time.sleep(0.05)

    def evaluate(self, expression: str):
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def size(self, width: int, height: int = 900) -> None:
        mobile = {"mobile": width < 600, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, **mobile)

    def scheme(self, name: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": name}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def press(self, key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            extra = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **extra)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"clip": {**size, "scale": 1}} if whole else {}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))

    def problems(self) -> list[str]:
        """Errors on the console, exceptions, and requests that leave the page."""
        found = []
        for event in self.events:
            method, about = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(f"exception: {about['exceptionDetails']}")
            elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
                found.append(f"log: {about['entry']['text']}")
            elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
                found.append(f"console: {[each.get('value') for each in about['args']]}")
            elif method == "Network.requestWillBeSent":
                address = about["request"]["url"]
                if not address.startswith(("file:", "data:", "blob:")):
                    found.append(f"request: {address}")
        return found


@contextlib.contextmanager
def open_page(path: Path, *, folder: Path) -> Iterator[Page]:
    """A page in a browser of its own, whose profile is in `folder`; the browser ends with the block."""
    import websocket

    profile = folder / "profile"
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command = [program(), *flags, *quiet, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _port(profile / "DevToolsActivePort", browser)
        tabs = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10))
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        socket = websocket.create_connection(address, suppress_origin=True, timeout=ANSWER_S)
        try:
            page = Page(socket)
            page.open(path)
            yield page
        finally:
            socket.close()
    finally:
        browser.terminate()
        browser.wait(timeout=20)


def _port(file: Path, browser: subprocess.Popen) -> str:
    end_s = time.monotonic() + START_S
    while not (file.is_file() and file.read_text().strip()):
        assert browser.poll() is None, f"chromium ended with status {browser.returncode}"
        assert time.monotonic() < end_s, "chromium did not start"
        time.sleep(0.05)
    return file.read_text().split()[0]
