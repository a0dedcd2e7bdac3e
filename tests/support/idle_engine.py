"""idle_engine - an engine with nothing in it, as far as a daemon without builders asks: python3 idle_engine.py SOCKET DATA_ROOT.

It says what it is and where it lies, has empty lists, and an event stream in which nothing happens.
"""

import http.server
import json
import os
import socketserver
import sys

SOCKET, DATA_ROOT = sys.argv[1:]
VERSION = {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
INFO = {"ID": "idle", "Name": "idle", "DockerRootDir": DATA_ROOT, "Driver": "overlay2", "ServerVersion": "26.1.5", "OSType": "linux",
        "Architecture": "x86_64", "DriverStatus": [], "SecurityOptions": [], "DefaultAddressPools": []}
OBJECTS = {"/volumes": {"Volumes": []}, "/system/df": {"BuildCache": [], "Images": [], "Containers": [], "Volumes": []}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, kind="application/json"):
        data = body.encode()
        self.send_response(200)
        self.send_header("Api-Version", VERSION["ApiVersion"])
        self.send_header("Ostype", "linux")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/v1."):
            path = path[path.index("/", 1):]
        if path == "/events" and "until=" in self.path:
            self.answer("")
        elif path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            self.connection.recv(1)
            self.close_connection = True
        elif path == "/_ping":
            self.answer("OK", "text/plain")
        else:
            self.answer(json.dumps({"/version": VERSION, "/info": INFO, **OBJECTS}.get(path, [])))

    do_HEAD = do_GET

    def address_string(self):
        return "unix"

    def log_message(self, *words):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # who asked has gone


if os.path.exists(SOCKET):
    os.unlink(SOCKET)
Server(SOCKET, Handler).serve_forever()
