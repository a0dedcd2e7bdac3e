"""race_host - the bounded disk of tests/bench/race: a private engine with images on it, and the daemon that watches it.

From the environment: as tests/support/private_host.py.
"""

import concurrent.futures
import errno
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "support"))
import private_host  # noqa: E402
from plain_daemon import wait_until  # noqa: E402
from private_host import MIB, archive  # noqa: E402

IMAGES = 48
IMAGE_BYTES = 64 * MIB
UNUSED_FOR = 2  # seconds: keep_used_within
LOW_SHARE = 0.15
TARGET_SHARE = 0.25
CRITICAL = 200 * MIB

DISK = "min_free: 200MiB, reclaim_below: 15%, reclaim_to: 25%, keep_used_within: 2s, grace: 1s, ballast: 0B"
BUILDER = "race"

# A job in whose way nobody stands: its context on another disk, an empty DOCKER_CONFIG, no engine.
BUILD = """
eval "$(buildwarden job start --id {name} --use {builder} --pid $$)"
printf 'FROM scratch\\nCOPY data /data\\n' > "$DOCKER_CONFIG/Dockerfile"
docker build --progress plain --provenance=false --no-cache --file "$DOCKER_CONFIG/Dockerfile" {context} 2>&1
"""


class Host(private_host.Host):
    """With its disk's image in the folder `on`."""

    def __init__(self, on):
        super().__init__(DISK, size="6G", on=on)
        self.noise = os.urandom(IMAGE_BYTES)
        self.serial = 0
        self.numbering = threading.Lock()

    def start_ready(self):
        self.start()
        wait_until(lambda: self.ask("GET", "/readyz")[0] == 200, "the daemon is ready")

    def share(self, part):
        info = os.statvfs(f"{self.dir}/disk")
        return int(info.f_blocks * info.f_frsize * part)

    def filler(self, name="filler"):
        return os.path.join(self.dir, "disk", name)

    def fresh_layer(self):
        """IMAGE_BYTES like no others."""
        with self.numbering:
            self.serial += 1
            return self.serial, b"%16d" % self.serial + self.noise[16:]

    def load_layer(self):
        serial, content = self.fresh_layer()
        self.engine_writes(f"/images/create?fromSrc=-&repo=race&tag=i{serial}", archive({"data": content}))

    def build_in_engine(self):
        """By the engine's own classic builder: the context lies on the disk meanwhile, once more."""
        serial, content = self.fresh_layer()
        context = archive({"data": content, "Dockerfile": b"FROM scratch\nCOPY data /data\n"})
        self.engine_writes(f"/build?version=1&nocache=1&t=race:b{serial}", context)

    def engine_writes(self, target, packed):
        """OSError when the engine says that it could not."""
        status, said = self.engine("POST", target, packed)
        words = said if isinstance(said, str) else json.dumps(said)
        if status != 200 or '"error"' in words:
            raise no_space_or(words)

    def be_warm(self):
        """With a warm builder from now on."""
        self.configure(builders=f"[ {{ name: {BUILDER} }} ]")
        wait_until(lambda: self.get("/v1/builders")["builders"] and self.is_warm(), "the builder is warm", 120)

    def build_in_builder(self):
        """By the warm builder, as a job does: the context and the layer lie in its cache afterwards."""
        serial, content = self.fresh_layer()
        folder = f"{self.dir}/job-{serial}"
        os.makedirs(f"{folder}/context")
        with open(f"{folder}/context/data", "wb") as file:
            file.write(content)
        environment = {"PATH": f"{self.dir}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "DOCKER_CONFIG": folder,
                       "DOCKER_HOST": "unix:///nonexistent/docker.sock", "BUILDWARDEN_SOCKET": self.api}
        script = BUILD.format(name=f"race-{serial}", builder=BUILDER, context=f"{folder}/context")
        done = subprocess.run(["bash", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise no_space_or(done.stdout + done.stderr)

    def images(self):
        return self.engine("GET", "/images/json")[1]

    def prepare(self):
        """As many images as there shall be, none used lately, and nothing else."""
        for name in os.listdir(f"{self.dir}/disk"):
            if name.startswith("filler"):
                os.unlink(self.filler(name))
        known = self.images()
        for image in known[IMAGES:]:
            self.engine("DELETE", "/images/" + image["Id"])
        with concurrent.futures.ThreadPoolExecutor(4) as loaders:
            for loaded in [loaders.submit(self.load_layer) for _ in range(IMAGES - len(known))]:
                loaded.result()
        subprocess.run(["sync", "-f", f"{self.dir}/disk"], check=True)
        time.sleep(UNUSED_FOR + 0.5)  # older than keep_used_within, by both clocks


def no_space_or(words):
    return OSError(errno.ENOSPC if "no space left" in words else errno.EIO, words[-300:])
