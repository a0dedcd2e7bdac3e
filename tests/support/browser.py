"""browser - Debian's Chromium without a window, driven by chromedriver over the WebDriver protocol."""

import base64
import json
import re
import subprocess
import urllib.error
import urllib.request

ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-extensions",
]


class Browser:
    def __init__(self, folder):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = next(line for line in self.driver.stdout if "started successfully on port" in line)
        port = re.search(r"port (\d+)", line).group(1)
        self.address = f"http://127.0.0.1:{port}"
        options = {"args": ARGUMENTS + [f"--user-data-dir={folder}/chromium"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        made = self.command("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{made['sessionId']}"
        self.open("about:blank")
        self.log("browser"), self.log("performance")  # of the browser's own first page

    def command(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:500]}") from error

    def open(self, url):
        self.command("POST", f"{self.session}/url", {"url": url})

    def run(self, script, *arguments):
        """What a script in the page returns."""
        return self.command("POST", f"{self.session}/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script):
        """What a script in the page gives to the function that is its last argument."""
        return self.command("POST", f"{self.session}/execute/async", {"script": script, "args": []})

    def devtools(self, name, **parameters):
        body = {"cmd": name, "params": parameters}
        return self.command("POST", f"{self.session}/goog/cdp/execute", body)

    def log(self, kind):
        return self.command("POST", f"{self.session}/se/log", {"type": kind})

    def complaints(self):
        """What stands in the console, of whatever level: the page writes nothing there itself."""
        return [entry["message"] for entry in self.log("browser")]

    def requested(self):
        """Every address that the page asked for since this was last called."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]

    def look(self, scheme, width):
        """As a screen of that width with that colour scheme shows it."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", features=features)
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)

    def shoot(self, path, size=None):
        """The whole page as a picture, or its upper left of so many pixels."""
        clip = {} if size is None else {"clip": {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}}
        picture = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, **clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))

    def end(self):
        try:
            self.command("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(timeout=120)
