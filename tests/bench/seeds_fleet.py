#!/usr/bin/env python3
"""seeds_fleet - a fleet that boots at once and restores its seeds from S3: requests, bytes, cost, and who starts cold. By simulation.

usage: tests/bench/seeds_fleet.py [--instances N] [--archive MIB] [--parts N] [--timeout SECONDS] [--network MIB_S] [--seed N]
       tests/bench/seeds_fleet.py --table

What is simulated is what the daemon does with the AWS CLI (daemon/seeds/s3_store.cpp): the manifest by one HEAD and one GET, each part by
one HEAD and GETs of 8 MiB, ten of them at a time in each of the parts' programs; a refused request (503) is tried again up to 20
times in all after a pause by chance of up to 1, 2, 4, ... 20 s (standard mode); restore_timeout after its begin an instance gives up and
starts cold. S3 answers at most 5,500 requests a second below one prefix, as its documentation says, in steps of 50 ms; its scaling of
a prefix within minutes is not counted on. Instances begin within two seconds of one another. Then a day of saves: each instance
asks for the seed's age when it will be old enough, and up to a tenth of `every` later (policy::ask_again_after).

Prices are those of us-east-1 in 2026: 0.0004 USD for 1,000 GETs and HEADs, 0.005 USD for 1,000 PUTs, no fee for bytes within a region.
"""
import argparse
import heapq
import json
import random

MIB = 1024 * 1024
CHUNK_MIB = 8
AT_ONCE = 10
LONGEST_PAUSE = 20
GETS_PER_SECOND = 5500
STEP = 0.05
USD_PER_GET = 0.0004 / 1000
USD_PER_PUT = 0.005 / 1000


class Instance:
    """One restore: requests that wait, bytes that came, how it ended."""

    def __init__(self, begins, parts, chunks_of_part):
        self.begins = begins
        self.left = parts * chunks_of_part
        self.chunks_left = [chunks_of_part] * parts
        self.bytes_free_at = begins
        self.ended = None
        self.cold = False


def restore(options, chance):
    chunks = max(1, -(-options.archive // CHUNK_MIB) // options.parts)
    instances = [Instance(chance.uniform(0, 2), options.parts, chunks) for _ in range(options.instances)]
    # (time, order, instance, part, attempt); part -1: the manifest. HEADs come with the first chunk of each.
    events, order = [], 0
    for one in instances:
        heapq.heappush(events, (one.begins, order, one, -1, 1))
        order += 1
    requests = refused = got_mib = 0
    budget, slot = 0.0, -1
    while events:
        now, _, one, part, attempt = heapq.heappop(events)
        if one.ended is not None:
            continue
        if now - one.begins > options.timeout:
            one.ended, one.cold = one.begins + options.timeout, True
            continue
        if int(now / STEP) != slot:
            slot, budget = int(now / STEP), GETS_PER_SECOND * STEP
        is_first = part < 0 or one.chunks_left[part] == chunks
        cost = 2 if is_first else 1
        requests += cost
        if budget < cost:
            refused += cost
            if attempt == options.attempts:
                one.ended, one.cold = now, True
                continue
            heapq.heappush(events, (now + chance.uniform(0, min(2 ** (attempt - 1), LONGEST_PAUSE)), order, one, part, attempt + 1))
            order += 1
            continue
        budget -= cost
        if part < 0:
            for at in range(options.parts):
                for _ in range(min(AT_ONCE, chunks)):
                    heapq.heappush(events, (now + 0.05, order, one, at, 1))
                    order += 1
            continue
        if one.chunks_left[part] <= 0:
            continue
        one.chunks_left[part] -= 1
        got_mib += CHUNK_MIB
        # The instance's network is one queue.
        one.bytes_free_at = max(one.bytes_free_at, now) + CHUNK_MIB / options.network
        one.left -= 1
        if one.left == 0:
            one.ended = one.bytes_free_at
            one.cold = one.ended - one.begins > options.timeout
        elif one.chunks_left[part] > 0:
            heapq.heappush(events, (one.bytes_free_at, order, one, part, 1))
            order += 1
    warm = sorted(one.ended - one.begins for one in instances if not one.cold)
    middle = warm[len(warm) // 2] if warm else None
    last = warm[int(len(warm) * 0.99)] if warm else None
    return {"archive_mib": options.archive, "instances": options.instances, "warm": len(warm), "cold": options.instances - len(warm),
            "requests": requests, "refused": refused, "gib": round(got_mib / 1024, 1),
            "seconds_middle": middle and round(middle, 1), "seconds_p99": last and round(last, 1),
            "usd": round(requests * USD_PER_GET, 3)}


def day_of_saves(options, chance, every=6.0, hours=24.0, save_hours=0.01):
    """Who asks and who saves; a save that begins before another is published is made twice."""
    born, asks, saves, twice = 0.0, 0, 0, 0
    published = []  # (time, begun)
    events = [(every + every / 10 * chance.random() ** options.spread, at, "ask") for at in range(options.instances)]
    heapq.heapify(events)
    while events:
        now, at, what = heapq.heappop(events)
        if now > hours:
            break
        asks += 1
        for time, begun in [one for one in published if one[0] <= now]:
            born = max(born, begun)
            published.remove((time, begun))
        age = now - born
        if age >= every:
            saves += 1
            twice += 1 if any(begun > born for _, begun in published) else 0
            published.append((now + save_hours, now))
            age = 0.0
        due = max(every - age, 1 / 60) + every / 10 * chance.random() ** options.spread
        heapq.heappush(events, (now + due, at, "ask"))
    puts = saves * (max(1, options.archive // CHUNK_MIB) + 2 * options.parts + 1)
    return {"asks": asks, "saves": saves, "saves_that_another_made_too": twice,
            "usd": round(asks * 2 * USD_PER_GET + puts * USD_PER_PUT, 3)}


def main():
    parser = argparse.ArgumentParser(description="a fleet that boots at once from seeds, by simulation")
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--archive", type=int, default=553, help="MiB of all parts")
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--timeout", type=float, default=120.0, help="seeds.restore_timeout in seconds")
    parser.add_argument("--network", type=float, default=600.0, help="MiB a second of one instance")
    parser.add_argument("--attempts", type=int, default=20, help="AWS_MAX_ATTEMPTS")
    parser.add_argument("--spread", type=float, default=1 / 8, help="the power of the jitter; 1: even")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    for archive in (553, 2048, 4096, 8192, 20480) if options.table else (options.archive,):
        options.archive = archive
        print(json.dumps(restore(options, random.Random(options.seed))))
    print(json.dumps(day_of_saves(options, random.Random(options.seed))))


if __name__ == "__main__":
    main()
