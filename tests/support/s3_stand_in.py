#!/usr/bin/env python3
"""s3_stand_in.py - as much of S3's protocol as the AWS CLI needs to copy, list and remove objects: for tests.

usage: s3_stand_in.py FOLDER LOG          prints "http://127.0.0.1:PORT"

Objects lie in FOLDER, one file each, named by their quoted keys; each request is a line of LOG. Names in FOLDER/.faults say what goes wrong:
"403" refuses everything, "slow" waits a second for each 64 KiB of a part.
"""
import http.server
import itertools
import os
import re
import sys
import threading
import time
import urllib.parse

folder, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
uploads, numbers, lock = {}, itertools.count(1), threading.Lock()


def path_of(key):
    return os.path.join(folder, urllib.parse.quote(key, safe=""))


def has_fault(name):
    return os.path.exists(os.path.join(folder, ".faults", name))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        log.write(f"{self.command} {self.path}\n")

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def where(self):
        url = urllib.parse.urlsplit(self.path)
        parts = urllib.parse.unquote(url.path).lstrip("/").split("/", 1)
        return parts[1] if len(parts) > 1 else "", urllib.parse.parse_qs(url.query, keep_blank_values=True)

    # As it comes, or in chunks of aws-chunked, whose sizes and checksums stand between them.
    def body(self):
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return data
        whole = b""
        while data:
            line, data = data.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            whole, data = whole + data[:size], data[size + 2 :]
        return whole

    def list(self, query):
        prefix = query.get("prefix", [""])[0]
        keys = sorted(urllib.parse.unquote(name) for name in os.listdir(folder) if not name.startswith("."))
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-12-01T00:00:00.000Z</LastModified><ETag>x</ETag>"
            f"<Size>{os.path.getsize(path_of(key))}</Size></Contents>"
            for key in keys
            if key.startswith(prefix)
        )
        self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode())

    def do_GET(self):
        if has_fault("403"):
            return self.refuse(403, "AccessDenied")
        key, query = self.where()
        if not key:
            return self.list(query)
        if not os.path.exists(path_of(key)):
            return self.refuse(404, "NoSuchKey")
        with open(path_of(key), "rb") as file:
            data = file.read()
        size, asked = len(data), re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = {"ETag": '"x"', "Last-Modified": "Tue, 01 Dec 2026 00:00:00 GMT", "Content-Length": str(size)}
        if asked and self.command == "GET":
            first, last = int(asked[1]), int(asked[2] or size - 1)
            data = data[first : last + 1]
            headers |= {"Content-Range": f"bytes {first}-{first + len(data) - 1}/{size}", "Content-Length": str(len(data))}
        if self.command == "HEAD":
            return self.answer(200, b"", headers)
        slow = has_fault("slow") and key.endswith(".zst")
        self.send_response(206 if asked else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for at in range(0, len(data), 65536):
            self.wfile.write(data[at : at + 65536])
            if slow:
                time.sleep(1)

    do_HEAD = do_GET

    def do_PUT(self):
        key, query = self.where()
        data = self.body()
        if has_fault("403"):
            return self.refuse(403, "AccessDenied")
        if "uploadId" in query:
            with lock:
                uploads[query["uploadId"][0]][int(query["partNumber"][0])] = data
        else:
            with open(path_of(key), "wb") as file:
                file.write(data)
        self.answer(200, b"", {"ETag": '"x"'})

    def do_POST(self):
        key, query = self.where()
        self.body()
        if "uploads" in query:
            with lock:
                number = str(next(numbers))
                uploads[number] = {}
            return self.answer(200, f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>".encode())
        with lock:
            parts = uploads.pop(query["uploadId"][0])
        with open(path_of(key), "wb") as file:
            file.write(b"".join(parts[number] for number in sorted(parts)))
        return self.answer(200, b'<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>')

    def do_DELETE(self):
        key, _ = self.where()
        if os.path.exists(path_of(key)):
            os.remove(path_of(key))
        self.answer(204)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
