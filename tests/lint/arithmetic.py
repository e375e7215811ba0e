"""Where bash's text takes something for a number: what is evaluated there, function by function."""

from __future__ import annotations

import re
from collections.abc import Iterator

NAME = r"[A-Za-z_]\w*"
CONVERSION = re.compile(r"%[-0 ]*\d*(?:\.\d+)?([a-zA-Z(])")
WORD = re.compile(r"""(?:"(?:[^"\\]|\\.|\$\((?:[^()]|\([^()]*\))*\))*"|'[^']*'|[^\s"';&|]+)+""")


def functions(script: str) -> dict[str, str]:
    """The text of each function, without comments, and each command in one line."""
    found = re.findall(rf"^({NAME})\(\) \{{\n(.*?)^\}}$", script, re.MULTILINE | re.DOTALL)
    return {name: re.sub(r"^\s*#.*$", "", body.replace("\\\n", ""), flags=re.MULTILINE) for name, body in found}


def tables(script: str) -> set[str]:
    """The associative arrays: what is in their brackets is text."""
    declared = re.findall(r"(?:declare|local) -\w*A (.*)", script)
    return {name for line in declared for name in re.findall(rf"(?:^|[ )])({NAME})(?==\(|$| #)", line)}


def expressions(body: str, associative: set[str]) -> Iterator[tuple[int, str]]:
    """Everything that is evaluated as a number, with where it stands: ``((…))``, ``-eq``, offsets, indices, ``%d``."""
    plain = without_keys(re.sub(r"'[^'\n]*'", lambda found: "'" + "_" * (len(found[0]) - 2) + "'", body), associative)
    for begin in re.finditer(r"\(\((?!_)", plain):
        yield begin.start(), plain[begin.end() : _closing(plain, begin.end())]
    for found in re.finditer(r"(\S+) -(?:eq|ne|lt|le|gt|ge) (\S+)", plain):
        yield found.start(), f"{found[1]} {found[2]}"
    for found in re.finditer(rf"\$\{{(?:{NAME}|\d)(?:\[[^]]*\])?:(?![-+=?])((?:[^{{}}]|\$\{{[^{{}}]*\}})*)\}}", plain):
        yield found.start(), found[1]
    for found in re.finditer(rf"(?<![\w#!.])({NAME})\[([^][@*]+)\]", plain):
        if found[1] not in associative:
            yield found.start(), found[2]
    for found in re.finditer(r"\bprintf (?:-v \S+ )?(.*)", without_keys(body, associative)):
        yield from ((found.start(), word) for word in _counted(found[1]))


def without_keys(text: str, associative: set[str]) -> str:
    """The text with ``${CONF.KEY}`` for a value of an associative array, and ``${CONF}`` for other keys."""
    for name in associative:
        text = re.sub(rf"(?<!\w){name}\[([A-Z_]+)\]", rf"{name}.\1", text)
    before = ""
    while text != before:
        before = text
        text = re.sub(rf"\$\{{({'|'.join(associative)})\[[^][]*\](?:-[^{{}}]*)?\}}", r"${\1}", text)
    return text


def _counted(call: str) -> Iterator[str]:
    """Of a call of printf, the words that go where its format has a number."""
    words = WORD.findall(re.split(r" (?:>|\|\||&&|\||2>) ", call)[0])
    if not words:
        return
    for kind, word in zip(CONVERSION.findall(words[0].replace("%%", "")), words[1:], strict=False):
        if kind in "dixXuo":
            yield word.strip("\"'")


def _closing(text: str, at: int) -> int:
    depth = 2
    while depth and at < len(text):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return at - 2


def names(expression: str) -> Iterator[str]:
    """The variables and, with ``()``, the functions in it; not lengths, which are numbers whatever they are of."""
    rest = re.sub(r"\$\{#[^}]*\}+|\b\d+#", " ", expression)
    for call in re.findall(rf"\$\(({NAME})[^()]*(?:\([^()]*\))?\)", rest):
        yield f"{call}()"
    rest = re.sub(rf"\$\({NAME}[^()]*(?:\([^()]*\))?\)", " ", rest)
    for found in re.finditer(rf"\$\{{?(\d|#|\?)|({NAME}(?:\.[A-Z_]+)?)", rest):
        yield f"${found[1]}" if found[1] else found[2]


def is_counted(name: str, body: str, known: set[str], setters: tuple[str, ...]) -> bool:
    """Whether this text gives the variable nothing but numbers: literals, sums, lengths, indices, what is known.

    ``known``: names, and functions with ``()`` after theirs.
    """
    values = re.findall(rf"(?<![\w$\{{\[-]){name}\+?=(\$\(\([^\n]*?\)\)|\$\([^)]*\)|\"[^\"]*\"|[^\s;)]*)", body)
    if re.search(rf"\bread (?:-\S+ )*(?:{NAME} )*{name}\b|\bmapfile [^\n<]*\b{name}\b|printf -v {name}\b", body):
        return False
    loops = re.findall(rf"\bfor {name} in ([^;\n]*)", body)
    begin = r"(?:^\s*|&& |\|\| |; |if |! |\{ )"
    made = bool(re.search(rf"{begin}(?:{'|'.join(setters)}) (?:[^\n;|&]* )?{name}\b", body, re.MULTILINE))
    made = made or bool(re.search(rf"\(\({name}(?:\+\+|--| [-+]?= )", body))
    if not (values or loops or made):
        return False
    names_known = "|".join(re.escape(one) for one in known if not one.endswith("()")) or "-"
    calls_known = "|".join(one[:-2] for one in known if one.endswith("()")) or "-"
    fine = rf"-?\d*|\$\(\(.*\)\)|\"?\$\{{#[^}}]*\}}\"?|\$[?#]|\$\{{(?:{names_known})\}}|\$\((?:{calls_known})[^()]*\)"
    return all(re.fullmatch(fine, value) for value in values) and all(
        re.fullmatch(rf"[\d ]+|\"\$\{{!{NAME}\[@\]\}}\"", loop.strip()) for loop in loops
    )


def says_a_number(body: str) -> bool:
    """Whether a function prints nothing but one number."""
    printed = re.findall(r"\bprintf (?!-v)(\S+)", body)
    return bool(printed) and all(re.fullmatch(r"'%d'|\d+", word) for word in printed)


def is_matched(name: str, body: str, before: int) -> bool:
    """Whether the text asks is_number or is_id about the variable before this place."""
    return bool(re.search(rf'\bis_(?:number|id) "\$\{{?{re.escape(name.lstrip("$"))}\b', body[:before]))


def known(script: str, always: set[str], setters: tuple[str, ...]) -> set[str]:
    """What is a number wherever it is used: constants, what the whole script only counts, functions that print one."""
    constants = "\n".join(re.findall(r"^readonly [A-Z].*", script, re.MULTILINE))
    found = set(re.findall(r"(?<= )([A-Z_]+)=\d+\b", constants)) | always
    found |= {f"{name}()" for name, body in functions(script).items() if says_a_number(body)}
    names = set(re.findall(r"^([A-Z_]+)=", script, re.MULTILINE))
    return found | {name for name in names if is_counted(name, script, found, setters)}
