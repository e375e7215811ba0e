"""Which flags each etcd minor knows: one table, and the few questions asked of it. Pure.

Sources: the flag sets of etcd's own source at every tag from v3.4.0 to v3.7.1 (``etcdmain/config.go``, from 3.6 on
``server/embed/config.go``), which give what Debian's etcd 3.4.23, 3.5.16 and 3.5.30 accept, name for name; gates:
``server/features/etcd_features.go``. A patch release has added flags, and none has taken one away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

Version: TypeAlias = tuple[int, int, int]
Kind: TypeAlias = Literal["bool", "int", "uint", "duration", "text", "ignored"]
"""What etcd takes a value for; ``ignored``: it takes the flag and does nothing."""

# `in` names the versions that a flag came with: 3.5.8 is there from that patch release of 3.5 on.
_TABLE: Final = """
in 3.4
  bool: debug
  text: experimental-backend-bbolt-freelist-type log-output log-package-levels
in 3.4 3.5
  bool: enable-v2
  text: experimental-enable-v2v3 proxy
  uint: proxy-dial-timeout proxy-failure-wait proxy-read-timeout proxy-refresh-interval proxy-write-timeout
in 3.4 3.5 3.6
  bool: experimental-enable-lease-checkpoint experimental-initial-corrupt-check
    experimental-peer-skip-client-san-verification
  duration: experimental-corrupt-check-time
  int: experimental-compaction-batch-limit
  text: discovery discovery-proxy
in 3.4 3.5 3.6 3.7
  bool: auto-tls client-cert-auth enable-grpc-gateway enable-pprof force-new-cluster initial-election-tick-advance
    peer-auto-tls peer-client-cert-auth pre-vote strict-reconfig-check version
  duration: backend-batch-interval grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout
  ignored: cluster-active-size cluster-remove-delay cluster-sync-interval config force max-result-buffer
    max-retry-attempts peer-election-timeout peer-heartbeat-interval retry-interval snapshot v vv
  int: backend-batch-limit quota-backend-bytes
  text: advertise-client-urls auth-token auto-compaction-mode auto-compaction-retention cert-file cipher-suites
    client-cert-allowed-hostname client-crl-file config-file cors data-dir discovery-fallback discovery-srv
    discovery-srv-name host-whitelist initial-advertise-peer-urls initial-cluster initial-cluster-state
    initial-cluster-token key-file listen-client-urls listen-metrics-urls listen-peer-urls log-level log-outputs
    logger metrics name peer-cert-allowed-cn peer-cert-allowed-hostname peer-cert-file peer-crl-file peer-key-file
    peer-trusted-ca-file trusted-ca-file wal-dir
  uint: bcrypt-cost election-timeout heartbeat-interval max-request-bytes max-snapshots max-txn-ops max-wals
    snapshot-count
in 3.5 3.6
  bool: experimental-enable-distributed-tracing experimental-memory-mlock
    experimental-txn-mode-write-with-shared-buffer
  duration: experimental-downgrade-check-time
  text: experimental-distributed-tracing-address experimental-distributed-tracing-instance-id
    experimental-distributed-tracing-service-name
  uint: experimental-bootstrap-defrag-threshold-megabytes
in 3.5 3.6 3.7
  bool: enable-log-rotation socket-reuse-address socket-reuse-port
  duration: raft-read-timeout raft-write-timeout
  text: backend-bbolt-freelist-type client-cert-file client-key-file log-rotation-config-json peer-client-cert-file
    peer-client-key-file v2-deprecation
  uint: self-signed-cert-validity
in 3.6
  duration: experimental-warning-unary-request-duration
in 3.6 3.7
  bool: discovery-insecure-skip-tls-verify discovery-insecure-transport enable-distributed-tracing memory-mlock
    peer-skip-client-san-verification
  duration: compact-hash-check-time compaction-sleep-interval corrupt-check-time discovery-dial-timeout
    discovery-keepalive-time discovery-keepalive-timeout discovery-request-timeout downgrade-check-time
    warning-apply-duration warning-unary-request-duration watch-progress-notify-interval
  int: compaction-batch-limit distributed-tracing-sampling-rate max-learners
  text: discovery-cacert discovery-cert discovery-endpoints discovery-key discovery-password discovery-token
    discovery-user distributed-tracing-address distributed-tracing-instance-id distributed-tracing-service-name
    feature-gates log-format
  uint: bootstrap-defrag-threshold-megabytes snapshot-catchup-entries
in 3.4.10 3.5 3.6 3.7
  bool: unsafe-no-fsync
  uint: auth-token-ttl
in 3.4.11 3.5 3.6
  duration: experimental-watch-progress-notify-interval
in 3.4.16 3.5 3.6
  duration: experimental-warning-apply-duration
in 3.4.20 3.5.2 3.6
  bool: experimental-enable-lease-checkpoint-persist
in 3.4.20 3.5.5 3.6 3.7
  uint: max-concurrent-streams
in 3.4.25 3.5.8 3.6 3.7
  text: listen-client-http-urls tls-max-version tls-min-version
in 3.4.31
  bool: next-cluster-version-compatible
in 3.5.11 3.6
  int: experimental-distributed-tracing-sampling-rate
in 3.5.14 3.6
  bool: experimental-stop-grpc-service-on-defrag
  uint: experimental-snapshot-catchup-entries
in 3.5.16 3.6
  duration: experimental-compaction-sleep-interval
in 3.5.5 3.6
  bool: experimental-compact-hash-check-enabled
  duration: experimental-compact-hash-check-time
"""

_GATES_OF_36: Final = frozenset(
    {
        "CompactHashCheck",
        "InitialCorruptCheck",
        "LeaseCheckpoint",
        "LeaseCheckpointPersist",
        "SetMemberLocalAddr",
        "StopGRPCServiceOnDefrag",
        "TxnModeWriteWithSharedBuffer",
        "AllAlpha",
        "AllBeta",
    }
)
GATES: Final = {6: _GATES_OF_36, 7: _GATES_OF_36 | {"FastLeaseKeepAlive", "PriorityRequest"}}
"""The names that ``feature-gates`` may hold, by minor."""

_GATE_OF: Final = {
    "experimental-compact-hash-check-enabled": "CompactHashCheck",
    "experimental-enable-lease-checkpoint": "LeaseCheckpoint",
    "experimental-enable-lease-checkpoint-persist": "LeaseCheckpointPersist",
    "experimental-initial-corrupt-check": "InitialCorruptCheck",
    "experimental-stop-grpc-service-on-defrag": "StopGRPCServiceOnDefrag",
    "experimental-txn-mode-write-with-shared-buffer": "TxnModeWriteWithSharedBuffer",
}

_FORMS: Final[dict[Kind, tuple[re.Pattern[str], str]]] = {
    "bool": (re.compile(r"1|0|t|f|T|F|true|false|TRUE|FALSE|True|False"), "true or false"),
    "int": (re.compile(r"[-+]?(0[xX][0-9a-fA-F_]+|[0-9][0-9_]*)", re.ASCII), "a whole number, without a unit"),
    "uint": (re.compile(r"0[xX][0-9a-fA-F_]+|[0-9][0-9_]*", re.ASCII), "a whole number, without a unit"),
    "duration": (
        re.compile(r"[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)", re.ASCII),
        "a duration with its unit, such as 5m or 100ms",
    ),
}


@dataclass(frozen=True)
class Flag:
    """One flag: what it takes, and the patch release of each minor that it is there from, ascending."""

    name: str
    kind: Kind
    since: tuple[tuple[int, int], ...]

    def is_in(self, version: Version) -> bool:
        """Whether etcd of this version starts with it."""
        return any(minor == version[1] and patch <= version[2] for minor, patch in self.since)

    @property
    def first_minor(self) -> int:
        return self.since[0][0]

    @property
    def last_minor(self) -> int:
        return self.since[-1][0]


def _read(table: str) -> dict[str, Flag]:
    flags: dict[str, Flag] = {}
    since: tuple[tuple[int, int], ...] = ()
    kind = ""
    for word in re.findall(r"\S+|\n(?=in )", table):
        if word == "\n":
            since, kind = (), "in"
        elif kind == "in" and (version := re.fullmatch(r"3\.(\d+)(?:\.(\d+))?", word)):
            since += ((int(version[1]), int(version[2] or 0)),)
        elif word.endswith(":"):
            kind = word[:-1]
        elif word != "in":
            flags[word] = Flag(word, cast(Kind, kind), since)
    return flags


FLAGS: Final = _read(_TABLE)
FIRST_MINOR: Final = min(flag.first_minor for flag in FLAGS.values())
LAST_MINOR: Final = max(flag.last_minor for flag in FLAGS.values())


def names(version: Version) -> frozenset[str]:
    """The flags that do something in etcd of this version."""
    return frozenset(name for name, flag in FLAGS.items() if flag.kind != "ignored" and flag.is_in(version))


def gate_of(name: str) -> str:
    """The feature gate that stands for an experimental flag since 3.6; empty if there is none."""
    return _GATE_OF.get(f"experimental-{name.removeprefix('experimental-')}", "")


def form_elsewhere(name: str, version: Version) -> str:
    """What etcd of this version calls the flag ``name`` of another: with or without ``experimental-``; or empty."""
    plain = name.removeprefix("experimental-")
    other = f"experimental-{name}" if plain == name else plain
    renamed = {"log-output": "log-outputs"}.get(name, other)
    return renamed if renamed in names(version) else ""


def unfit(kind: Kind, value: str) -> str:
    """What etcd wants in place of ``value``, for the kinds of which it is strict; empty if that will do."""
    form, wanted = _FORMS.get(kind, (None, ""))
    return "" if form is None or form.fullmatch(value) else wanted


def text_of(version: Version) -> str:
    """``3.5.15``."""
    return ".".join(map(str, version))
