#!/usr/bin/env python3
"""seeds_restore - how fast a seed is restored from a folder, beside `zstd -d | tar x` of the same files from the same place.

usage: tests/bench/seeds_restore.py [--program FILE] [--folder DIR] [--mib N] [--files N] [--rounds N]

Makes files of random sizes, half of their bytes random, saves them by the seeds' own process (`work-on-seed`) and by `tar | zstd -1`, and
restores both in turn, each time into an empty folder and after a sync, so that both read from the page cache and write what the disk
takes. As root. Says the seconds of each round, the ratio of the medians (above 1: the seed is faster), and the most memory of the process.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1024 * 1024


def make_files(folder, mib, files):
    chance = random.Random(1)
    left = mib * MIB
    for at in range(files):
        below = os.path.join(folder, f"layer{at % 50}", f"dir{at % 1000}")
        os.makedirs(below, exist_ok=True)
        size = min(left, int(chance.expovariate(files / (mib * MIB)))) if at + 1 < files else left
        left -= size
        with open(os.path.join(below, f"file{at}"), "wb") as file:
            file.write(chance.randbytes(size - size // 2) + bytes(size // 2))


def work(program, order):
    """The answer of the seeds' process, its seconds and its most memory in MiB."""
    begin = time.monotonic()
    child = subprocess.Popen([program, "work-on-seed"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdin.write(json.dumps(order).encode())
    child.stdin.close()
    lines = child.stdout.read().decode().splitlines()
    _, status, usage = os.wait4(child.pid, 0)
    took = time.monotonic() - begin
    answer = json.loads(lines[-1])
    if status != 0:
        sys.exit(f"it failed: {answer}")
    return answer, took, usage.ru_maxrss / 1024


def empty(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "_data"))
    os.sync()


def main():
    parser = argparse.ArgumentParser(description="restores of seeds beside tar")
    root = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
    parser.add_argument("--program", default=os.path.join(root, "build/release/bin/buildwarden"))
    parser.add_argument("--folder", default=None, help="where there is room for four times the bytes")
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--files", type=int, default=50000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as top:
        volume, into, plain = (os.path.join(top, name) for name in ("volume", "into", "plain"))
        os.makedirs(os.path.join(volume, "_data"))
        os.makedirs(os.path.join(top, "store"))
        make_files(os.path.join(volume, "_data"), options.mib, options.files)
        nothing = {"format": 1, "builder": "s3", "architecture": "amd64", "buildkit": "v0.23.0", "snapshotter": "", "engine": "",
                   "instance": "", "created_at": "2026-01-01T00:00:00.000Z", "unpacked_bytes": 0, "entries": 0, "parts": [],
                   "previous": []}
        order = {"task": "save", "location": os.path.join(top, "store"), "builder": "s3", "architecture": "amd64", "aws_cli": "",
                 "region": "", "endpoint_url": "", "imds_url": "", "volume": volume, "stem": "20260101T000000Z-0123456789abcdef",
                 "manifest": json.dumps(nothing), "most": 1 << 40, "patience_ms": 0}
        saved, save_seconds, save_mib = work(options.program, order)
        archive = os.path.join(top, "plain.tar.zst")
        subprocess.run(f"tar -C '{volume}/_data' --xattrs --xattrs-include='*' -c . | zstd -q -1 > '{archive}'", shell=True, check=True)
        seeds, tars, most = [], [], 0
        for _ in range(options.rounds):
            empty(into)
            restored, took, mib = work(options.program, {**order, "task": "restore", "volume": into, "manifest": saved["manifest"]})
            seeds.append(took)
            most = max(most, mib)
            empty(plain)
            begin = time.monotonic()
            subprocess.run(f"zstd -q -d < '{archive}' | tar -C '{plain}/_data' --xattrs --xattrs-include='*' -x", shell=True, check=True)
            tars.append(time.monotonic() - begin)
        same = subprocess.run(["diff", "-rq", os.path.join(into, "_data"), os.path.join(plain, "_data")], check=False)
        if same.returncode != 0:
            sys.exit("they differ")
        print(json.dumps({"mib": options.mib, "entries": restored["entries"], "save_seconds": round(save_seconds, 2),
                          "save_mib_memory": round(save_mib), "restore_seconds": [round(one, 2) for one in seeds],
                          "tar_seconds": [round(one, 2) for one in tars],
                          "ratio": round(statistics.median(tars) / statistics.median(seeds), 2), "restore_mib_memory": round(most)}))


if __name__ == "__main__":
    main()
