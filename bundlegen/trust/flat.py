"""A YAML document as a flat table of texts, without building what it describes. Pure.

Aliases and merges, by which a small file describes a huge one, are refused, and values stay the texts they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

_DEEPEST = 32


def flat(text: bytes) -> dict[str, str]:
    """Every value by its path, such as ``ClusterConfiguration.etcd.local.extraArgs.name``.

    The first part is the document's ``kind``. A list's items are numbered from 0, unless they are a ``name`` and a
    ``value``, where the name is used.
    Raises ValueError if the text is not plain YAML.
    """
    try:
        events = yaml.parse(text.decode("utf-8"), Loader=yaml.CSafeLoader)
        found: dict[str, str] = {}
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                document = dict(_node(next(events), events, ()))
                kind = document.get(("kind",), "")
                found.update({".".join((kind, *path) if kind else path): value for path, value in document.items()})
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise ValueError("not YAML that can be read") from error
    return found


_Path = tuple[str, ...]


def _node(event: yaml.Event, events: Iterator[yaml.Event], path: _Path) -> Iterator[tuple[_Path, str]]:
    if len(path) > _DEEPEST:
        raise ValueError("nested too deeply")
    match event:
        case yaml.ScalarEvent():
            yield path, event.value
        case yaml.SequenceStartEvent():
            number = 0
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                found = dict(_node(item, events, ()))
                name = found.get(("name",), "")
                if name and set(found) == {("name",), ("value",)}:
                    yield (*path, name), found["value",]
                else:
                    for inner, value in found.items():
                        yield (*path, str(number), *inner), value
                number += 1
            if not number:
                yield path, "[]"
        case yaml.MappingStartEvent():
            empty = True
            while not isinstance(key := next(events), yaml.MappingEndEvent):
                if not isinstance(key, yaml.ScalarEvent):
                    raise TypeError("a key that is not text")
                yield from _node(next(events), events, (*path, key.value))
                empty = False
            if empty and path:
                yield path, "{}"
        case _:
            raise ValueError("an alias")
