"""New pairs for a store: issued, handed to what puts them in their places, and noted in the record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from bundlegen.pki import authorities, pairs
from bundlegen.pki.catalog import CertRequest, cross_request
from bundlegen.pki.entropy import Entropy
from bundlegen.pki.files import Intake
from bundlegen.pki.issue import Pair, PrivateKey, algorithm_of, certificate_pem, issue
from bundlegen.pki.ledger import Ledger

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


@dataclass(frozen=True)
class Making:
    """What one run issues for the store at ``path``, dated ``now``."""

    path: Path
    entropy: Entropy
    now: datetime
    intake: Intake
    ledger: Ledger

    def ca(
        self, request: CertRequest, key: PrivateKey, cluster: Cluster, trusted: Pair | None
    ) -> tuple[Pair, x509.Certificate | None]:
        """A CA, and its cross certificate if hosts trust another one, ``trusted``, which it does not outlive."""
        made = Pair(issue(request, key=key, serial=self.entropy.new_serial(), issued_at=self.now), key)
        self.ledger.issued(request, made.certificate, None)
        content, cross = pairs.files(made, pairs.CA_FILES), None
        if trusted is not None:
            crossing = crossed(cluster, request.issue, trusted.certificate, self.now)
            cross = self._cross(crossing, made, trusted, None)
            content[authorities.CROSS_FILE] = certificate_pem(cross)
        place = authorities.folder_of(self.path, request.issue) if request.issue else self.path / pairs.CA_FOLDER
        self.intake.add_folder(place, content)
        return made, cross

    def brought(self, cluster: Cluster, number: int, signer: Pair, trusted: Pair | None) -> x509.Certificate | None:
        """What the store keeps of a CA that is brought along for the change ``number``; gives its cross certificate,
        if hosts trust another one, ``trusted``."""
        content, cross = {authorities.BROUGHT_FILE: certificate_pem(signer.certificate)}, None
        if trusted is not None and trusted != signer:
            crossing = crossed(cluster, number, trusted.certificate, self.now, signer.certificate)
            cross = self._cross(crossing, signer, trusted, signer.certificate)
            content[authorities.CROSS_FILE] = certificate_pem(cross)
        self.intake.add_folder(authorities.folder_of(self.path, number), content)
        return cross

    def _cross(
        self, request: CertRequest, signer: Pair, trusted: Pair, named: x509.Certificate | None
    ) -> x509.Certificate:
        serial = self.entropy.new_serial()
        made = issue(request, key=signer.key, serial=serial, issued_at=self.now, issuer=trusted, named=named)
        self.ledger.issued(request, made, trusted.certificate)
        return made

    def leaf(self, request: CertRequest, key: PrivateKey, issuer: Pair, cross: x509.Certificate | None) -> Pair:
        """The pair of a host; ``cross``: what follows its certificate, None for nothing."""
        serial = self.entropy.new_serial()
        certificate = issue(request, key=key, serial=serial, issued_at=self.now, issuer=issuer)
        made = Pair(certificate, key, () if cross is None else (cross,))
        place = pairs.leaf_folder(self.path, request, issuer.certificate)
        self.intake.add_folder(place, pairs.files(made, pairs.LEAF_FILES))
        return made


def crossed(
    cluster: Cluster, number: int, trusted: x509.Certificate, now: datetime, brought: x509.Certificate | None = None
) -> CertRequest:
    """The request for the cross certificate that the change ``number`` makes: no older than either CA.

    ``brought``: the CA that is brought along for it; None: the store makes one.
    """
    asked = cross_request(cluster, number, cluster.pki.ca_certificate_validity_period)
    ends = [trusted.not_valid_after_utc]
    if brought is not None:
        names = brought.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if names else brought.subject.rfc4514_string()
        algorithm = algorithm_of(brought.public_key()) or asked.algorithm
        asked = replace(asked, common_name=name, dns_names=(), algorithm=algorithm)
        ends.append(brought.not_valid_after_utc)
    left = min(ends) - now.replace(microsecond=0)
    return replace(asked, validity=min(asked.validity, left))
