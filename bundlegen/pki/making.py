"""New pairs for a store: issued, handed to what puts them in their places, and noted in the record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from bundlegen.pki import authorities, pairs
from bundlegen.pki.catalog import CertRequest, cross_request
from bundlegen.pki.entropy import Entropy
from bundlegen.pki.files import Intake
from bundlegen.pki.issue import Pair, PrivateKey, certificate_pem, issue
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
            left = trusted.certificate.not_valid_after_utc - self.now.replace(microsecond=0)
            crossing = cross_request(cluster, request.issue, min(request.validity, left))
            serial = self.entropy.new_serial()
            cross = issue(crossing, key=key, serial=serial, issued_at=self.now, issuer=trusted)
            self.ledger.issued(crossing, cross, trusted.certificate)
            content[authorities.CROSS_FILE] = certificate_pem(cross)
        place = authorities.folder_of(self.path, request.issue) if request.issue else self.path / pairs.CA_FOLDER
        self.intake.add_folder(place, content)
        return made, cross

    def leaf(self, request: CertRequest, key: PrivateKey, issuer: Pair, cross: x509.Certificate | None) -> Pair:
        """The pair of a host; ``cross``: what follows its certificate, None for nothing."""
        serial = self.entropy.new_serial()
        certificate = issue(request, key=key, serial=serial, issued_at=self.now, issuer=issuer)
        made = Pair(certificate, key, () if cross is None else (cross,))
        place = pairs.leaf_folder(self.path, request, issuer.certificate)
        self.intake.add_folder(place, pairs.files(made, pairs.LEAF_FILES))
        return made
