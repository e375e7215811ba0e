# shellcheck shell=bash
# What hygiene's checks found, and how it is said; and the exceptions that were asked for.

# report_files NAME TEXT HINT FILE...: a verdict that names the files; a good one where there are none but what is allowed.
report_files() {
  local name=$1 text=$2 hint=$3 listed='' count=0 file allowed=''
  local -A seen=()
  shift 3
  for file in "$@"; do
    # what is mounted twice is found twice
    [[ -z ${seen[${file}]-} ]] || continue
    seen[${file}]=yes
    file=${file#"${ROOT}"}
    if is_allowed "${file}"; then
      ALLOWED_SEEN[${file}]=yes
      allowed+=" ${file}"
      continue
    fi
    count=$((count + 1))
    # a name must not look like lines of ours, or steer the terminal
    [[ ${file} != *[[:cntrl:]]* ]] || printf -v file '%q' "${file}"
    ((count > SHOWN_FILES)) || listed+=" ${file}"
  done
  ((count <= SHOWN_FILES)) || listed+=" and $((count - SHOWN_FILES)) more"
  if ((count > 0)); then
    verdict "${name}" failed "${text}:${listed}" "${hint}"
  else
    verdict "${name}" ok "none${allowed:+ but what is allowed:}${allowed}"
  fi
}

declare -gA ALLOWED_SEEN=()

is_allowed() {
  local path
  for path in ${ALLOWED[@]+"${ALLOWED[@]}"}; do
    [[ ${path} != "$1" ]] || return 0
  done
  return 1
}

# report_allowed: an exception that nothing needs any more would let something else through one day.
report_allowed() {
  local path
  for path in ${ALLOWED[@]+"${ALLOWED[@]}"}; do
    [[ -n ${ALLOWED_SEEN[${path}]-} ]] || warn "--allow ${path}: nothing was found there, so the exception is not needed"
  done
}

# cannot_scan NAME: without find, xargs and grep these are not known, and what is not known is not good.
cannot_scan() {
  [[ -n ${SCAN_TROUBLE} ]] || return 1
  verdict "$1" failed "cannot be told: these programs are missing:${SCAN_TROUBLE}" "Check the image from outside: hygiene --root DIR"
}

# existing PATTERN...: in EXISTING what there is in the image.
EXISTING=()
existing() {
  local pattern path
  EXISTING=()
  for pattern in "$@"; do
    # shellcheck disable=SC2231  # the pattern is to be expanded
    for path in "${ROOT}"${pattern}; do
      [[ ! -e ${path} && ! -L ${path} ]] || EXISTING+=("${path}")
    done
  done
}
