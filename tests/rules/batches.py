#!/usr/bin/env python3
"""Puts translation units together, so that a tool which reads syntax trees reads their headers once for many of them.

usage: batches.py DATABASE FOLDER SIZE < FILES

DATABASE is a compile_commands.json with an entry for each file; FILES are paths, one a line, and those that it does not know are
passed over. Writes FOLDER/N.cpp, each with the text of at most SIZE files that are compiled alike, FOLDER/N.lines, which says in which
line of it each file begins, and FOLDER/compile_commands.json. The text, not an #include: clang's static analyzer begins its paths in the
main file alone.
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


def write_batch(name, paths):
    at = 1
    with open(name, "w", encoding="utf-8") as batch, open(name[: -len("cpp")] + "lines", "w", encoding="utf-8") as begins:
        for path in paths:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            begins.write(f"{at} {path}\n")
            batch.write(text)
            at += text.count("\n")


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
            write_batch(name, paths[first : first + size])
            batches.append({"directory": folder, "file": name, "arguments": [*json.loads(command), "-c", name]})
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(batches, file)


main(sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3]))
