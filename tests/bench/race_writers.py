"""race_writers - who fills the disk in tests/bench/race.

A writer is called with the host, how many bytes to take, and how many a second (0: no limit). The answer: whether it never met ENOSPC.
"""

import concurrent.futures
import errno
import os
import time

from race_host import IMAGE_BYTES, MIB


def take_space(host, amount, rate, name="filler"):
    """By fallocate: no data are written, so the disk's own speed is no limit."""

    def more(file, at):
        os.posix_fallocate(file.fileno(), at, 4 * MIB)
        return 4 * MIB

    return fill(host.filler(name), amount, rate, more)


def write_files(host, amount, rate, name="filler.data"):
    return fill(host.filler(name), amount, rate, lambda file, _: file.write(host.noise[:MIB]))


def fill(path, amount, rate, more):
    begun, written = time.monotonic(), 0

    def go_on():
        nonlocal written
        with open(path, "wb", buffering=0) as file:
            while written < amount:
                written += more(file, written)
                ahead = begun + written / rate - time.monotonic() if rate else 0
                if ahead > 0:
                    time.sleep(ahead)

    return without_enospc(go_on)


def without_enospc(work):
    try:
        work()
        return True
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False


def by_four(make, amount):
    """Four at a time, none any more after the first that fails."""

    def go_on():
        with concurrent.futures.ThreadPoolExecutor(4) as makers:
            made = [makers.submit(make) for _ in range(amount // IMAGE_BYTES)]
            try:
                for one in concurrent.futures.as_completed(made):
                    one.result()
            finally:
                makers.shutdown(cancel_futures=True)

    return without_enospc(go_on)


def load_images(host, amount, _):
    return by_four(host.load_layer, amount)


def build_in_engine(host, amount, _):
    return by_four(host.build_in_engine, amount)


def build_in_builder(host, amount, _):
    return by_four(host.build_in_builder, amount)


def mixed(host, amount, rate):
    """All at once: half of it taken at the rate, the rest as files, loaded and built."""
    parts = ((take_space, 0.5, rate), (write_files, 0.3, 0), (load_images, 0.1, 0), (build_in_engine, 0.1, 0))
    with concurrent.futures.ThreadPoolExecutor(len(parts)) as writers:
        begun = [writers.submit(writer, host, int(share * amount), its_rate) for writer, share, its_rate in parts]
        return all([one.result() for one in begun])
