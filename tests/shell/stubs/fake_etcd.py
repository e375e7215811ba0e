"""A stand-in for etcd: the HTTP that the installer asks for, over TLS with client certificates, and a data directory.

/var/stub/etcd-mode decides how it is: healthy (default), waiting, silent (to clients), alarm, broken, or wrong-count.
"""

import http.server
import json
import pathlib
import socket
import ssl
import sys
import threading
import time

STUB = pathlib.Path("/var/stub")
PKI = pathlib.Path("/etc/kubernetes/pki/etcd")
ARGUMENTS = dict(
    argument[2:].split("=", 1) for argument in sys.argv[1:] if argument.startswith("--") and "=" in argument
)
MEMBERS = ARGUMENTS["initial-cluster"].split(",")


def mode():
    try:
        return (STUB / "etcd-mode").read_text().strip()
    except FileNotFoundError:
        return "healthy"


class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, status, body):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/health":
            if mode() == "silent" and isinstance(self.connection, ssl.SSLSocket):
                (STUB / "asked").touch()
                time.sleep(60)
            elif mode() == "waiting":
                self.reply(503, '{"health":"false","reason":"RAFT NO LEADER"}')
            elif mode() == "alarm":
                self.reply(503, '{"health":"false","reason":"ALARM NOSPACE"}')
            else:
                self.reply(200, '{"health":"true"}')
        elif self.path == "/metrics":
            self.reply(200, f"# HELP x\netcd_server_has_leader {0 if mode() == 'waiting' else 1}\n")
        else:
            self.reply(404, "")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/v3/cluster/member/list":
            count = len(MEMBERS) + (1 if mode() == "wrong-count" else 0)
            self.reply(200, json.dumps({"members": [{"ID": str(n), "peerURLs": ["x"]} for n in range(count)]}))
        elif self.path == "/v3/maintenance/alarm":
            self.reply(
                200,
                '{"header":{},"alarms":[{"memberID":"1","alarm":"NOSPACE"}]}' if mode() == "alarm" else '{"header":{}}',
            )
        elif self.path == "/v3/maintenance/status":
            self.reply(200, '{"version":"3.5.15","dbSize":"20480","leader":"1234"}')
        else:
            self.reply(404, "")

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address, port):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Handler)


def serve(address, port, context=None):
    server = Server(address, port)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


if mode() == "broken" or ARGUMENTS.get("broken"):
    sys.exit("stand-in: broken on purpose")
pathlib.Path(ARGUMENTS["data-dir"], "member").mkdir(parents=True, exist_ok=True)
address = ARGUMENTS["listen-client-urls"].removeprefix("https://").rsplit(":", 1)[0].strip("[]")
FAMILY = socket.AF_INET6 if ":" in address else socket.AF_INET
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(PKI / "server.crt", PKI / "server.key")
context.load_verify_locations(PKI / "ca.crt")
context.verify_mode = ssl.CERT_REQUIRED
serve("127.0.0.1", 2381)
serve(address, 2379, context)
peer = socket.create_server((address, 2380), family=FAMILY)
while True:
    peer.accept()[0].close()
