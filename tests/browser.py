"""A headless Chromium driven over its DevTools pipe, with the standard library alone.

Pages are opened from files, as a reader of a report opens them. What the page says on its console
and what it asks the network for are kept, so that a test can look at both.
"""

import base64
import contextlib
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 60


def program():
    """Path of a Chromium, or None; IG_TF_CHROMIUM names one that is not on PATH."""
    named = os.environ.get("IG_TF_CHROMIUM")
    return named or next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One headless browser with one page.

    Attributes:
      console: what the page wrote on its console, errors and refusals among it.
      requests: addresses that the page asked for, less those that its policy stopped.
      dialogs: messages of alert() and the like, which nobody should see.
    """

    def __init__(self, folder):
        ours, theirs = os.pipe(), os.pipe()
        arguments = [program(), "--headless=new", "--no-sandbox", "--disable-gpu",
                     "--remote-debugging-pipe", "--disable-background-networking",
                     "--no-first-run", "--hide-scrollbars", "--disable-dev-shm-usage",
                     "--host-resolver-rules=MAP * ~NOTFOUND",  # no test reaches a network
                     f"--user-data-dir={folder}", "about:blank"]

        # Chromium reads its orders from descriptor 3 and answers on 4; pipes that lie there
        # already are moved out of the way first.
        def place():
            reads, writes = os.dup2(ours[0], 20), os.dup2(theirs[1], 21)
            os.dup2(reads, 3)
            os.dup2(writes, 4)
        self._process = subprocess.Popen(
            arguments, preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(ours[0])
        os.close(theirs[1])
        self._to, self._from = ours[1], theirs[0]
        self._left, self._count, self._session = b"", 0, None
        self.console, self.dialogs, self._seen, self._asked = [], [], [], {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target,
                                  flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """Sends one order and gives its answer."""
        self._count += 1
        order = {"id": self._count, "method": method, "params": params}
        if self._session and not method.startswith(("Target.", "Browser.")):
            order["sessionId"] = self._session
        data = json.dumps(order).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data):]
        return self._until(lambda said: said.get("id") == order["id"])

    def open(self, path, width=1000, height=900, scheme="light"):
        """Opens a file and waits until it is loaded; seconds that it took."""
        self.console, self.dialogs, self._seen, self._asked = [], [], [], {}
        self.size(width, height)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        start = time.monotonic()
        self.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        self._until(lambda said: said.get("method") == "Page.loadEventFired")
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return time.monotonic() - start

    @property
    def requests(self):
        return list(self._asked.values())

    def size(self, width, height):
        """Sets the size of the window."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def saves_to(self, folder):
        """Lets the page save files, all into this folder and without a question."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def run(self, expression):
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key, text=None):
        """Presses a key where the focus is; `text` is what it writes."""
        codes = {"Enter": 13, "Tab": 9, " ": 32, "ArrowDown": 40}
        down = {"type": "keyDown", "key": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        if text is not None:
            down["text"] = text
        self.call("Input.dispatchKeyEvent", **down)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def write(self, words):
        """Types text where the focus is."""
        self.call("Input.insertText", text=words)

    def picture(self, path, whole=False):
        """Writes a screenshot, of the window or of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole,
                         **({"clip": self._clip()} if whole else {}))
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        """Ends the browser."""
        with contextlib.suppress(OSError):
            os.close(self._to)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)

    def _clip(self):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 8000),
                "scale": 1}

    def _until(self, wanted):
        """Reads what the browser says until it is what is wanted."""
        end = time.monotonic() + SECONDS
        while True:
            for position, said in enumerate(self._seen):
                if wanted(said):
                    del self._seen[position]
                    return said.get("result", said.get("params"))
            if not select.select([self._from], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            read = os.read(self._from, 1 << 20)
            if not read:
                raise EOFError("the browser has ended")
            *whole, self._left = (self._left + read).split(b"\0")
            for said in map(json.loads, whole):
                if "error" in said:
                    raise AssertionError(said["error"])
                self._note(said)
                self._seen.append(said)

    def _note(self, said):
        params = said.get("params", {})
        if said.get("method") == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(a.get("value", a)) for a in params["args"]))
        elif said.get("method") == "Runtime.exceptionThrown":
            self.console.append(str(params["exceptionDetails"]))
        elif said.get("method") == "Log.entryAdded":
            self.console.append(params["entry"]["text"])
        elif said.get("method") == "Network.requestWillBeSent":
            self._asked[params["requestId"]] = params["request"]["url"]
        elif said.get("method") == "Network.loadingFailed" and params.get("blockedReason") == "csp":
            del self._asked[params["requestId"]]
        elif said.get("method") == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])


@contextlib.contextmanager
def opened():
    """A browser that ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(folder)
        try:
            yield browser
        finally:
            browser.close()
