"""busy_day - what jobs, operators and accidents do to a private host (private_host) at the same time, and what the daemon must not do then.

Each actor is a thread that acts, waits a little, and acts again. What may not happen to them is written down in `wrongs`, one sentence each,
while it happens: who drives the day looks there. What is broken on purpose is broken by `accident()`, so that who suffers from it is excused.
"""

import contextlib
import http.client
import json
import os
import random
import shutil
import subprocess
import threading
import time

from plain_daemon import Connection, wait_until
from private_host import JOB_USER, MIB, Gone

GRACE = 1
KEPT = "kept/one:1"
DISK = ("min_free: 150MiB, reclaim_below: 20%, reclaim_to: 24%, keep_used_within: 2s, grace: 1s, ballast: 40MiB, "
        'keep: [ "kept/*" ]')
BUILDERS = "[ { name: s3 }, { name: heal } ]"  # accidents happen to `heal`
MORE = "on_full: { purge_builds: true, builder_prune: true }\n"
CONTAINERS = {"buildwarden_s3", "buildx_buildkit_s30", "buildwarden_heal", "buildx_buildkit_heal0"}

# Whether it was served decides what may be expected of it. With neither cache nor network; its content is like no other.
JOB = """
context=$(mktemp -d "$DOCKER_CONFIG/context.XXXXXX")
cp "$(command -v busybox)" "$context/busybox"
head -c {size}M /dev/urandom > "$context/noise"
printf '%s\\n' 'FROM scratch' 'COPY busybox /bin/sh' 'COPY noise /noise' 'RUN echo {id} > /built' > "$context/Dockerfile"
eval "$(buildwarden job start --id {id} --use {builder} --agent {agent} --pipeline p --pid $$)" || {{ echo REFUSED; exit 0; }}
[ -n "${{BUILDX_BUILDER-}}" ] || {{ echo UNSERVED; exit 0; }}
echo SERVED
docker build --progress plain --provenance=false "$context" || echo FAILED
echo ENDING
read -r
buildwarden job end --id {id} || echo NOTENDED
"""


class Job:
    def __init__(self, name):
        self.name = name
        self.served = None  # when its admission was known to the job
        self.ending = None  # when it began to end
        self.ended = False  # the daemon has said so


class BusyDay:
    def __init__(self, host, seed):
        self.host = host
        self.random = random.Random(seed)
        self.wrongs = []
        self.jobs = {}
        self.uses = {}  # of each image by id: when it was used last, at the earliest
        self.names = {}
        self.deleted = {}  # by id: when, by the engine's clock
        self.accidents = []  # [when it began, when all was whole again or None]
        self.figures = dict.fromkeys(("jobs", "builds", "unserved", "refused", "images", "deleted", "containers", "accidents", "excused"), 0)
        self.lock = threading.RLock()
        self.over = threading.Event()
        self.threads = []
        self.stream = None

    # ---- the day

    def begin(self, agents, builders=("s3", "s3")):
        self.host.load_image(KEPT, MIB)
        self.act(self.watch_deletions)
        self.act(self.load_images)
        self.act(self.run_containers)
        self.act(self.ask_for_room)
        for number in range(agents):
            self.act(self.hold_leases, f"agent-{number}")
        for number, builder in enumerate(builders):
            self.act(self.build, f"builder-{number}", builder)

    def act(self, actor, *arguments):
        thread = threading.Thread(target=self.until_over, args=(actor, *arguments), daemon=True)
        self.threads.append(thread)
        thread.start()

    def until_over(self, actor, *arguments):
        luck = random.Random(self.random.random())
        while not self.over.is_set():
            try:
                actor(luck, *arguments)
            except Gone as gone:
                if not self.is_excused(time.time() - 60):
                    self.host_is_there(actor.__name__, gone)
                self.pause(0.3)
            except Exception as error:  # else the day would go on without it
                self.wrong(f"{actor.__name__} {arguments}: {error!r}")
                return

    def host_is_there(self, actor, gone):
        """Of the daemon it is expected that it is gone; of the engine it is not."""
        if "docker.sock" in str(gone):
            self.wrong(f"{actor}: {gone}")

    def end(self):
        """All jobs are over after it."""
        self.over.set()
        with contextlib.suppress(OSError, AttributeError):
            self.stream.sock.shutdown(2)
        for thread in self.threads:
            thread.join(600)
            if thread.is_alive():
                self.wrong("an actor hangs")

    def wrong(self, what):
        with self.lock:
            self.wrongs.append(f"{time.strftime('%H:%M:%S')} {what}")

    def count(self, what):
        with self.lock:
            self.figures[what] += 1

    def pause(self, seconds):
        self.over.wait(seconds)

    # ---- accidents

    @contextlib.contextmanager
    def accident(self):
        """What fails in the meantime, or was begun in it, is excused."""
        interval = [time.time(), None]
        with self.lock:
            self.accidents.append(interval)
            self.figures["accidents"] += 1
        try:
            yield
        finally:
            interval[1] = time.time()

    def is_excused(self, since, until=None):
        until = until or time.time()
        with self.lock:
            return any(begin <= until and (end is None or end >= since) for begin, end in self.accidents)

    # ---- what is used

    def used(self, image, since):
        with self.lock:
            self.uses[image] = max(since, self.uses.get(image, 0))

    def load_images(self, luck):
        if self.host.free() > 450 * MIB:
            self.load("load/i{}:1", 16 * MIB)
        self.pause(luck.uniform(0.3, 1))

    def load(self, pattern, size):
        """Its id."""
        with self.lock:
            self.figures["images"] += 1
            name = pattern.format(self.figures["images"])
        since = time.time()
        image = self.host.load_image(name, size)
        self.used(image, since)
        with self.lock:
            self.names[image] = name
        return image

    def run_containers(self, luck):
        """One that runs for a while, and sometimes is left for somebody else to remove."""
        with self.lock:
            images = [image for image, when in self.uses.items() if time.time() - when < 20]
        if not images:
            return self.pause(0.3)
        image, name = luck.choice(images), f"job-{self.figures['containers']}-{luck.getrandbits(32):x}"
        since = time.time()
        status, said = self.host.run_container(name, image, "sleep", "600")
        if status != 201 and not self.host.has_image(image):
            return None  # it has gone meanwhile, as it may: nobody had used it lately
        if status != 201:
            return self.wrong(f"a container of {image}: {status} {said}")
        created = time.time()
        self.used(image, since)
        self.count("containers")
        self.pause(luck.uniform(0.5, 2.5))
        found = self.host.container(name)
        self.used(image, time.time())
        if not found or not (found["State"]["Running"] or self.is_excused(since - 60)):
            return self.wrong(f"the running container {name} was ended: {found and found['State']}")
        gone = self.deleted.get(image, 0)
        if not self.host.has_image(image) and gone > created:  # before, the engine itself lets both happen at once
            self.wrong(f"the image {image} of the running container {name} is gone since {gone - created:.3f} s after it began to run")
        if luck.random() < 0.3:
            self.host.engine("POST", f"/containers/{name}/kill")
        else:
            self.host.engine("DELETE", f"/containers/{name}?force=1")
        return self.used(image, time.time())

    def ask_for_room(self, luck):
        """An operator who wants more than there is."""
        self.pause(luck.uniform(3, 9))
        self.host.post("/v1/disk/reclaim", {"target_free_bytes": 1 << 50})

    # ---- jobs

    def hold_leases(self, luck, agent):
        """Jobs without a shell: a lease with a checkout, sometimes an image of their own."""
        name = f"{agent}/{luck.getrandbits(48):x}"
        checkout = f"{self.host.dir}/disk/builds/{agent}/acme/p{luck.randrange(3)}"
        job = self.begin_job(name, {"id": name, "agent": agent, "pipeline": "p", "checkout_path": checkout, "pid": os.getpid(),
                                    **({"builders": ["s3"]} if luck.random() < 0.5 else {})})
        if job.served:
            os.makedirs(f"{checkout}/.git", exist_ok=True)
            with open(f"{checkout}/.git/index", "wb") as file:
                file.write(bytes(MIB))
            with contextlib.suppress(Gone):
                image = self.load("job/i{}:1", MIB) if luck.random() < 0.5 and self.host.free() > 350 * MIB else None
                self.pause(luck.uniform(0.5, 2.5))
                if image and not self.host.has_image(image) and not self.is_excused(job.served):
                    self.wrong(f"job {name} lost the image that it had loaded")
            if not os.path.exists(f"{checkout}/.git/index"):
                self.wrong(f"job {name} lost its checkout {checkout}")
        self.end_job(job)
        self.pause(luck.uniform(0, 1))

    def begin_job(self, name, request):
        job = Job(name)
        with self.lock:
            self.jobs[name] = job
            self.figures["jobs"] += 1
        try:
            status, said = self.host.post("/v1/jobs", request)
            if status == 507:
                self.count("refused")
            elif status in (200, 201):
                job.served = time.time()
            else:
                self.wrong(f"job {name} was answered {status}: {said}")
        except Gone:
            self.count("unserved")
        return job

    def end_job(self, job):
        """Asks until it is told; a lease that was granted must still be known."""
        job.ending = time.time()
        attempts = 0
        while True:
            attempts += 1
            try:
                status, said = self.host.ask("DELETE", f"/v1/jobs/{job.name.replace('/', '%2F')}")
            except Gone:
                time.sleep(0.2)
                if attempts > 1500:
                    return self.wrong(f"job {job.name} could not be ended for five minutes")
                continue
            if status == 404 and job.served and attempts == 1:
                self.wrong(f"the lease of job {job.name} was lost")
            elif status not in (204, 404):
                self.wrong(f"the end of job {job.name} was answered {status}: {said}")
            job.ended = True
            return None

    def build(self, luck, agent, builder):
        """A job in a shell of its own, with an empty DOCKER_CONFIG, as the agent's user without the engine's socket."""
        if self.host.free() < 300 * MIB:
            return self.pause(0.5)
        name = f"{agent}-{luck.getrandbits(48):x}"
        folder = f"{self.host.dir}/job-{name}"
        os.mkdir(folder)
        os.chown(folder, JOB_USER, JOB_USER)
        words = ["setpriv", "--reuid", str(JOB_USER), "--regid", str(JOB_USER), "--clear-groups", "env", "-i", "HOME=/nonexistent",
                 f"PATH={self.host.dir}/bin:/usr/local/bin:/usr/bin:/bin", f"DOCKER_CONFIG={folder}",
                 "DOCKER_HOST=unix:///nonexistent/docker.sock", f"BUILDWARDEN_SOCKET={self.host.api}", "bash", "-c",
                 JOB.format(id=name, builder=builder, agent=agent, size=luck.choice((1, 4)))]
        job = Job(name)
        with self.lock:
            self.jobs[name] = job
            self.figures["jobs"] += 1
        begun = time.time()
        try:
            self.follow_build(job, begun, words)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return self.pause(luck.uniform(0, 1))

    def follow_build(self, job, begun, words):
        lines = []
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(words, **pipes, text=True, errors="replace") as process:
            for line in process.stdout:
                lines.append(line)
                if line == "SERVED\n":
                    job.served = time.time()
                elif line == "ENDING\n":  # known here before the daemon can know it
                    job.ending = time.time()
                    process.stdin.write("\n")
                    process.stdin.flush()
        job.ending, job.ended = job.ending or time.time(), True
        said = set(lines)
        if "UNSERVED\n" in said or "REFUSED\n" in said:
            return self.count("unserved" if "UNSERVED\n" in said else "refused")
        if "FAILED\n" in said and self.is_excused(begun):
            return self.count("excused")
        if process.returncode != 0 or "FAILED\n" in said or "NOTENDED\n" in said:
            return self.wrong(f"job {job.name} failed with {process.returncode}:\n  " + "  ".join(lines[-25:]))
        return self.count("builds")

    # ---- what is deleted

    def watch_deletions(self, _):
        """All image deletions of this day are the daemon's: by the engine's own stream with its own times."""
        filters = '{"type":["image"],"event":["delete"]}'.replace('"', "%22")
        self.stream = Connection(f"{self.host.dir}/docker.sock", None)
        try:
            self.stream.request("GET", f"/v1.41/events?filters={filters}", headers={"Host": "localhost"})
            for line in self.stream.getresponse():
                if line.strip():
                    event = json.loads(line)
                    self.judge_deletion(event["Actor"]["ID"], event["timeNano"] * 1e-9)
        except (OSError, http.client.HTTPException, ValueError):
            self.pause(0.2)
        finally:
            self.stream.close()

    def judge_deletion(self, image, when):
        self.count("deleted")
        with self.lock:
            used, name = self.uses.pop(image, None), self.names.get(image, "")
            self.deleted[image] = when
            since = [job for job in self.jobs.values()
                     if used and job.served and job.served < used and (job.ending is None or job.ending > when)]
        if not used:
            self.wrong(f"an image that nobody had loaded was deleted: {image}")
        elif when - used < GRACE:
            self.wrong(f"{image} {name} was deleted {when - used:.2f} s after its last use")
        elif since:
            self.wrong(f"{image} {name}, used {when - used:.2f} s before its deletion, is of the running job {since[0].name}")

    # ---- what the daemon must know

    def held(self):
        with self.lock:
            return {job.name for job in self.jobs.values() if job.served and job.ending is None}

    def check_leases(self):
        """Each lease that was granted and has not been ended is known, and none that was ended."""
        before = self.held()
        with self.lock:
            gone = {job.name for job in self.jobs.values() if job.ended and job.name.startswith("agent-")}
        known = {one["id"] for one in self.host.get("/v1/jobs")["jobs"]}
        for name in (before & self.held()) - known:
            self.wrong(f"the lease of job {name} is not known")
        for name in known & gone:
            self.wrong(f"the lease of job {name} is known again")
        for name in known - self.jobs.keys():
            self.wrong(f"there is a lease of {name}, which nobody asked for")

    def check_kept(self):
        for name in (KEPT, "moby/buildkit:buildx-stable-1"):
            if not self.host.has_image(name):
                self.wrong(f"{name} is gone")

    def check_names(self):
        """At most one container and one volume of each name, and none that nobody knows."""
        _, found = self.host.engine("GET", "/containers/json?all=1")
        names = [name.lstrip("/") for one in found or [] for name in one["Names"]]
        stray = [name for name in names if name not in CONTAINERS and not name.startswith("job-")]
        _, volumes = self.host.engine("GET", "/volumes")
        stray += [one["Name"] for one in volumes["Volumes"] or [] if one["Name"] not in ("buildwarden_s3", "buildwarden_heal")]
        _, networks = self.host.engine("GET", "/networks")
        stray += [one["Name"] for one in networks if one["Name"] not in ("bridge", "host", "none")]
        if stray:
            self.wrong(f"nobody knows {', '.join(stray)}")

    def check_nothing_is_left(self):
        """After the last job: no lease, no rubbish."""
        def left():
            return [one["id"] for one in self.host.get("/v1/jobs")["jobs"]]

        wait_until(lambda: not left(), f"all leases are over: {left()}", 300)
        self.host.post("/v1/disk/reclaim", {"target_free_bytes": 1 << 50})
        wait_until(lambda: not self.rubbish(), f"nothing is left lying about: {self.rubbish()}", 300)
        self.check_names()

    def rubbish(self):
        trash = [f"{root}/{name}" for root, folders, files in os.walk(f"{self.host.dir}/disk/builds")
                 if ".buildwarden-trash" in root for name in folders + files]
        hidden = [name for name in os.listdir(f"{self.host.dir}/disk/.buildwarden") if name != "ballast"]
        halves = [f"{folder}/{name}" for folder in ("run", "state") for name in os.listdir(f"{self.host.dir}/{folder}")
                  if name.endswith(".tmp") or "damaged" in name]
        return trash + hidden + halves


class Saboteur:
    """Does harm to the builder `heal`, one after another, whatever has become of the last."""

    HARMS = ("/containers/buildwarden_heal/kill", "/containers/buildwarden_heal/pause", "/containers/buildwarden_heal/stop?t=1",
             "", "front")

    def __init__(self, day, least, most):
        self.day, self.least, self.most = day, least, most

    def __call__(self, luck):
        self.day.pause(luck.uniform(self.least, self.most))
        harm = luck.choice(self.HARMS)
        engine = self.day.host.engine
        if harm == "front":
            engine("DELETE", "/containers/buildx_buildkit_heal0?force=1")
        elif harm:
            engine("POST", harm)
        else:
            engine("DELETE", "/containers/buildwarden_heal?force=1")
        self.day.count("accidents")
