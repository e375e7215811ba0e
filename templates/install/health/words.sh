# shellcheck shell=bash
# etcd's own words: why it ended, from its container's log.

# etcd_error: why etcd ended, in its own words: the one line of its log that says it, not the help text after a wrong
# flag. It comes from outside, so only what is printable of it is shown.
etcd_error() {
  local file newest='' line found='' rank=0
  for file in "${POD_LOGS}"/kube-system_etcd-*/etcd/*.log; do
    [[ ! -s ${file} ]] || [[ -n ${newest} && ! ${file} -nt ${newest} ]] || newest=${file}
  done
  [[ -n ${newest} ]] || return 1
  while IFS= read -r line || [[ -n ${line} ]]; do
    # the runtime writes when, which stream, and whether the line is full or partial
    [[ ! ${line} =~ ^[^\ ]+\ (stdout|stderr)\ [FP]\ (.*)$ ]] || line=${BASH_REMATCH[2]}
    [[ ${line} != Usage:* ]] || break
    rank_line "${line}"
  done < <(tail -c 65536 -- "${newest}" 2> /dev/null || true)
  [[ -n ${found} ]] || return 1
  json_text msg "${found}" || JSON_TEXT=${found}
  line=${JSON_TEXT}
  ! json_text error "${found}" || line+=": ${JSON_TEXT}"
  line=${line//\\\"/\"}
  line=${line//[^[:print:]]/?}
  printf '%s' "${line:0:400}"
}

# rank_line LINE: keeps the last of the worst lines in the caller's `found`, and how bad it is in its `rank`.
rank_line() {
  local worse=1
  case $1 in
    '') return 0 ;;
    *'"level":"fatal"'* | *'"level":"panic"'* | panic:* | 'flag provided but not defined'* | 'invalid value'* | *' C | '*) worse=4 ;;
    *'"level":"error"'* | *' E | '*) worse=3 ;;
    *'"error":"'*) worse=2 ;;
    *) ;;
  esac
  ((worse < rank)) || { found=$1 && rank=${worse}; }
}

JSON_TEXT=''

# json_text NAME TEXT: sets JSON_TEXT to the first string of that name, with its escapes.
json_text() {
  local pattern="\"$1\":\"(([^\"\\\\]|\\\\.)*)\""
  [[ $2 =~ ${pattern} ]] && JSON_TEXT=${BASH_REMATCH[1]}
}
