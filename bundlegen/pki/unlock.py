"""The unlock codes of sealed bundles: one per host, made once, kept in the store beside the keys, never in ``out/``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bundlegen.errors import StoreError
from bundlegen.pki import entropy, sealing
from bundlegen.pki.files import Intake, check_folder, failing_as, make_folder, private_umask, read_private

FOLDER: Final = "unlock"


def ensure(store: Path, hosts: Iterable[str]) -> dict[str, str]:
    """The code of each host, made if there is none yet. Only to be called under the store's lock.

    Raises StoreError if one is damaged or open to others, OutputError if there is no space.
    """
    folder, codes = store / FOLDER, {}
    with private_umask(), Intake(store) as intake:
        make_folder(folder)
        check_folder(folder)
        for host in hosts:
            try:
                codes[host] = _read(folder / host)
            except FileNotFoundError:
                codes[host] = sealing.code(entropy.new_unlock_number())
                intake.add_file(folder / host, f"{codes[host]}\n".encode())
        intake.settle()
    return codes


def read(store: Path) -> dict[str, str]:
    """Every code in the store by host. Raises StoreError if there is none, or as :func:`ensure`."""
    folder = store / FOLDER
    if not os.path.lexists(folder):
        raise StoreError(f"{store} has no unlock codes", hint="they are made by: bundlegen build --seal")
    check_folder(store)
    check_folder(folder)
    with failing_as("read", folder):
        hosts = sorted(path.name for path in folder.iterdir())
    return {host: _read(folder / host) for host in hosts}


def _read(path: Path) -> str:
    text = read_private(path).decode("ascii", "replace").removesuffix("\n")
    try:
        sealing.password(text)
    except ValueError:
        raise StoreError(f"{path} is damaged", hint="restore it from a backup") from None
    return text
