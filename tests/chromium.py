"""A headless Chromium, spoken to by its DevTools protocol over a WebSocket (RFC 6455), with nothing but the standard
library: pages are opened, keys and pointers used, questions asked, pictures taken, and what the console said is kept."""
import base64, json, os, pathlib, shutil, socket, subprocess, tempfile, time, urllib.request

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Socket:
    """A WebSocket client: text messages, masked as clients must."""

    def __init__(self, url):
        host, _, path = url.removeprefix("ws://").partition("/")
        name, _, port = host.partition(":")
        self.socket = socket.create_connection((name, int(port)), 60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        assert b" 101 " in self.file.readline()
        while self.file.readline() != b"\r\n":
            pass

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        size = len(data)
        head = bytes([0x81, 0x80 | size]) if size < 126 else \
            bytes([0x81, 0xfe]) + size.to_bytes(2, "big") if size < 65536 else bytes([0x81, 0xff]) + size.to_bytes(8, "big")
        self.socket.sendall(head + mask + bytes(b ^ mask[k % 4] for k, b in enumerate(data)))

    def receive(self):
        whole = b""
        while True:
            first, size = self.file.read(2)
            size = int.from_bytes(self.file.read({126: 2, 127: 8}.get(size, 0)), "big") if size > 125 else size
            data = self.file.read(size)
            if first & 0xf in (0, 1, 2):
                whole += data
                if first & 0x80:
                    return whole.decode()


class Browser:
    """One page of a Chromium of its own, which ends with it."""

    def __init__(self, width=1280, height=900):
        self.folder = tempfile.mkdtemp(prefix="chromium-")
        self.process = subprocess.Popen(
            [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
             "--force-color-profile=srgb", f"--window-size={width},{height}", "--remote-debugging-port=0",
             f"--user-data-dir={self.folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": self.folder})
        told, end = pathlib.Path(self.folder, "DevToolsActivePort"), time.monotonic() + 60
        while not (told.exists() and told.read_text().count("\n")):
            assert self.process.poll() is None and time.monotonic() < end, "chromium does not start"
            time.sleep(0.02)
        port = told.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=60) as answer:
            page = next(t for t in json.load(answer) if t["type"] == "page")
        self.socket, self.last, self.said, self.asked_for = Socket(page["webSocketDebuggerUrl"]), 0, [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.size(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def note(self, message):
        """Errors and warnings of the console, what threw, and every address that was asked for."""
        kind, of = message.get("method"), message.get("params", {})
        if kind == "Runtime.exceptionThrown":
            self.said.append(of["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif kind == "Runtime.consoleAPICalled" and of["type"] in ("error", "warning", "assert"):
            self.said.append(f"{of['type']}: {[a.get('value') for a in of['args']]}")
        elif kind == "Log.entryAdded" and of["entry"]["level"] in ("error", "warning"):
            self.said.append(of["entry"]["text"])
        elif kind == "Network.requestWillBeSent":
            self.asked_for.append(of["request"]["url"])

    def call(self, method, until=None, **params):
        """The answer of one method; with `until`, the first event of that name after it."""
        self.last += 1
        self.socket.send(json.dumps({"id": self.last, "method": method, "params": params}))
        answer = event = None
        while answer is None or (until and event is None):
            message = json.loads(self.socket.receive())
            self.note(message)
            if message.get("id") == self.last:
                assert "error" not in message, (method, message)
                answer = message["result"]
            elif message.get("method") == until:
                event = message["params"]
        return answer

    def size(self, width, height, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def open(self, path):
        self.call("Page.navigate", until="Page.loadEventFired", url=pathlib.Path(path).resolve().as_uri())
        self.settle()

    def settle(self):
        """Two frames were drawn."""
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def ask(self, script):
        """The value of an expression in the page; of a promise, what it becomes."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def scheme(self, scheme, media=""):
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.settle()

    def key(self, key, text="", shift=False):
        codes = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        common = dict(key=key, windowsVirtualKeyCode=codes.get(key, 0), modifiers=8 if shift else 0)
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text or ({"Enter": "\r", " ": " "}.get(key, "")), **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.call("Input.insertText", text=text)
        self.settle()

    def click(self, selector):
        """With the pointer, in the middle of an element."""
        x, y = self.ask(f"(e => {{ e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect();"
                        f" return [b.left + b.width / 2, b.top + b.height / 2]; }})(document.querySelector({json.dumps(selector)}))")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left" if kind != "mouseMoved" else "none", clickCount=1)
        self.settle()

    def picture(self, path, whole=False):
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        pathlib.Path(path).write_bytes(base64.b64decode(answer["data"]))

    def paper(self, path):
        answer = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        pathlib.Path(path).write_bytes(base64.b64decode(answer["data"]))
