"""plain_daemon - the real program on private paths in a folder of its own, without an engine, for the tests in Python.

From the environment: BUILDWARDEN_BIN, the program to start.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

CONFIGURATION = """
disk: {{ watch: [ {{ path: "{watched}", gate: true }} ], min_free: 1MiB, min_free_inodes: 1, reclaim_below: 2MiB, reclaim_to: 3MiB, ballast: 0B }}
builders: [ {{ name: s3 }} ]
emulation: {{ platforms: [] }}
agent: {{ user: "0", group: "0", unit: "" }}
paths: {{ run: {run}, state: {dir}/state, images: {dir}/images, builds: {dir}/builds, cfn_env: {dir}/cfn-env, agent_env: {dir}/agent-env, daemon_json: {dir}/daemon.json, docker_binfmt_env: {dir}/docker-binfmt.env, stack_log: {dir}/stack.log }}
engine: {{ socket: {dir}/docker.sock }}
listen: {{ socket: {run}/api.sock, group: "0", tcp: "{tcp}" }}
"""


class Connection(http.client.HTTPConnection):
    """HTTP on a unix socket; `patience`: seconds until an answer."""

    def __init__(self, path, patience=120):
        super().__init__("localhost", timeout=patience)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def wait_until(condition, what, seconds=120):
    """Looks until the condition holds, and gives what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Daemon:
    """`watched`: the folder whose filesystem it watches; `tcp`: listen.tcp; `run`: paths.run, with the socket in it."""

    def __init__(self, folder, watched=None, tcp="", run=None):
        self.folder = folder
        text = CONFIGURATION.format(dir=folder, watched=watched or folder, run=run or f"{folder}/run", tcp=tcp)
        self.socket = f"{run or folder + '/run'}/api.sock"
        with open(f"{folder}/buildwarden.yaml", "w") as file:
            file.write(text)
        self.start()
        wait_until(self.is_measured, "the daemon measures")

    def start(self):
        with open(f"{self.folder}/daemon.log", "w") as log:
            arguments = [os.environ["BUILDWARDEN_BIN"], "serve", "--config", f"{self.folder}/buildwarden.yaml"]
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log)

    def ask(self, method, target, body=None, headers=None):
        """The status, the media type and the body of one answer."""
        connection = Connection(self.socket)
        text = None if body is None else json.dumps(body)
        connection.request(method, target, text, {"Host": "localhost", **(headers or {})})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, (answer.headers.get_content_type() if content else ""), content

    def json(self, target):
        return json.loads(self.ask("GET", target)[2])

    def is_measured(self):
        assert self.process.poll() is None, f"the daemon ended:\n{self.log()}"
        try:
            filesystems = self.json("/v1/disk")["filesystems"]
        except OSError:
            return False
        return filesystems and filesystems[0]["level"] == "ok"

    def log(self):
        with open(f"{self.folder}/daemon.log") as file:
            return file.read()

    def port(self):
        """Of TCP, when it was told to take any."""
        return int(re.search(r"on TCP port (\d+)", self.log()).group(1))

    def end(self):
        """How it ended on SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)
