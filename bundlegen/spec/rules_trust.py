"""Rules about whose signature hosts demand. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bundlegen.spec import signers
from bundlegen.spec.finding import Finding, Rule

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


def signer_is_allowed(cluster: Cluster) -> Iterator[Finding]:
    """There is one list, and the signer is in it: on the hosts nothing else would ever run."""
    trust = cluster.trust
    if trust is None:
        return
    if trust.allowed_signers is not None and trust.signers:
        yield Finding(("trust", "signers"), "is there twice, with allowedSigners", "leave one of the two out")
    elif trust.allowed_signers is None and not trust.signers:
        hint = "add allowedSigners: allowed_signers, a file as ssh-keygen(1) describes it"
        yield Finding(("trust",), "names nobody's key", hint)
    elif trust.signers and not signers.allows(trust.signers, trust.signer):
        hint = "add its line, or correct the name"
        yield Finding(("trust", "signer"), f"no line of signers is about {trust.signer}", hint)


RULES: Final[tuple[Rule, ...]] = (signer_is_allowed,)
