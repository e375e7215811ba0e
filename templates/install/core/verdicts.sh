# shellcheck shell=bash
# Verdicts of checks, of the preflight and of the health report alike.

CHECK_NAME=()
CHECK_VERDICT=() # ok, warning, failed
CHECK_TEXT=()
CHECK_HINT=()
FAILED=0

clear_verdicts() {
  CHECK_NAME=()
  CHECK_VERDICT=()
  CHECK_TEXT=()
  CHECK_HINT=()
  FAILED=0
}

# verdict NAME VERDICT TEXT [WHAT TO DO]: --ignore demotes a failure to a warning.
verdict() {
  local result=$2 text=$3
  if [[ ${result} == failed && " ${IGNORED[*]-} " == *" $1 "* ]]; then
    result=warning
    text+=" (ignored as asked)"
  fi
  [[ ${result} != failed ]] || FAILED=$((FAILED + 1))
  CHECK_NAME+=("$1")
  CHECK_VERDICT+=("${result}")
  CHECK_TEXT+=("${text}")
  CHECK_HINT+=("${4-}")
}

# has_fault NAME: did this check say anything but that all is well?
has_fault() {
  local index
  for index in "${!CHECK_NAME[@]}"; do
    [[ ${CHECK_NAME[index]} != "$1" || ${CHECK_VERDICT[index]} == ok ]] || return 0
  done
  return 1
}

print_verdicts() {
  local index line
  for index in "${!CHECK_NAME[@]}"; do
    printf -v line '  %-7s  %-14s %s' "${CHECK_VERDICT[index]}" "${CHECK_NAME[index]}" "${CHECK_TEXT[index]}"
    say "${line}"
    printf -v line '  %24s %s' '' "${CHECK_HINT[index]}"
    [[ ${CHECK_VERDICT[index]} == ok || -z ${CHECK_HINT[index]} ]] || say "${line}"
  done
}

# print_trouble: only what is not ok.
print_trouble() {
  local index
  for index in "${!CHECK_NAME[@]}"; do
    case ${CHECK_VERDICT[index]} in
      failed) complain "${CHECK_NAME[index]}: ${CHECK_TEXT[index]}" ${CHECK_HINT[index]:+"${CHECK_HINT[index]}"} ;;
      warning) warn "${CHECK_NAME[index]}: ${CHECK_TEXT[index]}" "${CHECK_HINT[index]}" ;;
      *) ;;
    esac
  done
}

verdicts_json() {
  local index comma=''
  printf '['
  for index in "${!CHECK_NAME[@]}"; do
    json "${comma}"'{"name": %s, "verdict": %s, "text": %s, "hint": %s}' \
      "${CHECK_NAME[index]}" "${CHECK_VERDICT[index]}" "${CHECK_TEXT[index]}" "${CHECK_HINT[index]}"
    comma=', '
  done
  printf ']'
}
