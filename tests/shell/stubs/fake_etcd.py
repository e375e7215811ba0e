"""A stand-in for etcd: the HTTP that the installer asks for, over TLS with client certificates, and a data directory.

Its certificates are read at each handshake, as etcd does; not any more once /var/stub/stale is there. Each connection
that does not come to be because a key and its certificate do not fit is a line in /var/stub/mismatches.
/var/stub/etcd-mode decides how it is: healthy (default), waiting, mute (waiting, and no handshake for clients, as etcd
that has had no leader since its start), silent (to clients), alarm, broken, or wrong-count.
/var/stub/members is the member list, where a test writes one; it changes as it is asked to. /var/stub/refuse-VERB has a
line for each answer to come: a code and a message, or `drop`: done, and nothing answered.
--stub-folder=DIR makes it another host's member: its certificates and its `mode` are there, and it has no metrics.
"""

import fcntl
import hashlib
import http.server
import json
import os
import pathlib
import socket
import ssl
import sys
import threading
import time

STUB = pathlib.Path("/var/stub")
ARGUMENTS = dict(
    argument[2:].split("=", 1) for argument in sys.argv[1:] if argument.startswith("--") and "=" in argument
)
OWN = ARGUMENTS.get("stub-folder", "")
PKI = pathlib.Path(OWN or "/etc/kubernetes/pki/etcd")
MODE = pathlib.Path(OWN, "mode") if OWN else STUB / "etcd-mode"
MEMBERS = ARGUMENTS["initial-cluster"].split(",")
# as etcd says it of a flag that it does not know, and then shows how it is used
REFUSAL = """flag provided but not defined: -{}
Usage:

  etcd [OPTIONS]
    Start an etcd server.

  etcd --version
    Show the version of etcd.

  etcd gateway
    Run the stateless pass-through etcd TCP connection forwarding proxy."""


USUAL = (
    '{"header":{"cluster_id":"77","member_id":"1","revision":"42"},"version":"3.5.15","dbSize":"20480",'
    '"leader":"1234","raftIndex":"70"}'
)
# what a member says unless a file of that name beside its `mode` says otherwise
ANSWERS = {
    "/v3/maintenance/status": ("status", USUAL),
    "/v3/maintenance/hashkv": ("hash", '{"header":{"revision":"42"},"hash":111,"compact_revision":"5"}'),
}


def setting(name):
    try:
        return pathlib.Path(OWN or STUB, name).read_text().strip()
    except FileNotFoundError:
        return ""


def mode():
    try:
        return MODE.read_text().strip()
    except FileNotFoundError:
        return "healthy"


def members():
    """As a gateway of version 2 writes them, with a space after each comma."""
    try:
        return (STUB / "members").read_text()
    except FileNotFoundError:
        pass
    found = [
        {"ID": str(number + 1), "name": name, "peerURLs": [url], "clientURLs": [url]}
        for number, (name, _, url) in enumerate(member.partition("=") for member in MEMBERS)
    ]
    if mode() == "wrong-count":
        found.append({"ID": "99", "peerURLs": ["https://10.9.9.9:2380"]})
    return json.dumps({"header": {}, "members": found}, separators=(", ", ":"))


def change_members(verb, asked):
    """What becomes of a request for another list: a status, and an answer as a gateway of version 1 gives it."""
    with (STUB / "members.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refusals = STUB / f"refuse-{verb}"
        first, _, rest = refusals.read_text().partition("\n") if refusals.exists() else ("", "", "")
        if first:
            refusals.write_text(rest)
        if first and first != "drop":
            code, _, text = first.partition(" ")
            return 503, json.dumps({"error": text, "message": text, "code": int(code)}, separators=(",", ":"))
        found = json.loads(members())
        listed = found["members"]
        if verb == "add":
            new = {"ID": str(1000 + len(listed)), "peerURLs": asked["peerURLs"]}
            listed.append(new | ({"isLearner": True} if asked.get("isLearner") else {}))
        elif verb == "remove":
            listed[:] = [each for each in listed if each["ID"] != asked["ID"]]
        else:
            (one,) = [each for each in listed if each["ID"] == asked["ID"]]
            one.pop("isLearner", None)
        new_file = STUB / "members.new"
        new_file.write_text(json.dumps(found, separators=(", ", ":")))
        new_file.rename(STUB / "members")
        with (STUB / "requests").open("a") as log:
            log.write(f"{verb} {asked.get('ID', '')}\n")
        return (0, "") if first == "drop" else (200, members())


def publish(name):
    """A member that starts says its name to the others."""
    if not (STUB / "members").exists():
        return
    with (STUB / "members.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = json.loads(members())
        own = dict(each.split("=", 1) for each in ARGUMENTS["initial-cluster"].split(","))[name]
        for each in found["members"]:
            if own in each["peerURLs"]:
                each |= {"name": name, "clientURLs": each["peerURLs"]}
        (STUB / "members").write_text(json.dumps(found, separators=(", ", ":")))


class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, status, body):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def tell_cluster(self):
        """As a member tells other members, whether it has a leader or not."""
        here = data_folder() / "cluster" if not OWN else pathlib.Path(OWN, "cluster")
        self.send_response(200)
        self.send_header("X-Etcd-Cluster-Id", here.read_text().strip() if here.exists() else "4d")
        self.end_headers()

    def do_GET(self):
        if self.path == "/health":
            if mode() == "silent" and isinstance(self.connection, ssl.SSLSocket):
                (STUB / "asked").touch()
                time.sleep(60)
            elif mode() in ("waiting", "mute"):
                self.reply(503, '{"health":"false","reason":"RAFT NO LEADER"}')
            elif mode() == "alarm":
                self.reply(503, '{"health":"false","reason":"ALARM NOSPACE"}')
            else:
                self.reply(200, '{"health":"true"}')
        elif self.path == "/metrics":
            self.reply(200, f"# HELP x\netcd_server_has_leader {0 if mode() in ('waiting', 'mute') else 1}\n")
        elif self.path == "/members":
            self.tell_cluster()
        elif self.path == "/version" and isinstance(self.connection, ssl.SSLSocket):
            self.reply(200, setting("version") or '{"etcdserver":"3.5.15","etcdcluster":"3.5.0"}')
        else:
            self.reply(404, "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/v3/cluster/member/list":
            # another host's member knows them all where a test says whom
            self.reply(*((200, members()) if not OWN or (STUB / "members").exists() else (503, "")))
        elif self.path.startswith("/v3/cluster/member/"):
            status, text = change_members(self.path.rpartition("/")[2], json.loads(body))
            if status:
                self.reply(status, text)
        elif self.path == "/v3/maintenance/alarm" and setting("alarm") == "404":
            self.reply(404, "")
        elif self.path == "/v3/maintenance/alarm":
            self.reply(
                200,
                '{"header":{},"alarms":[{"memberID":"1","alarm":"NOSPACE"}]}' if mode() == "alarm" else '{"header":{}}',
            )
        elif self.path == "/v3/maintenance/snapshot" and (STUB / "snapshot").exists():
            # as long as it lasts: no length is said, and the connection is closed at the end
            self.send_response(200)
            self.end_headers()
            self.wfile.write((STUB / "snapshot").read_bytes())
        elif self.path in ANSWERS:
            name, usual = ANSWERS[self.path]
            if mode() in ("waiting", "mute"):
                # a field that is zero is left out
                usual = usual.replace('"leader":"1234",', "")
            text = setting(name) or usual
            self.reply(*((404, "") if text == "404" else (200, text)))
        else:
            self.reply(404, "")

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address, port, pair=None):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.pair = pair
        self.context = pair and context(pair)
        super().__init__((address, port), Handler)

    def get_request(self):
        connection, client = super().get_request()
        if not self.pair:
            return connection, client
        try:
            if not (STUB / "stale").exists():
                self.context = context(self.pair)
            if mode() == "mute" and self.pair == "server":
                raise OSError("no leader yet")
            return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), client
        except OSError as error:
            if "KEY_VALUES_MISMATCH" in str(error):
                with (STUB / "mismatches").open("a") as file:
                    file.write(f"{self.pair}\n")
            connection.close()
            raise


TRUSTED = (PKI / "ca.crt").read_text() if (PKI / "ca.crt").exists() else ""


def context(pair):
    """With what is on the disk now, but for the CA, which etcd reads once; that of another host's member is as a test
    has it. A member whose folder has no pair for its peers shows them the other one."""
    if not (PKI / f"{pair}.crt").exists():
        pair = "server"
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(PKI / f"{pair}.crt", PKI / f"{pair}.key")
    made.load_verify_locations(cadata=(PKI / "ca.crt").read_text() if OWN else TRUSTED)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def serve(address, port, pair=None):
    threading.Thread(target=Server(address, port, pair).serve_forever, daemon=True).start()


def varint(number):
    """A number as protocol buffers have it."""
    found = b""
    while number > 127:
        found, number = found + bytes([number % 128 + 128]), number >> 7
    return found + bytes([number])


def frame(record):
    """As etcd's log has it: the length, how much is added to a multiple of eight, the record."""
    pad = -len(record) % 8
    return (len(record) | ((0x80 | pad) << 56 if pad else 0)).to_bytes(8, "little") + record + bytes(pad)


def data_folder():
    return pathlib.Path(ARGUMENTS["data-dir"], "member")


def make_log(name):
    """The beginning of a log, which is all that is read of it. Without one, state existing is refused as by etcd."""
    (data_folder() / "snap").mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(ARGUMENTS.get("wal-dir") or data_folder() / "wal")
    if list(folder.glob("*.wal")):
        return
    # who joins finds itself in the list, which the others tell; the form of life has nobody else in it
    if ARGUMENTS.get("initial-cluster-state") == "existing" and "," not in ARGUMENTS["initial-cluster"]:
        (data_folder() / "snap" / "db").touch()
        print(
            '{"level":"fatal","msg":"discovery failed","error":"cannot fetch cluster info from peer urls"}',
            file=sys.stderr,
        )
        sys.exit(1)
    folder.mkdir(parents=True, exist_ok=True)
    (data_folder() / "members").write_text(ARGUMENTS["initial-cluster"])
    url = dict(each.split("=", 1) for each in ARGUMENTS["initial-cluster"].split(","))[name]
    token = ARGUMENTS.get("initial-cluster-token", "etcd-cluster")
    identity = int.from_bytes(hashlib.sha1(f"{url}{token}".encode()).digest()[:8], "big")
    ids = b"\x08" + varint(identity) + b"\x10" + varint(77)
    records = (b"\x08\x04\x10\x00", b"\x08\x01\x10" + varint(123456789) + b"\x1a" + varint(len(ids)) + ids)
    (folder / "0000000000000000-0000000000000000.wal").write_bytes(b"".join(map(frame, records)) + bytes(64))


if mode() == "broken":
    sys.exit("stand-in: broken on purpose")
if (STUB / "breaks-for-ever").exists() and ARGUMENTS.get("broken"):
    (STUB / "etcd-mode").write_text("broken")
if ARGUMENTS.get("broken") == "later":
    time.sleep(1.5)
if ARGUMENTS.get("broken"):
    print(REFUSAL.format("broken"), file=sys.stderr)
    sys.exit(2)
if not OWN:
    make_log(ARGUMENTS["name"])
    publish(ARGUMENTS["name"])
    MEMBERS = (data_folder() / "members").read_text().split(",")
address = ARGUMENTS["listen-client-urls"].removeprefix("https://").rsplit(":", 1)[0].strip("[]")
if OWN:
    pathlib.Path(OWN, "pid").write_text(str(os.getpid()))
else:
    serve("127.0.0.1", int(ARGUMENTS.get("listen-metrics-urls", ":2381").rsplit(":", 1)[1]))
serve(address, 2379, "server")
serve(address, 2380, "peer")
threading.Event().wait()
