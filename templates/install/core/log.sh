# shellcheck shell=bash
# Messages: what, why, what to do. Results go to standard output, problems to standard error; with --json
# standard output belongs to the one JSON document.

FAILURE='' # the first error of this run, for the receipt

say() {
  if [[ ${JSON} == yes ]]; then
    printf '%s\n' "$*" >&2 || true
  else
    printf '%s\n' "$*" || true
  fi
}

warn() {
  printf 'warning: %s\n' "$*" >&2 || true
}

# complain MESSAGE [WHAT TO DO]...
complain() {
  local line
  [[ -n ${FAILURE} ]] || FAILURE=$1
  printf 'error: %s\n' "$1" >&2 || true
  shift
  for line in "$@"; do
    printf '       %s\n' "${line}" >&2 || true
  done
}

# die CODE MESSAGE [WHAT TO DO]...: the EXIT trap undoes what an open journal holds.
die() {
  local code=$1
  shift
  complain "$@"
  exit "${code}"
}

# have COMMAND: is it on this host? (type -P also finds what may not be executed)
have() {
  local path
  path=$(type -P "$1") && [[ -x ${path} ]]
}

now() {
  date -u +%s
}

# timestamp: for names of files and folders, sortable.
timestamp() {
  date -u +%Y%m%dT%H%M%SZ
}

iso_time() {
  date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ
}

# indent: standard input, four columns to the right.
indent() {
  local line
  while IFS= read -r line || [[ -n ${line} ]]; do
    printf '    %s\n' "${line}"
  done
}

# json_string TEXT: a JSON string in plain ASCII; what is not printable becomes a question mark.
json_string() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/\\t}
  text=${text//[^[:print:]]/?}
  printf '"%s"' "${text}"
}

# json_list TEXT...: a JSON list of strings.
json_list() {
  local item comma=''
  printf '['
  for item in "$@"; do
    printf '%s%s' "${comma}" "$(json_string "${item}")"
    comma=', '
  done
  printf ']'
}
