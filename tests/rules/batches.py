#!/usr/bin/env python3
"""Puts translation units together, so that a tool which reads syntax trees reads their headers once for many of them.

usage: batches.py DATABASE FOLDER SIZE < FILES

DATABASE is a compile_commands.json with an entry for each file; FILES are paths, one a line, and those that it does not know are
passed over. Writes FOLDER/N.cpp, each of which includes at most SIZE files that are compiled alike, and FOLDER/compile_commands.json.
"""

import collections
import json
import os
import shlex
import sys


def without_output(entry):
    """The command of an entry, without the launcher before the compiler, and without what it reads and writes."""
    words = shlex.split(entry["command"])
    while not os.path.basename(words[0]).startswith("clang++"):
        words.pop(0)
    at = words.index("-o")
    del words[at : at + 2]
    return [word for word in words if word not in ("-c", entry["file"])]


def main(database, folder, size):
    with open(database, encoding="utf-8") as file:
        entries = {entry["file"]: entry for entry in json.load(file)}
    alike = collections.defaultdict(list)
    for path in sorted(line.rstrip("\n") for line in sys.stdin):
        if path in entries:
            alike[json.dumps(without_output(entries[path]))].append(path)
    os.makedirs(folder)
    batches = []
    for command, paths in alike.items():
        for first in range(0, len(paths), size):
            name = os.path.join(folder, f"{len(batches)}.cpp")
            with open(name, "w", encoding="utf-8") as file:
                file.writelines(f'#include "{path}"\n' for path in paths[first : first + size])
            batches.append({"directory": folder, "file": name, "arguments": [*json.loads(command), "-c", name]})
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(batches, file)


main(sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3]))
