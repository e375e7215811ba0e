"""The documents of a change: valid against the schema, the same facts in Markdown and HTML, nothing unescaped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any, ClassVar
from xml.etree import ElementTree

import jsonschema
import pytest

from bundlegen.record import annex, blocks, calendar, document, markdown, page, pictures
from bundlegen.record.schema import Change, json_schema
from bundlegen.system import resources
from tests import records
from tests.records import rendered, story_of, texts

SIZES = (1, 3, 5, 7)
KINDS: dict[str, dict[str, Any]] = {
    **{str(count): {"count": count} for count in SIZES},
    **{f"{count}-long": {"count": count, "long": True} for count in SIZES},
    "no-ca-key": {"pki": {"caKeyHost": "none"}},
    "other-ports": {"ports": {"client": 12379, "peer": 12380, "metrics": 12381}},
    "metrics-on-address": {"etcd": {"metricsOn": "address"}},
}
LATER: dict[str, dict[str, Any]] = {
    "configure": {},
    "configure-one-of-five": {"count": 5, "hosts": (3,), "long": True},
    "configure-seven": {"count": 7, "long": True},
    "configure-without-restart": {"effect": "none"},
}
SECTIONS = [
    "Summary",
    "Risk and impact",
    "Checks beforehand",
    "Execution, host by host",
    "Verification afterwards",
    "Rollback",
    "The cluster",
    "Certificates",
    "Files per host",
    "Where secrets are, and are not",
    "Checksums and signature",
    "Versions",
]


@pytest.fixture(params=[*KINDS, *LATER])
def made(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param in LATER:
        return records.configured(**LATER[request.param])
    return records.change(records.cluster(**KINDS[request.param]))


def test_the_record_is_valid(made: dict[str, Any]) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(made)
    Change.model_validate(made)


@pytest.mark.parametrize("broken", [{"format": 2}, {"hosts": []}, {"surplus": 1}, {"issuedAt": "2026-11-22"}])
def test_the_schema_refuses(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(broken))):
        Change.model_validate({**records.change(records.cluster()), **broken})


class _Page(HTMLParser):
    """The facts of the page in order: headings, paragraphs, items, rows, commands; pictures are passed over."""

    KINDS: ClassVar = {"h1": "#", "h2": "##", "p": "p", "li": "*", "pre": "```", "caption": "p", "figcaption": "p"}

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[tuple[str, ...]] = []
        self._kind = ""
        self._text: list[str] = []
        self._row: list[str] | None = None
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped += tag in ("svg", "nav", "head")
        if tag == "tr":
            self._row = []
        if tag in self.KINDS or tag in ("th", "td"):
            self._kind, self._text = tag, []

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in ("svg", "nav", "head")
        if self._skipped:
            return
        words = "".join(self._text)
        if tag in ("th", "td") and self._row is not None:
            self._row.append(words)
        elif tag == "tr" and self._row is not None:
            self.facts.append(("|", *self._row))
            self._row = None
        elif tag == self._kind and tag in self.KINDS:
            self.facts.append((self.KINDS[tag], words))
            self._kind = ""

    def handle_data(self, data: str) -> None:
        if not self._skipped and self._kind:
            self._text.append(data)


def _facts_of_page(text: str) -> list[tuple[str, ...]]:
    reader = _Page()
    reader.feed(text)
    return reader.facts


def _plain(text: str) -> str:
    """Markdown inside a line, without its marks: code as it is, the rest unescaped."""
    pieces = re.split(r"(?<!\\)`", text)
    return "".join(piece if index % 2 else re.sub(r"\\(.)", r"\1", piece) for index, piece in enumerate(pieces))


def _facts_of_markdown(text: str) -> Iterator[tuple[str, ...]]:
    for part in re.split(
        r"\n\n(?=(?:[^`]|`(?!``))*(?:```(?:[^`]|`(?!``))*```(?:[^`]|`(?!``))*)*\Z)", text.rstrip("\n")
    ):
        if part.startswith("```"):
            yield "```", "\n".join(part.split("\n")[1:-1])
        elif part.startswith("|"):
            rows = [line for line in part.split("\n") if not line.startswith("| ---")]
            for row in rows:
                yield ("|", *(_plain(cell) for cell in re.split(r"(?<!\\) \| ", row[2:-2])))
        elif part.startswith("* "):
            for item in part.split("\n"):
                yield "*", _plain(item[2:])
        elif found := re.fullmatch(r"(#+) (.*)", part):
            yield found[1], _plain(found[2])
        else:
            bold = re.fullmatch(r"\*\*(.*)\*\*(?: \(drawn in change\.html\))?", part)
            yield "p", _plain(bold[1] if bold else part)


def test_markdown_and_html_say_the_same(made: dict[str, Any]) -> None:
    files = rendered(made)
    facts = list(_facts_of_markdown(files["CHANGE.md"].decode()))
    page_facts = _facts_of_page(files["change.html"].decode())
    assert len(facts) > 50
    if "CHANGE-annex.md" not in files:
        assert facts == page_facts
        return
    moved = list(_facts_of_markdown(files["CHANGE-annex.md"].decode()))
    pointers = [fact for fact in facts if fact[0] == "p" and "CHANGE-annex.md" in fact[1]]
    assert len(pointers) == len([fact for fact in moved if fact[0] == "##"]) > 1
    assert Counter(facts) + Counter(moved) - Counter(pointers) == Counter(page_facts) + Counter(
        fact for fact in moved if fact[0] in ("#", "##")
    )
    for text in (facts, moved[1:]):
        rest = iter(page_facts)
        assert [fact for fact in text if fact not in pointers and fact not in rest] == []


def test_a_record_that_ticket_systems_do_not_take_has_an_annex(made: dict[str, Any]) -> None:
    files = rendered(made)
    text = files["CHANGE.md"].decode()
    assert len(text) + text.count("\n") <= 32767
    told = document.document(Change.model_validate(made), story_of(made))
    whole = markdown.render(told)
    assert ("CHANGE-annex.md" in files) == (len(whole) + whole.count("\n") > 32767)
    assert ("The long tables of this section are in `CHANGE-annex.md`" in text) == ("CHANGE-annex.md" in files)


def test_what_is_still_too_long_moves_by_its_length() -> None:
    rows = tuple((f"`{number}`", "x" * 1000) for number in range(40))
    blocks_ = (blocks.Table("long", ("A", "B"), rows), blocks.Table("short", ("A", "B"), rows[:3]))
    told = blocks.Document("title", (blocks.Section("one", "One", blocks_),))
    text, more = annex.texts(told, markdown.render)
    assert "long" not in text.replace("The long tables", "").replace("would be longer", "")
    assert "**short**" in text
    assert "**long**" in more
    short = blocks.Document("title", (blocks.Section("one", "One", blocks_[1:]),))
    assert annex.texts(short, markdown.render) == (markdown.render(short), "")


def test_every_section_and_fact_is_there(made: dict[str, Any]) -> None:
    text = rendered(made)["CHANGE.md"].decode()
    changes = ["What changes"] if made["differences"] else []
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [SECTIONS[0], *changes, *SECTIONS[1:]]
    text = texts(rendered(made))
    for host in made["hosts"]:
        wanted = [host["address"], host["bundle"], host["sha256"], host["clientURL"], host["peerURL"]]
        wanted += [file[key] for file in host["files"] for key in ("path", "mode", "sha256", "what")]
        wanted += [each[key] for each in host["certificates"] for key in ("subject", "sha256Fingerprint")]
        assert [fact for fact in wanted if fact not in text] == []
    assert made["installer"]["sha256"] in text
    assert made["versions"]["bundlegen"] in text


def test_signed_and_sealed_are_said() -> None:
    plain = rendered(records.change(records.cluster()))["CHANGE.md"].decode()
    both = rendered(records.change(records.cluster(), signed=True, sealed=True))["CHANGE.md"].decode()
    assert "This change is not signed" in plain
    assert "ssh-keygen" not in plain
    assert "in the clear" in plain
    assert "ssh-keygen -Y verify -f allowed_signers -n bundlegen -s SHA256SUMS.sig" in both
    assert "are sealed" in both
    assert "asks on the terminal for the unlock code" in both
    assert "unlock code" not in plain
    assert "in the clear" not in both


def test_what_changed_is_said() -> None:
    made = records.change(records.cluster())
    both = {"what": "etcd image", "old": "a:1", "new": "a:2"}
    hosts: list[dict[str, Any]] = [{"name": f"infra{n}", "changes": [both], "restarts": ["kubelet"]} for n in range(2)]
    hosts[1]["changes"] = [both, {"what": "file `x`\ny", "old": "", "new": "there"}]
    made["comparedWith"] = {"sha256": records.digest("old"), "hostsGone": ["old0"], "hostsAdded": ["infra2"]}
    made["comparedWith"]["hosts"] = hosts
    files = rendered(made)
    text = files["CHANGE.md"].decode()
    assert list(_facts_of_markdown(text)) == _facts_of_page(files["change.html"].decode())
    assert text.index("## Summary") < text.index("## What changes") < text.index("## Risk and impact")
    assert "What is different from the change that it is compared with comes next." in text
    assert "| etcd image | all that are in both | a:1 | a:2 |" in text
    assert "| file 'x' y | infra1 | (none) | there |" in text
    assert "* old0 is no member any more.\n* infra2 is new." in text
    assert "* infra0 and infra1: kubelet" in text
    made["comparedWith"].update(hosts=[], hostsGone=[], hostsAdded=[])
    assert "Nothing changes on any host." in rendered(made)["CHANGE.md"].decode()


def test_no_ca_key_is_said() -> None:
    made = records.change(records.cluster(pki={"caKeyHost": "none"}))
    assert "The CA's private key is in no bundle" in rendered(made)["CHANGE.md"].decode()


HOSTILE = "<script>alert(1)</script> | *b* [x](http://y) _z_ ~s~ # \\ &amp;"


def test_nothing_in_a_document_is_markup() -> None:
    everything = (
        blocks.Paragraph(HOSTILE),
        blocks.Points((HOSTILE,)),
        blocks.Table(HOSTILE, (HOSTILE, HOSTILE), ((HOSTILE, f"`{HOSTILE}`"),)),
        blocks.Command(HOSTILE, HOSTILE, (HOSTILE,)),
        blocks.Picture(HOSTILE, "<svg></svg>", HOSTILE),
    )
    told = blocks.Document(HOSTILE, (blocks.Section("one", HOSTILE, everything),))
    html = page.render(told, resources.template_text)
    assert "<script" not in html
    said = [fact for fact in _facts_of_page(html) if HOSTILE not in fact[1]]
    assert said == [("p", "It says (… stands for anything):")]
    text = markdown.render(told)
    assert "<script" not in re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL).replace("\\<", "")
    table = [line for line in text.split("\n") if line.startswith("|")]
    assert [len(re.split(r"(?<!\\)\|", line)) for line in table] == [4, 4, 4]


def test_the_page_needs_nothing_from_elsewhere(made: dict[str, Any]) -> None:
    html = rendered(made)["change.html"].decode()
    assert re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#|data:,)([^"')\s>]+)""", html) == []
    assert "<script" not in html
    assert "@import" not in html


@pytest.mark.parametrize("draw", [pictures.cluster, pictures.timeline])
def test_pictures_stay_in_their_frame_and_have_words(draw: Any, made: dict[str, Any]) -> None:
    change = Change.model_validate(made)
    svg = ElementTree.fromstring(draw(change))
    assert svg.get("role") == "img"
    space = "{http://www.w3.org/2000/svg}"
    assert svg[0].tag == f"{space}title"
    assert svg[1].tag == f"{space}desc"
    for host in change.hosts:
        assert host.name in (svg[1].text or "")
    _, _, width, height = map(float, (svg.get("viewBox") or "").split())
    for shape in svg[2:]:
        for across, down in (("x", "y"), ("x1", "y1"), ("x2", "y2")):
            assert 0 <= float(shape.get(across, "0")) <= width
            assert 0 <= float(shape.get(down, "0")) <= height
        assert float(shape.get("x", "0")) + float(shape.get("width", "0")) <= width
        assert float(shape.get("y", "0")) + float(shape.get("height", "0")) <= height
    words = "".join(text for text in svg.itertext()).replace("\n", "")
    assert all(host.address in words for host in change.hosts) or draw is pictures.timeline


def test_certificates_of_one_host_that_differ_have_lines_of_their_own() -> None:
    made = records.change(records.cluster(1))
    made["hosts"][0]["certificates"][0]["notAfter"] = "2027-05-01T00:00:00Z"
    words = pictures.timeline_words(Change.model_validate(made))
    assert "infra0: apiserver-etcd-client.crt: 2026-11-22 to 2027-05-01" in words
    assert "infra0: etcd/healthcheck-client.crt, etcd/peer.crt, etcd/server.crt: 2026-11-22 to 2027-11-22" in words


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("a.b", ["a.b"]),
        ("one-two-three", ["one-two-", "three"]),
        ("abcdefghijklm", ["abcdefghij", "klm"]),
    ],
)
def test_wrapped(text: str, lines: list[str]) -> None:
    assert pictures.wrapped(text, 10) == lines


def test_the_calendar_reminds_60_and_14_days_ahead(made: dict[str, Any]) -> None:
    change = Change.model_validate(made)
    text = calendar.render(change)
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    lines = text.replace("\r\n ", "").split("\r\n")
    expiry = min(host.first_expiry for host in change.hosts).date()
    days = [date(*_ymd(line)) for line in lines if line.startswith("DTSTART")]
    assert [expiry - day for day in days] == [timedelta(60), timedelta(14), timedelta(0)]
    assert [date(*_ymd(line)) - timedelta(1) for line in lines if line.startswith("DTEND")] == days
    identities = [line for line in lines if line.startswith("UID:")]
    assert len(set(identities)) == 3
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[-2:] == ["END:VCALENDAR", ""]
    assert lines.count("BEGIN:VEVENT") == lines.count("END:VEVENT") == 3


def _ymd(line: str) -> tuple[int, int, int]:
    digits = line.rsplit(":", 1)[1]
    return int(digits[:4]), int(digits[4:6]), int(digits[6:])


def test_the_same_record_gives_the_same_bytes(made: dict[str, Any]) -> None:
    assert rendered(made) == rendered(made)


def test_who_may_read_metrics_is_said() -> None:
    for where, sentence in (("loopback", "on the member's own host only"), ("address", "and on its address")):
        made = records.change(records.cluster(etcd={"metricsOn": where}))
        assert f"{sentence}, without TLS." in pictures.cluster_words(Change.model_validate(made))
        text = rendered(made)["CHANGE.md"].decode()
        assert ("| Monitoring | each member | 2381 |" in text) == (where == "address")


def test_a_record_of_before_metrics_could_be_elsewhere_is_still_read() -> None:
    made = records.change(records.cluster())
    del made["ports"]["metricsOn"]
    assert Change.model_validate(made).ports.metrics_on == "loopback"
