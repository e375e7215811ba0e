"""Every operation there is, as one table."""

from __future__ import annotations

from typing import Final

from bundlegen.operations.add import ADD
from bundlegen.operations.adopt import ADOPT
from bundlegen.operations.configure import CONFIGURE
from bundlegen.operations.create import CREATE
from bundlegen.operations.operation import Operation
from bundlegen.operations.remove import REMOVE
from bundlegen.operations.renew import RENEW
from bundlegen.operations.replace import REPLACE
from bundlegen.operations.restore import RESTORE
from bundlegen.operations.rotate_ca import ROTATE_CA
from bundlegen.operations.upgrade import UPGRADE

OPERATIONS: Final[tuple[Operation, ...]] = (
    CREATE,
    CONFIGURE,
    RENEW,
    UPGRADE,
    ADD,
    REMOVE,
    REPLACE,
    ROTATE_CA,
    RESTORE,
    ADOPT,
)
_BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}


def named(name: str) -> Operation | None:
    """The operation ``name``; None for one that this bundlegen does not know."""
    return _BY_NAME.get(name)
