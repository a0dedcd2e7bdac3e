"""race_host - the bounded disk of tests/bench/race: a private engine with images on it, and the daemon that watches it.

From the environment: BUILDWARDEN_BIN, the program (build/release/bin/buildwarden); BUILDWARDEN_LAB, what packaging/sandbox prepares.
"""

import concurrent.futures
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "support"))
from plain_daemon import Connection  # noqa: E402

CHECKOUT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))
SANDBOX = os.path.join(CHECKOUT, "packaging", "sandbox")
PROGRAM = os.environ.get("BUILDWARDEN_BIN", os.path.join(CHECKOUT, "build", "release", "bin", "buildwarden"))
LAB = os.environ.get("BUILDWARDEN_LAB", os.path.join(CHECKOUT, "build", "lab"))
MIB = 1 << 20
IMAGES = 48
IMAGE_BYTES = 64 * MIB
UNUSED_FOR = 2  # seconds: keep_used_within
LOW_SHARE = 0.15
TARGET_SHARE = 0.25
CRITICAL = 200 * MIB

CONFIGURATION = """
disk: {{ watch: [ {{ path: {dir}/disk, gate: true }} ], min_free: 200MiB, min_free_inodes: 100, reclaim_below: 15%, reclaim_to: 25%, keep_used_within: 2s, grace: 1s, ballast: 0B }}
builders: []
emulation: {{ platforms: [] }}
agent: {{ user: "0", group: "0", unit: "" }}
paths: {{ run: {dir}/run, state: {dir}/state, images: {dir}/images, builds: {dir}/disk/builds, cfn_env: {dir}/cfn-env, agent_env: {dir}/agent-env, daemon_json: {dir}/daemon.json, docker_binfmt_env: {dir}/docker-binfmt.env, stack_log: {dir}/stack.log }}
engine: {{ socket: {dir}/docker.sock }}
listen: {{ socket: {dir}/run/api.sock, group: "0", tcp: "" }}
"""


def ask(path, method, target, body=None, content_type="application/json"):
    connection = Connection(path, 120)
    try:
        connection.request(method, target, body, {"Content-Type": content_type})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def packed(files):
    """A tar archive; files: name -> content."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


class Host:
    """The sandbox, below `folder`, with the daemon on it; everything is taken down at the end."""

    def __init__(self, folder):
        self.dir = tempfile.mkdtemp(prefix="bwr.", dir=folder)
        self.disk = os.path.join(self.dir, "disk")
        self.api = os.path.join(self.dir, "run", "api.sock")
        self.engine = os.path.join(self.dir, "docker.sock")
        self.daemon = None
        self.noise = os.urandom(IMAGE_BYTES)
        self.serial = 0
        self.numbering = threading.Lock()

    def __enter__(self):
        subprocess.run([SANDBOX, "up", self.dir, "--size", "6G", "--lab", LAB], check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(self.dir, "b.yaml"), "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(dir=self.dir))
        return self

    def __exit__(self, *_):
        self.stop()
        subprocess.run([SANDBOX, "down", self.dir], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        with open(os.path.join(self.dir, "daemon.log"), "ab") as log:
            self.daemon = subprocess.Popen([PROGRAM, "serve", "--config", os.path.join(self.dir, "b.yaml")], stdout=log, stderr=log)
        for _ in range(300):
            try:
                if ask(self.api, "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("the daemon is not ready: " + os.path.join(self.dir, "daemon.log"))

    def stop(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(20)
            self.daemon = None

    def free(self):
        info = os.statvfs(self.disk)
        return info.f_bavail * info.f_frsize

    def share(self, part):
        info = os.statvfs(self.disk)
        return int(info.f_blocks * info.f_frsize * part)

    def filler(self, name="filler"):
        return os.path.join(self.disk, name)

    def fresh_layer(self):
        """IMAGE_BYTES like no others."""
        with self.numbering:
            self.serial += 1
            return self.serial, b"%16d" % self.serial + self.noise[16:]

    def load_image(self):
        serial, content = self.fresh_layer()
        target = f"/images/create?fromSrc=-&repo=race&tag=i{serial}"
        self.engine_writes(target, packed({"data": content}))

    def build_image(self):
        """By the engine's own classic builder: the context lies on the disk meanwhile, once more."""
        serial, content = self.fresh_layer()
        context = packed({"data": content, "Dockerfile": b"FROM scratch\nCOPY data /data\n"})
        self.engine_writes(f"/build?version=1&nocache=1&t=race:b{serial}", context)

    def engine_writes(self, target, archive):
        """OSError when the engine says that it could not."""
        status, said = ask(self.engine, "POST", target, archive, "application/x-tar")
        if status == 200 and b'"error"' not in said:
            return
        words = said[-300:].decode(errors="replace")
        raise OSError(errno.ENOSPC if "no space left" in words else errno.EIO, words)

    def images(self):
        return json.loads(ask(self.engine, "GET", "/images/json")[1])

    def prepare(self):
        """As many images as there shall be, none used lately, and nothing else."""
        for name in os.listdir(self.disk):
            if name.startswith("filler"):
                os.unlink(os.path.join(self.disk, name))
        known = self.images()
        for image in known[IMAGES:]:
            ask(self.engine, "DELETE", "/images/" + image["Id"])
        with concurrent.futures.ThreadPoolExecutor(4) as loaders:
            for loaded in [loaders.submit(self.load_image) for _ in range(IMAGES - len(known))]:
                loaded.result()
        subprocess.run(["sync", "-f", self.disk], check=True)
        time.sleep(UNUSED_FOR + 0.5)  # older than keep_used_within, by both clocks
