"""Where a cluster's keys and certificates are kept: issued once, kept, never overwritten.

``<pki>/<cluster>/`` holds ``store.json`` (what the store is), ``ca/`` (unless the CA was brought along),
``hosts/<host>/<certificate>-<digest of what was asked for>/`` and ``issued.jsonl``, the record. A pair is there whole
or not at all, and what a run was killed in the middle of, the next one does again.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from bundlegen.errors import StoreError
from bundlegen.pki import authorities, changes, pairs, state, store_json
from bundlegen.pki import entropy as system_entropy
from bundlegen.pki.cas import BEGINNING, Cas
from bundlegen.pki.catalog import CertRequest, ca_request, host_requests
from bundlegen.pki.compare import issue_time
from bundlegen.pki.entropy import Entropy
from bundlegen.pki.files import (
    FOLDER_MODE,
    Intake,
    check_folder,
    check_shared_folder,
    failing_as,
    locked,
    make_folder,
    private_umask,
    sweep,
)
from bundlegen.pki.history import Entry, History
from bundlegen.pki.issue import Pair, validity_window
from bundlegen.pki.keys import make_keys
from bundlegen.pki.ledger import Ledger, append
from bundlegen.pki.making import Making
from bundlegen.pki.pairs import Damage
from bundlegen.pki.state import State
from bundlegen.pki.store_json import About
from bundlegen.pki.survey import refuse_expired
from bundlegen.system import clock as system_clock
from bundlegen.system.text import stamp

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

__all__ = ["Issued", "Pair", "Progress", "Store"]

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many of the new certificates are made, and how many there will be."""


@dataclass(frozen=True)
class Issued:
    """Everything the bundles of a cluster need from its store.

    ``ca`` is what hosts trust, and ``signer`` what signs their certificates: the same, unless the cluster is on its way
    to another CA. ``leaves`` is by host name and catalogue name; ``issued_at`` says for each host when the newest of
    its certificates was issued (not back-dated); ``new`` says in words what was issued just now and why; ``warnings``
    what people should know.
    """

    ca: Pair
    signer: Pair
    leaves: Mapping[tuple[str, str], Pair]
    token: str = field(repr=False)
    issued_at: Mapping[str, datetime]
    new: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Store:
    """The store of one cluster, held under its lock. Made by :meth:`open`."""

    def __init__(
        self, path: Path, *, clock: Callable[[], datetime], today: Callable[[], datetime], entropy: Entropy
    ) -> None:
        self.path = path
        self._clock = clock
        self._today = today
        self._entropy = entropy

    @classmethod
    @contextmanager
    def open(
        cls,
        pki_root: Path,
        name: str,
        *,
        clock: Callable[[], datetime] = system_clock.dated,
        today: Callable[[], datetime] | None = None,
        entropy: Entropy = system_entropy,
    ) -> Iterator[Store]:
        """The store of the cluster ``name`` below ``pki_root``, locked until the end of the block.

        It is made if it is not there. ``clock`` dates what is new; by ``today`` (the same unless it is given) nothing
        may be issued that has expired.
        Raises StoreError where it is not private, not ours, not writable or in use.
        """
        path = pki_root / name
        with private_umask():
            with failing_as("make", pki_root):
                pki_root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            check_shared_folder(pki_root)
            make_folder(path)
            check_folder(path)
            with locked(path / pairs.LOCK):
                sweep(path)
                yield cls(path, clock=clock, today=today or clock, entropy=entropy)

    def ensure(
        self,
        cluster: Cluster,
        issues: Mapping[str, int] = MappingProxyType({}),
        *,
        cas: Cas = BEGINNING,
        needed: Container[str] | None = None,
        jobs: int | None = None,
        progress: Progress | None = None,
    ) -> Issued:
        """Everything the specification asks for: what the store has, checked, and what it lacks, issued and kept.

        ``issues``: by host, the number of the issue of its certificates; absent: the first. ``cas``: which CAs are to
        be in force. ``needed``: the hosts
        whose certificates must not have expired; None: all. ``jobs`` is how many RSA keys are made at once (default:
        one per core). Nothing of a run that fails is kept.
        Raises StoreError where the store is damaged, expired or in conflict with the specification; OutputError where
        there is no space; UsageError where what is new would have expired.
        """
        now = self._clock()
        before = state.read(self.path, cluster, now, issues, cas=cas, needed=needed)
        ledger = Ledger(before.past, now)
        with Intake(self.path) as intake:
            signer, about, made = self._issue(cluster, cas, before, now, intake, ledger, jobs, progress)
            for request, pair in before.found.items():
                ledger.found(request, pair.certificate, signer.certificate)
            if ledger.entries:
                self._make_host_folders(made)
                append(self.path / pairs.RECORD, ledger.entries)
                intake.settle()
        held = before.found | made
        return Issued(
            ca=before.trusted or signer,
            signer=signer,
            leaves={(str(request.host), request.name): held[request] for request in before.requests},
            token=cluster.etcd.initial_cluster_token or about.token,
            issued_at=_newest(held),
            new=tuple(ledger.sentences),
            warnings=before.warnings,
        )

    def again(self, cluster: Cluster, issues: Mapping[str, int], cas: Cas, name: str) -> Issued:
        """What :meth:`ensure` gave the change ``name`` once. Nothing is issued; what has expired since is given too.

        Raises StoreError where any of it is damaged or gone.
        """
        now = self._clock()
        before = state.read(self.path, cluster, now, issues, cas=cas, expired=True)
        if before.signer is None or before.trusted is None or before.about is None or before.missing:
            gone = ", ".join(request.label for request in before.missing[:4])
            raise StoreError(
                f"{self.path} no longer has what {name} was made with: {gone}", hint="restore it from a backup"
            )
        return Issued(
            ca=before.trusted,
            signer=before.signer,
            leaves={(str(request.host), request.name): pair for request, pair in before.found.items()},
            token=cluster.etcd.initial_cluster_token or before.about.token,
            issued_at=_newest(before.found),
            warnings=before.warnings,
        )

    def history(self) -> History:
        """Every change that was made of the cluster. A store in which nothing was ever issued begins one.

        So a store whose history is missing, though it has certificates, is one that bundlegen 0.1 made.
        Raises StoreError where the history is damaged.
        """
        found = changes.read(self.path)
        if found.missing and not pairs.has_leaves(self.path):
            changes.append(self.path, ())
            return changes.read(self.path)
        return found

    def record(self, entry: Entry) -> None:
        """Adds an entry to the history, durably. Raises OutputError where there is no space, else StoreError."""
        changes.append(self.path, (entry,))

    def kept(self, cluster: Cluster, issues: Mapping[str, int], cas: Cas, issued: Issued) -> Issued:
        """What the store still has of what ``cluster`` once asked for; what is damaged or gone is left out.

        ``cas``: which CAs were in force. ``issued``: the token. Raises StoreError where a CA is damaged or gone.
        """
        about = store_json.read(self.path / pairs.STORE_JSON, cluster.name)
        force = authorities.read(self.path, cluster, about, cas)
        if force.signer is None or force.trusted is None:
            raise StoreError(f"{self.path} has lost a CA", hint="restore it from a backup")
        requests = [each for host in cluster.hosts for each in host_requests(cluster, host, issues.get(host.name, 0))]
        found = pairs.find_leaves(self.path, requests, force.signer.certificate, Damage())
        return Issued(
            ca=force.trusted,
            signer=force.signer,
            leaves={(str(request.host), request.name): pair for request, pair in found.items()},
            token=issued.token,
            issued_at=_newest(found),
        )

    def _issue(
        self,
        cluster: Cluster,
        cas: Cas,
        before: State,
        now: datetime,
        intake: Intake,
        ledger: Ledger,
        jobs: int | None,
        progress: Progress | None,
    ) -> tuple[Pair, About, dict[CertRequest, Pair]]:
        """Makes what is missing, the CA and the store's description of itself included, and hands it to ``intake``."""
        asked = ca_request(cluster, cas.issue)
        signer, about, missing, cross = before.signer, before.about, before.missing, before.cross
        wanted = missing if signer else (asked, *missing)
        made: dict[CertRequest, Pair] = {}
        refuse_expired(wanted, now, self._today())
        making = Making(self.path, self._entropy, now, intake, ledger)
        with closing(make_keys([request.algorithm for request in wanted], self._entropy, jobs)) as keys:
            if signer is None:
                signer, cross = making.ca(asked, next(keys), cluster, before.trusted)
            elif before.brings:
                cross = making.brought(cluster, cas.issue, signer, before.trusted)
            elif cluster.pki.ca_files is None:
                ledger.found(asked, signer.certificate, None)
            if about is None:
                about = self._describe(cluster, signer, asked, now)
                intake.add_file(self.path / pairs.STORE_JSON, about.to_json())
            for request in missing:
                validity_window(request, now, signer.certificate)
            for request, key in zip(missing, keys, strict=False):
                made[request] = making.leaf(request, key, signer, cross)
                ledger.issued(request, made[request].certificate, signer.certificate)
                if progress is not None:
                    progress(len(made), len(missing))
        return signer, about, made

    def _describe(self, cluster: Cluster, signer: Pair, asked: CertRequest, now: datetime) -> About:
        external = cluster.pki.ca_files is not None
        return About(
            cluster=cluster.name,
            created=stamp(now),
            token=f"{cluster.name}-{self._entropy.new_token()}",
            ca_fingerprint=signer.fingerprint,
            ca_external=external,
            ca_validity=None if external else int(asked.validity.total_seconds()),
        )

    def _make_host_folders(self, made: Iterable[CertRequest]) -> None:
        hosts = self.path / pairs.HOSTS
        make_folder(hosts)
        for host in {str(request.host) for request in made}:
            make_folder(hosts / host)


def _newest(held: Mapping[CertRequest, Pair]) -> dict[str, datetime]:
    """For each host, when the newest of its certificates was issued."""
    newest: dict[str, datetime] = {}
    for request, pair in held.items():
        issued, host = issue_time(request, pair.certificate), str(request.host)
        newest[host] = max(issued, newest.get(host, issued))
    return newest
