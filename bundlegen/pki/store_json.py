"""What a store says about itself: ``store.json``, written once, when its CA is settled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundlegen.errors import StoreError
from bundlegen.pki.files import read_private

FORMAT: Final = 1


@dataclass(frozen=True)
class About:
    """``ca_fingerprint`` ties the store to one CA for good.

    ``ca_validity`` is in seconds, None for a CA brought along.
    """

    cluster: str
    created: str
    token: str
    ca_fingerprint: str
    ca_external: bool
    ca_validity: int | None

    def to_json(self) -> bytes:
        content = {
            "format": FORMAT,
            "cluster": self.cluster,
            "created": self.created,
            "initialClusterToken": self.token,
            "ca": {
                "source": "external" if self.ca_external else "created",
                "fingerprint": self.ca_fingerprint,
                "validity": self.ca_validity,
            },
        }
        return (json.dumps(content, indent=2) + "\n").encode()


def read(path: Path, cluster: str) -> About | None:
    """What the store says.

    None if it says nothing yet. Raises StoreError if it is damaged, newer or another cluster's.
    """
    try:
        content = json.loads(read_private(path))
    except FileNotFoundError:
        return None
    except ValueError:
        raise _damaged(path) from None
    if not isinstance(content, dict):
        raise _damaged(path)
    if isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise StoreError(f"{path} was written by a newer bundlegen (format {content['format']})", hint="use that one")
    about = _parse(content)
    if about is None:
        raise _damaged(path)
    if about.cluster != cluster:
        raise StoreError(
            f"{path} belongs to the cluster {about.cluster!r}", hint=f"name that cluster, or move {path.parent} away"
        )
    return about


def _parse(content: dict[str, object]) -> About | None:
    ca = content.get("ca")
    if content.get("format") != FORMAT or not isinstance(ca, dict) or ca.get("source") not in ("created", "external"):
        return None
    texts = (content.get("cluster"), content.get("created"), content.get("initialClusterToken"), ca.get("fingerprint"))
    validity = ca.get("validity")
    if not isinstance(validity, int | None):
        return None
    match texts:
        case (str(cluster), str(created), str(token), str(fingerprint)):
            return About(cluster, created, token, fingerprint, ca["source"] == "external", validity)
        case _:
            return None


def _damaged(path: Path) -> StoreError:
    return StoreError(f"{path} is damaged", hint="restore it from a backup")
