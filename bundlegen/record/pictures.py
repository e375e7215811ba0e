"""The pictures of the record as inline SVG, and the same in words. Pure.

Colours and fonts are classes that the page's style sets, so that a picture follows light, dark and print. Boxes grow
with the words in them, as SVG does not wrap text: widths are reckoned generously by characters.
"""

from __future__ import annotations

from datetime import datetime
from html import escape
from itertools import pairwise
from typing import Final

from bundlegen.record import tables
from bundlegen.record.schema import Address, Change

WIDTH: Final = 740
_LINE: Final = 17

# The cluster picture, from left to right: clients, their bus, the members, the members' bus and its words.
_CLIENTS: Final = (8, 184)
_CLIENT_BUS: Final = 216
_CARD: Final = (248, 326)
_PEER_BUS: Final = 602
_CARD_LETTERS: Final = 38

# The timeline: names on the left, the plot beside them.
_NAME_LETTERS: Final = 24
_PLOT: Final = (200, 716)
_TICKS: Final = 4
_DATE: Final = 78


def cluster(change: Change) -> str:
    """The members, and who talks to them with which certificate."""
    shapes: list[str] = []
    middles: list[float] = []
    top = 8.0
    for host in change.addresses:
        height = _card(shapes, change, host, top)
        middles.append(top + height / 2)
        top += height + 14
    bottom = max(top - 14 + 8, 150)
    middle = bottom / 2
    shapes += _bus(_CLIENT_BUS, _CARD[0], middles, middle)
    _clients(shapes, change, middle)
    if len(middles) > 1:
        shapes += _bus(_PEER_BUS, _CARD[0] + _CARD[1], middles, middle)
        words = (
            "Each member with",
            "each other, TCP",
            f"port {change.ports.peer};",
            "both sides show",
            "etcd/peer.crt",
        )
        start = middle - (len(words) - 1) * _LINE / 2
        shapes += [_text(_PEER_BUS + 12, start + index * _LINE, "small", word) for index, word in enumerate(words)]
    return _svg("cluster", bottom, cluster_words(change), f"Members of {change.cluster} and who talks to whom", shapes)


_METRICS_ON: Final = {
    "loopback": "the member's own host only",
    "address": "the member's own host and on its address",
}


def cluster_words(change: Change) -> str:
    """The cluster picture in words."""
    names = "; ".join(f"{host.name} at {host.address}" for host in change.addresses)
    ports = change.ports
    peers = (
        f" Each member talks to each other member on port {ports.peer}, both showing etcd/peer.crt."
        if len(change.addresses) > 1
        else ""
    )
    return (
        f"Members: {names}.{peers} API servers (showing apiserver-etcd-client.crt) and health checks (showing "
        f"etcd/healthcheck-client.crt) talk to every member on port {ports.client}, which shows etcd/server.crt. "
        f"Probes and metrics use port {ports.metrics} on {_METRICS_ON[ports.metrics_on]}, without TLS."
    )


def timeline(change: Change) -> str:
    """When each certificate is valid, with the day of issue and the expiries."""
    rows = tables.validity(change)
    first = min(start for _, start, _ in rows)
    last = max(end for _, _, end in rows)
    shapes: list[str] = []
    top = 40.0
    for whose, start, end in rows:
        lines = wrapped(whose, _NAME_LETTERS)
        height = len(lines) * _LINE + 8
        left, right = _at(start, first, last), _at(end, first, last)
        middle = top + height / 2
        shapes += [
            _text(8, middle + 4 + (index - (len(lines) - 1) / 2) * _LINE, "label", line)
            for index, line in enumerate(lines)
        ]
        shapes.append(_rect("bar", left, middle - 8, max(right - left, 3), 16, 3))
        if right + _DATE + 6 <= WIDTH:
            shapes.append(_text(right + 6, middle + 4, "label", tables.day(end)))
        else:
            shapes.append(_text(right - 6, middle + 4, "inbar", tables.day(end), anchor="end"))
        top += height
    today = _at(change.issued_at, first, last)
    axis = top + 6
    marks = [
        _line("today", today, 26, today, axis),
        _text(max(today - 4, 8), 18, "mark", f"issued {tables.day(change.issued_at)} (today)"),
        _line("axis", _PLOT[0], axis, _PLOT[1], axis),
    ]
    for tick in range(_TICKS + 1):
        place = _PLOT[0] + (_PLOT[1] - _PLOT[0]) * tick / _TICKS
        anchor = "start" if tick == 0 else "end" if tick == _TICKS else "middle"
        marks.append(_line("axis", place, axis, place, axis + 5))
        marks.append(
            _text(place, axis + 20, "small", tables.day(first + (last - first) * tick / _TICKS), anchor=anchor)
        )
    return _svg(
        "timeline",
        axis + 30,
        timeline_words(change),
        f"Validity of the certificates of {change.cluster}",
        [*shapes, *marks],
    )


def timeline_words(change: Change) -> str:
    """The timeline in words."""
    rows = "; ".join(
        f"{whose}: {tables.day(start)} to {tables.day(end)}" for whose, start, end in tables.validity(change)
    )
    return f"Issued {tables.day(change.issued_at)}. Valid: {rows}."


def wrapped(text: str, letters: int) -> list[str]:
    """``text`` in lines of at most ``letters`` characters, broken after a mark or blank if it can."""
    lines = []
    while len(text) > letters:
        cut = max(text.rfind(mark, 0, letters) for mark in ".-/: ") + 1
        cut = cut if cut > letters // 3 else letters
        lines.append(text[:cut].strip())
        text = text[cut:].strip()
    return [*lines, text]


def _card(shapes: list[str], change: Change, host: Address, top: float) -> float:
    left, width = _CARD
    names = wrapped(host.name, _CARD_LETTERS)
    height = 20 + (len(names) + 2) * _LINE
    shapes.append(_rect("box", left, top, width, height, 6))
    lines = [("name", name) for name in names]
    lines.append(("address", host.address))
    lines.append(
        ("small", f"clients {change.ports.client}, members {change.ports.peer}, probes {change.ports.metrics}")
    )
    shapes += [_text(left + 14, top + 24 + index * _LINE, kind, line) for index, (kind, line) in enumerate(lines)]
    return height


def _clients(shapes: list[str], change: Change, middle: float) -> None:
    left, width = _CLIENTS
    boxes = (
        (middle - 66, "API servers", "apiserver-etcd-client.crt"),
        (middle + 8, "Health checks", "etcd/healthcheck-client.crt"),
    )
    for top, who, certificate in boxes:
        shapes.append(_rect("box", left, top, width, 58, 6))
        shapes.append(_text(left + 12, top + 20, "name", who))
        shapes.append(_text(left + 12, top + 36, "small", certificate))
        shapes.append(_text(left + 12, top + 51, "small", f"port {change.ports.client}"))
        shapes.append(_line("wire", left + width, top + 29, _CLIENT_BUS, top + 29))


def _bus(place: float, edge: float, middles: list[float], middle: float) -> list[str]:
    """A line to each member's edge from one upright line, which reaches the clients' boxes as well."""
    ends = [*middles, middle - 37, middle + 37] if place < edge else middles
    shapes = [_line("wire", place, low, place, high) for low, high in pairwise(sorted(ends))]
    return [*shapes, *(_line("wire", place, each, edge, each) for each in middles)]


def _at(moment: datetime, first: datetime, last: datetime) -> float:
    return _PLOT[0] + (_PLOT[1] - _PLOT[0]) * ((moment - first) / (last - first))


def _svg(name: str, height: float, words: str, title: str, shapes: list[str]) -> str:
    return (
        f'<svg class="{name}" role="img" aria-labelledby="{name}-title {name}-desc" viewBox="0 0 {WIDTH} {height:g}" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(words)}</desc>{"".join(shapes)}</svg>'
    )


def _rect(kind: str, left: float, top: float, width: float, height: float, round_: float) -> str:
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_}"/>'
    )


def _line(kind: str, left: float, top: float, right: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{left:.1f}" y1="{top:.1f}" x2="{right:.1f}" y2="{bottom:.1f}"/>'


def _text(left: float, base: float, kind: str, words: str, *, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{left:.1f}" y="{base:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
