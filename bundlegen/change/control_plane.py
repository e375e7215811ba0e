"""What control planes need of another CA. It travels in the change's folder, for they have no bundles. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bundlegen import layout
from bundlegen.change.decided import Decision
from bundlegen.pki import catalog
from bundlegen.pki.store import Issued


def files(
    decision: Decision, hosts: Sequence[str], issued: Issued, *, sealed: bool
) -> Iterator[tuple[str, bytes, int]]:
    """Name below the change's folder, content and mode: what API servers trust then, and the client pair of a host.

    Nothing but in the round that gives hosts certificates of another CA. ``sealed``: without the private key, which
    then leaves this machine only encrypted, for the host itself.
    """
    if decision.ca_round not in ("1", "now"):
        return
    authorities = b"".join(each.certificate_pem for each in dict.fromkeys((issued.ca, issued.signer)))
    pair = issued.leaves[hosts[0], catalog.APISERVER_ETCD_CLIENT]
    base = f"{layout.CONTROL_PLANE}/{catalog.APISERVER_ETCD_CLIENT}"
    yield f"{layout.CONTROL_PLANE}/ca.crt", authorities, layout.MODE_PLAIN
    yield f"{base}.crt", pair.certificate_pem, layout.MODE_PLAIN
    if not sealed:
        yield f"{base}.key", pair.key_pem, layout.MODE_SECRET
