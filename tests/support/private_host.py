"""private_host - a private engine on a bounded disk (packaging/sandbox) with the real daemon on it, for the tests in Python.

From the environment: BUILDWARDEN_BIN, BUILDWARDEN_LAB; without them the release build and the lab of this checkout. Needs root.
"""

import contextlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile

from plain_daemon import Connection, wait_until

CHECKOUT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))
SANDBOX = f"{CHECKOUT}/packaging/sandbox"
PROGRAM = os.environ.get("BUILDWARDEN_BIN", f"{CHECKOUT}/build/release/bin/buildwarden")
LAB = os.environ.get("BUILDWARDEN_LAB", f"{CHECKOUT}/build/lab")
MIB = 1 << 20
JOB_USER = 2000

CONFIGURATION = """
disk: {{ watch: [ {{ path: {dir}/disk, gate: true }} ], min_free_inodes: 1000, {disk} }}
builders: {builders}
emulation: {{ platforms: [] }}
agent: {{ user: "2000", group: "2000", unit: "" }}
paths: {{ run: {dir}/run, state: {dir}/state, images: {lab}/images, builds: {dir}/disk/builds, cfn_env: {dir}/cfn-env, agent_env: {dir}/agent-env, daemon_json: {dir}/daemon.json, docker_binfmt_env: {dir}/docker-binfmt.env, stack_log: {dir}/stack.log }}
engine: {{ socket: {dir}/docker.sock }}
listen: {{ socket: {dir}/run/api.sock, group: "2000", tcp: "" }}
{more}
"""


class Gone(Exception):
    """Nobody answered, or not to the end: whether the request was carried out is unknown."""


def ask(socket, method, target, body=None, patience=120):
    """The status and what the JSON says (None: nothing); the body is JSON, or bytes of a tar archive."""
    connection = Connection(socket, patience)
    media = "application/x-tar" if isinstance(body, bytes) else "application/json"
    content = body if isinstance(body, bytes) or body is None else json.dumps(body)
    try:
        connection.request(method, target, content, {"Host": "localhost", "Content-Type": media})
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Gone(f"{method} {target}: {error!r}") from error
    finally:
        connection.close()
    if answer.headers.get_content_type().endswith("json") and b"}\r\n{" not in said:
        return answer.status, json.loads(said) if said.strip() else None
    return answer.status, said.decode(errors="replace")


def archive(files):
    """As tar: each content by its name. All may be executed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


class Host:
    """For a `with`: everything is taken down at its end. `disk`: keys of the configuration's disk, `more`: lines at its end; `on`: the
    folder where the disk's image lies."""

    def __init__(self, disk, builders="[]", more="", size="3G", on="/tmp"):
        self.dir = tempfile.mkdtemp(prefix="bws.", dir=on)
        self.texts = {"disk": disk, "builders": builders, "more": more}
        self.size = size
        self.daemon = None

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
        os.chmod(self.dir, 0o755)
        for folder in ("bin", "state", "run"):
            os.mkdir(f"{self.dir}/{folder}")
        shutil.copy(PROGRAM, f"{self.dir}/bin/buildwarden")  # the jobs' user may not be able to read the checkout
        self.configure()
        try:
            self.sandbox("up", "--size", self.size, "--lab", LAB)
            # In memory, as /run is; `down` takes it off again.
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=64m", "run", f"{self.dir}/run"], check=True)
        except subprocess.CalledProcessError:
            self.__exit__()
            raise
        os.makedirs(f"{self.dir}/disk/builds")
        os.chown(f"{self.dir}/disk/builds", JOB_USER, JOB_USER)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.end()
        subprocess.run([SANDBOX, "down", self.dir], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def sandbox(self, command, *more):
        subprocess.run([SANDBOX, command, self.dir, *more], check=True, stdout=subprocess.DEVNULL)

    def configure(self, **texts):
        """Writes its configuration, with other texts for some of those that it was made with."""
        self.texts.update(texts)
        with open(f"{self.dir}/b.yaml.new", "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(dir=self.dir, lab=LAB, **self.texts))
        os.rename(f"{self.dir}/b.yaml.new", f"{self.dir}/b.yaml")

    # ---- the daemon

    @property
    def api(self):
        return f"{self.dir}/run/api.sock"

    def start(self, environment=None):
        """Starts it and waits until it answers."""
        with open(f"{self.dir}/daemon.log", "ab") as log:
            arguments = [f"{self.dir}/bin/buildwarden", "serve", "--config", f"{self.dir}/b.yaml"]
            self.daemon = subprocess.Popen(arguments, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
        wait_until(self.answers, "the daemon answers")

    def answers(self):
        assert self.daemon.poll() is None, f"the daemon ended by itself:\n{self.log()[-8000:]}"
        with contextlib.suppress(Gone):
            return self.ask("GET", "/healthz")[0] == 200
        return False

    def kill(self):
        self.daemon.kill()
        self.daemon.wait(120)

    def end(self):
        """How it ended on SIGTERM; None when none runs."""
        if not self.daemon or self.daemon.poll() is not None:
            return None
        self.daemon.send_signal(signal.SIGTERM)
        return self.daemon.wait(120)

    def ask(self, method, target, body=None, patience=120):
        return ask(self.api, method, target, body, patience)

    def get(self, target):
        status, said = self.ask("GET", target)
        assert status == 200, f"{target}: {status} {said}"
        return said

    def post(self, target, body):
        """Waited for to its end: the status and the body that it has then. Gone also when the daemon was interrupted."""
        status, said = self.ask("POST", target, body)
        while status == 202:
            found = self.ask("GET", f"/v1/operations/{said['operation']}?wait=5")
            if found[0] == 404 or found[1]["state"] == "interrupted":
                raise Gone(f"POST {target}: {found}")
            if found[1]["state"] == "done":
                return found[1]["status"], found[1]["result"]
        return status, said

    def events(self, since=0):
        return self.get(f"/v1/events?since={since}")["events"]

    def metrics(self):
        """By name with its labels, as they stand in the text."""
        return {name: float(value) for name, value in re.findall(r"^([^#\s]+(?:\{.*\})?) (\S+)$", self.get("/metrics"), re.M)}

    def is_warm(self, builder=None):
        """One of the builders, or all of them."""
        return all(one["state"] == "warm" for one in self.get("/v1/builders")["builders"] if builder in (None, one["name"]))

    def log(self):
        with open(f"{self.dir}/daemon.log", encoding="utf-8", errors="replace") as file:
            return file.read()

    # ---- the engine and its disk

    def engine(self, method, target, body=None, patience=120):
        return ask(f"{self.dir}/docker.sock", method, f"/v1.41{target}", body, patience)

    def free(self):
        info = os.statvfs(f"{self.dir}/disk")
        return info.f_bavail * info.f_frsize

    def leave_free(self, amount):
        """By one big file, which belongs to nobody."""
        with open(f"{self.dir}/disk/filler", "wb") as file:
            if self.free() > amount:
                os.posix_fallocate(file.fileno(), 0, self.free() - amount)

    def load_image(self, name, size):
        """An image of busybox and noise; its id. Gone: the engine could not."""
        with open(shutil.which("busybox"), "rb") as program:
            packed = archive({"busybox": program.read(), "noise": os.urandom(size)})
        repository, tag = name.rsplit(":", 1)
        _, said = self.engine("POST", f"/images/create?fromSrc=-&repo={repository}&tag={tag}", packed)
        found = re.search(r'"status":"(sha256:\w+)"', said if isinstance(said, str) else json.dumps(said, separators=(",", ":")))
        if not found:
            raise Gone(f"{name} was not loaded: {said}")
        return found.group(1)

    def has_image(self, name):
        return self.engine("GET", f"/images/{name}/json")[0] == 200

    def container(self, name):
        """What the engine tells of it; None: there is none."""
        status, said = self.engine("GET", f"/containers/{name}/json")
        return said if status == 200 else None

    def run_container(self, name, image, *command):
        status, said = self.engine("POST", f"/containers/create?name={name}", {
            "Image": image, "Cmd": ["/busybox", *command], "HostConfig": {"NetworkMode": "none"}})
        if status != 201:
            return status, said
        status, said = self.engine("POST", f"/containers/{name}/start")
        return (201, None) if status == 204 else (status, said)
