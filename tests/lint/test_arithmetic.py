"""What bash takes for a number it evaluates, commands in an index included: every such place on a host is known here.

A name is good where it is only counted in its function, or where the function has asked ``is_number`` or ``is_id``
before. Each other one stands in SOURCES, with the line that matches it, or makes it a number.
"""

from __future__ import annotations

import re
from functools import cache

import pytest

from bundlegen.bundle import install_script
from tests.lint import arithmetic

SHELLS_OWN = {"SECONDS", "EUID", "BASH_SUBSHELL", "BASH_VERSINFO", "$#", "$?"}
SETTERS = ("now", "number", "minor", "openssl_time", "month_number")
"""Functions that set a variable to a number or leave it alone, whatever they are given."""

CONF_IS_MATCHED = ("check_conf", "[[ ${CONF[${key}]} =~ ${pattern} ]] || damaged")
ENTRIES_ARE_COUNTED = ("load_manifest", "ENTRY_OF[${path}]=${#ENTRY_PATH[@]}")
OTHERS_ARE_COUNTED = ("valid_peers", "printf '%d' \"${count}\"")
OWN_EXIT_CODE = ("health_exit", "printf '%d' \"${EXIT_UNHEALTHY}\"")
QUORUM_IS_COUNTED = ("ask_quorum", 'judge_quorum "${others}" "${own}" "${wanted}" "${serves}" "${#members[@]}"')
SECONDS_ARE_MATCHED = ("parse_arguments", "[[ $2 =~ ^[0-9]{1,5}$ ]] || bad_usage")
VERSION_IS_MATCHED = (
    "ask_version",
    "[[ ${server} =~ ^${VERSION_SHAPE}$ && ${cluster} =~ ^${VERSION_SHAPE}$ ]] || return 1",
)
TIME_IS_MATCHED = ("openssl_time", "[[ $1 =~ ${pattern} ]] || return 1")

SOURCES: dict[str, tuple[str, str]] = {
    # FUNCTION NAME: the function and the line that make it a number, or that let nothing else through
    "agree_cluster first": ("number_of", 'is_id "${value}" || return 0'),
    "agree_cluster id": ("number_of", 'is_id "${value}" || return 0'),
    "archive_kib PIECE_SIZE": ("load_pieces", "[[ ${line} =~ ${pattern} ]] || damaged"),
    "archive_kib size": ("archive_kib", 'number size "${size}" || size=$((${PIECE_SIZE[$1]} * 4))'),
    "archive_sum ENTRY_OF": ENTRIES_ARE_COUNTED,
    "await_birth SECONDS_TO_WAIT": SECONDS_ARE_MATCHED,
    "await_etcd_end left": ("stop_etcd", "await_etcd_end 30 ||"),
    "await_install able_peers()": OTHERS_ARE_COUNTED,
    "await_install SECONDS_TO_WAIT": SECONDS_ARE_MATCHED,
    "await_shown SECONDS_TO_WAIT": SECONDS_ARE_MATCHED,
    "await_shown since": ("await_shown", "since=${since:-${SECONDS}}"),
    "backup_interval first": ("backup_interval", 'number first "${first}" && number second "${second}"'),
    "backup_interval second": ("backup_interval", 'number first "${first}" && number second "${second}"'),
    "become_voter SECONDS_TO_WAIT": SECONDS_ARE_MATCHED,
    "check_ca ENTRY_OF": ENTRIES_ARE_COUNTED,
    "check_clock CONF.ISSUED_AT": CONF_IS_MATCHED,
    "check_clock CONF.NOT_AFTER": CONF_IS_MATCHED,
    "check_clock CONF.NOT_BEFORE": CONF_IS_MATCHED,
    "check_demand index": ENTRIES_ARE_COUNTED,
    "check_disk CONF.QUOTA_BYTES": CONF_IS_MATCHED,
    "check_disk size": (
        "check_disk",
        '"${CONF[STATE_DIR]} 8192" "${CONF[DATA_DIR]} 204800" "/var/lib/containerd $((image * 3))")',
    ),
    "check_history CONF.CHANGE_NUMBER": CONF_IS_MATCHED,
    "check_versions LEAST_BEFORE": ("etcd_minor", "printf '%s' \"${rest%%.*}\""),
    "check_versions cluster": VERSION_IS_MATCHED,
    "check_versions is": VERSION_IS_MATCHED,
    "check_versions patch": VERSION_IS_MATCHED,
    "check_versions wanted": ("check_versions", "[[ ! ${tag#v} =~ ^(${VERSION_SHAPE}) ]] ||"),
    "close_transaction last": ("generations", "[[ ! ${folder##*/} =~ ^[0-9]{4,9}$ ||"),
    "compare_kubelet ENTRY_OF": ENTRIES_ARE_COUNTED,
    "data_lost LOG_MEMBER": ("read_log", 'LOG_MEMBER=$(decimal "${BASH_REMATCH[9]}")'),
    "data_lost WRITTEN.MEMBER_ID": ("read_written", "${value} =~ ^${WRITTEN_SHAPES[${key}]}$ ]] || continue"),
    "decimal byte": ("read_log", "number='(( [89a-f][0-9a-f]){0,9} [0-7][0-9a-f])'"),
    "do_health WAIT": SECONDS_ARE_MATCHED,
    "do_plan index": ("do_plan", 'for index in "${!ENTRY_PATH[@]}"; do'),
    "ended before": ("newest_logs", '((newest < 0)) || printf \'%d %d %s\\n\' "${newest}" "${oldest}" "${folder}"'),
    "ended number": ("newest_logs", '((newest < 0)) || printf \'%d %d %s\\n\' "${newest}" "${oldest}" "${folder}"'),
    "ended oldest": ("newest_logs", '((newest < 0)) || printf \'%d %d %s\\n\' "${newest}" "${oldest}" "${folder}"'),
    "ended starts": ("ended", "starts=$((starts + number - before))"),
    "find_restorer minor": ("find_restorer", 'number minor "${minor}" && number patch "${patch}"'),
    "find_restorer patch": ("find_restorer", 'number minor "${minor}" && number patch "${patch}"'),
    "gone_up etcd_minor()": ("gone_up", "[[ ${before} =~ ^${VERSION_SHAPE}$ ]] || continue"),
    "has_id depth": ("has_id", 'has_id "${digests[${part}]}" "$2" "$((depth - 1))"'),
    "have_archive ENTRY_OF": ENTRIES_ARE_COUNTED,
    "health_expiry ends": ("openssl_time", "printf -v \"$2\" '%d'"),
    "health_expiry first": ("health_expiry", "first=${ends[index]}"),
    **{f"judge_quorum ${number}": QUORUM_IS_COUNTED for number in range(1, 6)},
    "is_own_log sum": ("is_own_log", "&& [[ ${sum} =~ ^[0-9a-f]{40} ]]; then"),
    "is_own_log x": ("is_own_log", "&& [[ ${sum} =~ ^[0-9a-f]{40} ]]; then"),
    "is_placed $1": ("place_files", '! is_placed "${index}"'),
    "json_strings places": ("json_strings", "places[depth]=$((places[depth] + 1))"),
    "level_text able_peers()": OTHERS_ARE_COUNTED,
    "listening $2": CONF_IS_MATCHED,
    "manifest_record ENTRY_OF": ENTRIES_ARE_COUNTED,
    "newest_logs newest": ("newest_logs", "newest=-1"),
    "newest_logs number": ("newest_logs", "${number} =~ ^(0|[1-9][0-9]{0,8})$ ]] || continue"),
    "newest_logs oldest": ("newest_logs", "${number} =~ ^(0|[1-9][0-9]{0,8})$ ]] || continue"),
    "number_of_change $1": ("installed", "[[ ${line} =~ ^${shape#* }$ ]] || return 1"),
    "lacks_cri_v1 BASH_REMATCH": (
        "lacks_cri_v1",
        "[[ ${text} =~ \\ v?((0|1)\\.([0-9]{1,3})\\.[0-9]{1,3}) ]] || return 1",
    ),
    "need_programs small": ("need_programs", "for small in busybox toybox; do"),
    "need_programs tool": ("need_programs", 'for tool in "${TOOLS[@]}" dd gzip head tar tee; do'),
    "on_signal $1": ("main", "trap 'on_signal 15' TERM"),
    "openssl_time BASH_REMATCH": TIME_IS_MATCHED,
    "openssl_time day": TIME_IS_MATCHED,
    "openssl_time year": TIME_IS_MATCHED,
    "parse_arguments $2": SECONDS_ARE_MATCHED,
    "phase PHASE_START": ("phase", "PHASE_START=${moment}"),
    "piece $2": ("piece_is_right", "[[ -f $1 && $2 =~ ^(0|[1-9][0-9]{0,14})$ ]] || return 1"),
    "piece PIECE_AT": ("load_pieces", "[[ ${line} =~ ${pattern} ]] || damaged"),
    "place_carried ENTRY_OF": ENTRIES_ARE_COUNTED,
    "place_rendered $1": ("place_pod", 'place_rendered "${ENTRY_OF[${path}]}"'),
    "placed_by_us ENTRY_OF": ENTRIES_ARE_COUNTED,
    "plan_file $1": ("do_plan", 'plan_file "${index}"'),
    "preflight_json $1": ("do_preflight", 'preflight_json "${code}"'),
    "progress elapsed": ("await_install", 'progress "${elapsed}" "${REASON}"'),
    "rank_line rank": ("etcd_error", "rank=0"),
    "report_health $1": OWN_EXIT_CODE,
    "time_is_up $1": ("find_bundle", "local start=${SECONDS}"),
    "time_is_up SETTING.WAIT": ("set_setting", "[[ -n ${shape} && $2 =~ ^(${shape})$ ]] || return 1"),
    "take_snapshot room": ("snapshot_room", 'printf -v "$2" \'%d\' "$((free - SNAPSHOT_RESERVE_KIB))"'),
    "take_scheduled CONF.BACKUP_KEEP": CONF_IS_MATCHED,
    "timings_json PHASE": ("phase", "PHASE[${PHASE_ORDER[-1]}]=$((moment - PHASE_START))"),
    "want_copy ENTRY_OF": ENTRIES_ARE_COUNTED,
    "want_entry $1": ("place_files", 'want_entry "${index}"'),
    "is_restored LOG_CLUSTER": ("read_log", 'LOG_CLUSTER=$(decimal "${BASH_REMATCH[11]}")'),
    "restore_data LOG_CLUSTER": ("read_log", 'LOG_CLUSTER=$(decimal "${BASH_REMATCH[11]}")'),
    "restored_cluster sum": ("restored_cluster", "[[ ${sum} =~ ^[0-9a-f]{40} ]] || return 1"),
    "restored_cluster x": ("restored_cluster", "[[ ${sum} =~ ^[0-9a-f]{40} ]] || return 1"),
}


@cache
def script() -> str:
    return install_script.join((*install_script.PARTS, *install_script.IMAGE_PARTS), install_script.texts())


def sources(script: str) -> list[str]:
    """FUNCTION NAME of each variable that is taken for a number and is not known to be one where it is."""
    texts, associative, known = (
        arithmetic.functions(script),
        arithmetic.tables(script),
        arithmetic.known(script, SHELLS_OWN, SETTERS),
    )
    return sorted(
        {
            f"{function} {name}"
            for function, body in texts.items()
            for at, expression in arithmetic.expressions(body, associative)
            for name in arithmetic.names(expression)
            if name not in known
            and not arithmetic.is_matched(name, body, at)
            and not (name[0] != "$" and arithmetic.is_counted(name, body, known, SETTERS))
        }
    )


def test_every_number_is_known() -> None:
    assert sources(script()) == sorted(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_what_makes_it_a_number_is_there(name: str) -> None:
    function, line = SOURCES[name]
    assert line in arithmetic.functions(script())[function]


EVIL = {
    "a sum": "echo $((size / 1024))",
    "a comparison": "((size > 5)) || return 1",
    "a comparison of words": "[[ ${size} -gt 5 ]]",
    "a base": "echo $((10#${size} + 1))",
    "an index": "echo ${list[size]}",
    "an offset": "echo ${text:size}",
    "a length": "echo ${text:0:${size}}",
    "an assignment": "list[size]=5",
    "printf": 'printf "%x" "${size}"',
    "printf among others": 'printf \'%s %5d\' "${text}" "${size}"',
    "a parameter": "echo $(($1 + 1))",
    "a default": "echo $((${size:-0} + 1))",
    "a value in a table": "echo $((TABLE[${key}] + 1))",
}


@pytest.mark.parametrize("what", EVIL)
def test_what_came_from_outside_is_found(what: str) -> None:
    begin = 'declare -A TABLE=()\n\nasked() {\n  size=$(json_field dbSize "${HTTP_BODY}")\n'
    assert sources(f"{begin}  {EVIL[what]}\n}}\n")
    if "TABLE" not in EVIL[what] and "$1" not in EVIL[what]:
        assert sources(f'{begin}  is_number "${{size}}" || return 1\n  {EVIL[what]}\n}}\n') == []
        assert len(sources(f'{begin}  {EVIL[what]}\n  is_number "${{size}}" || return 1\n}}\n')) == 1


def test_no_name_is_evaluated_by_other_means() -> None:
    """With these, an assignment or a question evaluates what it is given."""
    for pattern in (r"(?:local|declare|typeset) -\w*i", r"(?m)^\s*let ", r"\[\[ [^]\n]*-v ", r"\bunset [^\n']*\["):
        assert [found[0] for found in re.finditer(pattern, "\n".join(arithmetic.functions(script()).values()))] == []
