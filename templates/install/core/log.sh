# shellcheck shell=bash
# Messages: what, why, what to do; a line each, see printable. Results go to standard output, problems to standard error; with --json
# standard output belongs to the one JSON document.

FAILURE='' # the first error of this run, for the receipt

say() {
  printable "$*"
  if [[ ${JSON} == yes ]]; then
    printf '%s\n' "${PRINTABLE}" >&2 || true
  else
    printf '%s\n' "${PRINTABLE}" || true
  fi
}

# warn MESSAGE [WHAT TO DO]
warn() {
  printable "$1"
  printf 'warning: %s\n' "${PRINTABLE}" >&2 || true
  [[ -n ${2-} ]] || return 0
  printable "$2"
  printf '         %s\n' "${PRINTABLE}" >&2 || true
}

# complain MESSAGE [WHAT TO DO]...
complain() {
  local line
  [[ -n ${FAILURE} ]] || FAILURE=$1
  printable "$1"
  printf 'error: %s\n' "${PRINTABLE}" >&2 || true
  shift
  for line in "$@"; do
    printable "${line}"
    printf '       %s\n' "${PRINTABLE}" >&2 || true
  done
}

# die CODE MESSAGE [WHAT TO DO]...: the EXIT trap undoes what an open journal holds.
die() {
  local code=$1
  shift
  complain "$@"
  exit "${code}"
}

# have COMMAND: is it on this host, and may it be executed?
have() {
  local folder
  for folder in ${PATH//:/ }; do
    [[ ! -f ${folder}/$1 || ! -x ${folder}/$1 ]] || return 0
  done
  return 1
}

# first_line VARIABLE COMMAND...: sets it to the first line of what the command says.
first_line() {
  local said
  said=$("${@:2}" 2> /dev/null) || true
  printf -v "$1" '%s' "${said%%$'\n'*}"
}

# now VARIABLE: seconds since 1970.
now() {
  printf -v "$1" '%(%s)T' -1
}

# timestamp: for names of files and folders, sortable. As everywhere here, in UTC.
timestamp() {
  printf '%(%Y%m%dT%H%M%SZ)T' -1
}

iso_time() {
  printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$1"
}

# json FORMAT TEXT...: prints FORMAT, with each TEXT for a %s: a JSON string in plain ASCII, in which a question mark stands
# for what is not printable.
json() {
  local format=$1 text
  local -a strings=()
  shift
  for text in "$@"; do
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//$'\n'/\\n}
    text=${text//$'\t'/\\t}
    strings+=("\"${text//[^[:print:]]/?}\"")
  done
  # shellcheck disable=SC2059 # every format is written in this script
  printf "${format}" ${strings[@]+"${strings[@]}"}
}

# json_list TEXT...: a JSON list of strings.
json_list() {
  local item comma=''
  printf '['
  for item in "$@"; do
    json "${comma}%s" "${item}"
    comma=', '
  done
  printf ']'
}
