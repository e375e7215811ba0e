"""A stand-in for etcdutl and etcdctl of an etcd image: PROGRAM FOLDER WORDS...; FOLDER is what the container has as /w.

/var/stub/etcdutl-version: which version it is, 3.5.15 without; `none`: the image has no etcdutl. etcdctl-version: of
etcdctl. restore-fails: what it says then. The data that it makes is the beginning of a log, whose identities are
computed as etcd does, the snapshot, and who the members are.
"""

import hashlib
import pathlib
import sys

STUB = pathlib.Path("/var/stub")
program, folder, *words = sys.argv[1:]


def told(name, usual=""):
    return (STUB / name).read_text().strip() if (STUB / name).exists() else usual


def first(text):
    return hashlib.sha1(text).digest()[:8]


def varint(number):
    found = b""
    while number > 127:
        found, number = found + bytes([number % 128 + 128]), number >> 7
    return found + bytes([number])


def frame(record):
    pad = -len(record) % 8
    return (len(record) | ((0x80 | pad) << 56 if pad else 0)).to_bytes(8, "little") + record + bytes(pad)


version = told(f"{program}-version", "3.5.15" if program == "etcdutl" else "3.4.3")
with (STUB / "restorer-calls").open("a") as calls:
    calls.write(" ".join((program, *words)) + "\n")
if version == "none":
    sys.exit(f'exec: "{program}": executable file not found in $PATH')
if words == ["version"]:
    print(f"{program} version: {version}\nAPI version: 3.5")
    sys.exit()
if text := told("restore-fails"):
    sys.exit(text)
given = dict(zip(words[3::2], words[4::2], strict=False))
inside = pathlib.Path(folder, given["--data-dir"].removeprefix("/w/"))
snapshot = pathlib.Path(folder, words[2].removeprefix("/w/")).read_bytes()
urls = dict(each.split("=", 1) for each in given["--initial-cluster"].split(","))
token = given["--initial-cluster-token"].encode()
identities = {name: first(url.encode() + token) for name, url in urls.items()}
cluster = first(b"".join(sorted(identities.values())))
member = int.from_bytes(identities[given["--name"]], "big")
ids = b"\x08" + varint(member) + b"\x10" + varint(int.from_bytes(cluster, "big"))
records = (b"\x08\x04\x10\x00", b"\x08\x01\x10" + varint(123456789) + b"\x1a" + varint(len(ids)) + ids)
for name in ("snap", "wal"):
    (inside / "member" / name).mkdir(parents=True)
(inside / "member/wal/0000000000000000-0000000000000000.wal").write_bytes(b"".join(map(frame, records)) + bytes(64))
(inside / "member/snap/db").write_bytes(snapshot[:-32])
(inside / "member/members").write_text(given["--initial-cluster"])
(inside / "member/cluster").write_text(cluster.hex().lstrip("0"))
