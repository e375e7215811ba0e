"""YAML as a plain tree, with the place of every field. Pure: text in, tree and findings out.

Stricter than PyYAML: no tags, no duplicate keys, no merge keys, no aliases that multiply, and no plain scalar
that YAML 1.1 and 1.2 read differently (``no``, ``010``, ``10:20``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from bundlegen.addresses import show
from bundlegen.spec.characters import Scalar, before_line, in_scalars, plain
from bundlegen.spec.finding import FieldPath, Finding, Place

MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 50
_STR: Final = "tag:yaml.org,2002:str"

_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?", re.ASCII)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_YES_NO: Final = {
    word: meaning
    for meaning, words in ((True, ("yes", "on")), (False, ("no", "off")))
    for lower in words
    for word in (lower, lower.capitalize(), lower.upper())
}
_OCTAL: Final = re.compile(r"[-+]?0o?[0-9_]+", re.ASCII)
_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", re.ASCII)
_OTHER_NUMBER: Final = re.compile(
    r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9_]+(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
    re.ASCII,
)


class UnreadableError(Exception):
    """The text is not YAML, or not YAML that is safe to expand; ``place`` is line and column from 1.

    ``findings``: characters that are probably why, to be named in place of the message.
    """

    def __init__(self, message: str, hint: str = "", place: Place = (1, 1)) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.place = place
        self.findings: list[Finding] = []


@dataclass
class Tree:
    """``data`` is what the text says; ``places`` and ``written`` tell where and how each field was written.

    ``unseen`` are characters that nobody sees, or takes for others, in the names of fields and between fields,
    ``unseen_in_values`` those in values.
    """

    data: Any = None
    places: dict[FieldPath, Place] = field(default_factory=dict)
    written: dict[FieldPath, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    unseen: list[Finding] = field(default_factory=list)
    unseen_in_values: list[Finding] = field(default_factory=list)
    scalars: list[Scalar] = field(default_factory=list)

    def place(self, path: FieldPath) -> Place:
        """Line and column of ``path``, or of the nearest thing around it that is there."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def parse(text: str) -> Tree:
    """The tree of the one document in ``text``. Raises :class:`UnreadableError`."""
    try:
        root = _compose(text)
    except UnreadableError as error:
        error.findings = before_line(text, error.place[0])
        raise
    tree = Tree()
    if root is None:
        return tree
    _refuse_bombs(root)
    tree.places[()] = _place(root.start_mark)
    tree.data = _convert(root, (), tree)
    tree.unseen, tree.unseen_in_values = in_scalars(text, tree.scalars)
    return tree


def _compose(text: str) -> yaml.Node | None:
    loader = yaml.CSafeLoader(text)
    try:
        _refuse_depth(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _syntax(error, mark) from error
    except yaml.YAMLError as error:
        raise UnreadableError(
            f"is not YAML: {error}".splitlines()[0], "correct the text there", (text.count("\n") + 1, 1)
        ) from error
    finally:
        loader.dispose()
    return root


def _refuse_depth(text: str) -> None:
    """Stop before the composer, which recurses, meets a document nested without end."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > MAX_DEPTH:
            raise UnreadableError(
                f"is nested more than {MAX_DEPTH} levels deep", "no specification is", _place(event.start_mark)
            )
        if nodes > MAX_NODES:
            raise UnreadableError(f"has more than {MAX_NODES} values", "no specification has", _place(event.start_mark))


def _refuse_bombs(root: yaml.Node) -> None:
    """Aliases may repeat a value, not multiply without end: count what they expand to, without expanding it."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise UnreadableError("contains itself through an alias", "write the value out", _place(node.start_mark))
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(size(child) for child in _children(node))
            open_nodes.discard(id(node))
        if sizes[id(node)] > MAX_NODES:
            raise UnreadableError(
                f"expands to more than {MAX_NODES} values through aliases",
                "write the values out",
                _place(node.start_mark),
            )
        return sizes[id(node)]

    size(root)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _place(mark: Any) -> Place:
    return (mark.line + 1, mark.column + 1)


def _syntax(error: yaml.MarkedYAMLError, mark: Any) -> UnreadableError:
    problem = (error.problem or error.context or "it cannot be read").rstrip(".")
    hint = "correct the text there or in the line above"
    if "expected a single document" in (error.context or ""):
        problem, hint = "a second document begins", "one file describes one cluster: remove '---' and what follows"
    elif "tab" in problem or "cannot start any token" in problem:
        hint = "indent with spaces; quote values that start with one of @ ` % and the like"
    elif "undefined alias" in problem:
        hint = 'quote values that start with "*"'
    elif "mapping values are not allowed" in problem:
        hint = "quote values that contain ': ', and check the indentation"
    return UnreadableError(f"is not YAML: {problem}", hint, _place(mark) if mark is not None else (1, 1))


def _convert(node: yaml.Node, path: FieldPath, tree: Tree) -> Any:
    tree.places.setdefault(path, _place(node.start_mark))
    if isinstance(node, yaml.MappingNode):
        _check_tag(node, "tag:yaml.org,2002:map", path, tree)
        return _mapping(node, path, tree)
    if isinstance(node, yaml.SequenceNode):
        _check_tag(node, "tag:yaml.org,2002:seq", path, tree)
        return [_convert(item, (*path, index), tree) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - the third and last kind of node
    return _scalar(node, path, tree)


def _check_tag(node: yaml.Node, usual: str, path: FieldPath, tree: Tree) -> None:
    if node.tag != usual:
        shown = node.tag.replace("tag:yaml.org,2002:", "!!")
        tree.findings.append(
            Finding(path, f"has the tag {show(shown)[1:-1]}", "remove it: a specification is plain data, without tags")
        )


def _mapping(node: yaml.MappingNode, path: FieldPath, tree: Tree) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(key_node, path, tree)
        if key is None:
            continue
        where = (*path, key)
        if key in data:
            first = tree.places[where][0]
            tree.places[where] = _place(key_node.start_mark)
            tree.findings.append(Finding(where, f"is there already, in line {first}", "keep one of the two"))
            continue
        tree.places[where] = _place(key_node.start_mark)
        data[key] = _convert(value_node, where, tree)
    return data


def _key(node: yaml.Node, path: FieldPath, tree: Tree) -> str | None:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.ScalarNode):
        place: FieldPath = (*path, "?")
        tree.places.setdefault(place, _place(node.start_mark))
        tree.findings.append(
            Finding(place, f"a list or mapping is used as the name of a field in line {line}", "write name: value")
        )
        return None
    key = plain(str(node.value)) or str(node.value)
    tree.scalars.append((node.start_mark.index, node.end_mark.index, (*path, key), True))
    if node.tag == "tag:yaml.org,2002:merge" and not node.style:
        tree.places.setdefault((*path, key), _place(node.start_mark))
        tree.findings.append(Finding((*path, key), "merging with << is not supported", "write the fields out"))
        return None
    _check_key_tag(node, (*path, key), tree)
    return key


def _check_key_tag(node: yaml.ScalarNode, path: FieldPath, tree: Tree) -> None:
    if node.tag != _STR and (node.style or not _resolves_plainly(node)):
        tree.places.setdefault(path, _place(node.start_mark))
        _check_tag(node, _STR, path, tree)


def _resolves_plainly(node: yaml.ScalarNode) -> bool:
    """Whether the tag of a plain scalar is the one YAML gives it, not one written before it."""
    resolve: Callable[[type[yaml.Node], str, tuple[bool, bool]], str] = _RESOLVER.resolve
    return resolve(yaml.ScalarNode, node.value, (True, False)) == node.tag


_RESOLVER: Final = yaml.resolver.Resolver()


def _scalar(node: yaml.ScalarNode, path: FieldPath, tree: Tree) -> Any:
    text = str(node.value)
    tree.scalars.append((node.start_mark.index, node.end_mark.index, path, False))
    if node.style or (
        node.tag == _STR and not _resolves_plainly(node)
    ):  # the C parser's style of a plain scalar is the empty text
        _check_tag(node, _STR, path, tree)
        return text
    if not _resolves_plainly(node):
        _check_tag(node, "", path, tree)
        return text
    tree.written[path] = text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INT.fullmatch(text) and len(text) <= 400:
        return int(text)
    if _HEX.fullmatch(text) and len(text) <= 400:
        return int(text, 16)
    if _FLOAT.fullmatch(text) and len(text) <= 400:
        return float(text)
    if reading := _second_reading(text):
        tree.findings.append(Finding(path, f"{show(text)[1:-1]} is {reading}", _quote_hint(text)))
    return text


def _second_reading(text: str) -> str:
    if text in _YES_NO:
        return f"{str(_YES_NO[text]).lower()} to some YAML readers and text to others"
    if _SEXAGESIMAL.fullmatch(text):
        return "a number to base 60 to some YAML readers and text to others"
    if _OCTAL.fullmatch(text):
        return "an octal number to some YAML readers and something else to others"
    if _OTHER_NUMBER.fullmatch(text):
        return "a number to some YAML readers and something else to others"
    return "special to some YAML readers" if text in ("=", "<<") else ""


def _quote_hint(text: str) -> str:
    other = str(_YES_NO[text]).lower() if text in _YES_NO else "a plain decimal number"
    return f'if it is text, quote it: "{text[:60]}"; if not, write {other}'
