"""Headless Chromium, driven over its DevTools protocol through two pipes: no driver and no library."""

import base64
import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.services.needs import DEADLINE_S, needs, wait_until

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--window-size=1300,1000", "--remote-debugging-pipe",
]  # fmt: skip
PROGRAM = "chromium"
READ_FD, WRITE_FD = 3, 4  # where Chromium expects the pipes


class Chromium:
    """A browser with a profile of its own in `folder`; leave the block to end it."""

    def __init__(self, folder: Path):
        needs(PROGRAM, "bash")
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict] = {}
        self._arrived = threading.Condition()
        self._pages: dict[str, Page] = {}
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Python can hand on file descriptors but not choose their numbers.
        place = f'exec "$@" {READ_FD}<&{theirs_in} {WRITE_FD}>&{theirs_out}'
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", place, "bash", PROGRAM, *FLAGS, f"--user-data-dir={folder / 'profile'}"],
                pass_fds=(theirs_in, theirs_out),
                env=os.environ | {"HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        os.close(theirs_in)
        os.close(theirs_out)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_) -> None:
        try:
            self.send("Browser.close")
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
        os.close(self._in)
        os.close(self._out)

    def page(self, reaches: Callable[[str], bool]) -> "Page":
        """An empty page with cookies of its own. What it does not reach is as if there were no network."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, reaches)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.call("Fetch.enable")
        return page

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict:
        """Call a method and wait for its result."""
        number = self.send(method, session, **parameters)
        with self._arrived:
            assert self._arrived.wait_for(lambda: number in self._answers, DEADLINE_S), (
                f"no answer to {method}"
            )
            answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def send(self, method: str, session: str | None = None, **parameters: Any) -> int:
        """Call a method and go on; the number of the call."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        return number

    def _read(self) -> None:
        rest = b""
        while received := os.read(self._in, 1 << 16):
            *whole, rest = (rest + received).split(b"\0")
            for text in whole:
                message = json.loads(text)
                if "id" in message:
                    with self._arrived:
                        self._answers[message["id"]] = message
                        self._arrived.notify_all()
                elif page := self._pages.get(message.get("sessionId")):
                    page.on_event(message["method"], message["params"])


class Page:
    """One tab."""

    def __init__(self, browser: Chromium, session: str, reaches: Callable[[str], bool]):
        self._browser = browser
        self._session = session
        self._reaches = reaches
        self._loads = 0
        self.requested: list[str] = []
        self.errors: list[str] = []  # uncaught exceptions and console.error, with where they came from

    def call(self, method: str, **parameters: Any) -> dict:
        """Call a method of this tab."""
        return self._browser.call(method, self._session, **parameters)

    def open(self, address: str) -> None:
        """Go to an address and wait until it is loaded."""
        loads = self._loads
        failed = self.call("Page.navigate", url=address).get("errorText")
        assert not failed, f"{address}: {failed}"
        self.wait_for_load(loads, address)

    def follow(self, action: str) -> None:
        """Run JavaScript that leads to another page, and wait until that is loaded."""
        loads = self._loads
        self.evaluate(action)
        self.wait_for_load(loads, action)

    def wait_for_load(self, loads: int, what: str) -> None:
        """Wait for a load after the `loads` that there were."""
        wait_until(lambda: self._loads > loads, f"the page of {what}")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {_described(answer['exceptionDetails'])}")
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until a JavaScript expression is true; its value."""
        wait_until(lambda: self.evaluate(expression), lambda: f"{expression}; errors: {self.errors}")
        return self.evaluate(expression)

    def type(self, selector: str, text: str) -> None:
        """Put the cursor into a field, empty it and type."""
        self.evaluate(
            f"(field => {{ field.focus(); field.select(); }})(document.querySelector({json.dumps(selector)}))"
        )
        self.call("Input.insertText", text=text)

    def screenshot(self, file: Path, whole: bool = False) -> None:
        """Take a picture (PNG) of what is in view, or of the whole page."""
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(picture["data"]))

    def on_event(self, method: str, event: dict) -> None:
        """What Chromium tells by itself. In the thread that reads: nothing here may wait for an answer."""
        match method:
            case "Page.loadEventFired":
                self._loads += 1
            case "Fetch.requestPaused":
                self._on_request(event)
            case "Runtime.exceptionThrown":
                self.errors.append(_described(event["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if event["type"] in ("error", "assert"):
                words = [str(part.get("value", part.get("description"))) for part in event["args"]]
                frames = event.get("stackTrace", {}).get("callFrames") or [{}]
                self.errors.append(f"{' '.join(words)} ({frames[0].get('url')})")
            case "Log.entryAdded" if event["entry"]["level"] == "error":
                self.errors.append(f"{event['entry']['text']} ({event['entry'].get('url')})")

    def _on_request(self, event: dict) -> None:
        number, address = event["requestId"], event["request"]["url"]
        self.requested.append(address)
        if self._reaches(address):
            self._browser.send("Fetch.continueRequest", self._session, requestId=number)
        else:
            reason = "NameNotResolved"
            self._browser.send("Fetch.failRequest", self._session, requestId=number, errorReason=reason)


def _described(details: dict) -> str:
    thrown = details.get("exception", {})
    text = thrown.get("description") or thrown.get("value") or details["text"]
    frames = details.get("stackTrace", {}).get("callFrames") or [{}]
    return f"{text} ({details.get('url') or frames[0].get('url')})"
