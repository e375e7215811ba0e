#!/bin/bash
# shellcheck disable=SC2034 # what is set here is read by the functions of install.sh
# answers.bash INSTALL_SH FOLDER...: lets the installer's functions read the raw answers of each folder, as if etcd had given
# them. FOLDER/out, err and code say what came of it. NAME.endless: what is repeated for ever after what is in NAME.
script=$1
shift
# shellcheck source=/dev/null
source <(sed '$d' "$script")
answer() {
  cat "$folder/$1" 2> /dev/null || true
  [[ ! -e $folder/$1.endless ]] || yes "$(< "$folder/$1.endless")" || true
}
client_request() {
  local folder=$folder
  # a case may be about this member alone, or about the others
  if [[ -e $folder/others && $1 == "${CONF[ADDRESS]}" || -e $folder/own && $1 != "${CONF[ADDRESS]}" ]]; then
    folder=${folder%/*}/usual
  fi
  case $3 in
    /health) answer health ;;
    */status) answer status ;;
    */list) answer list ;;
    */alarm) answer alarm ;;
    */hashkv) answer hash ;;
    *) ;;
  esac
}
metrics_request() {
  local folder=$folder
  [[ ! -e $folder/others ]] || folder=${folder%/*}/usual
  answer "${1#/}"
}
# who listens is tried in test_strangers.py
own_listener() {
  :
}
tls_complaint() {
  printf 'a reason'
}
reachable() {
  return 1
}
sleep() {
  :
}
# what reads answers: the health report, the judging after an install, the quorum, and whether a member is new
read_answers() {
  SECONDS_TO_WAIT=0
  clear_verdicts
  probe
  health_member
  health_members
  health_depth
  health_past
  health_agreement
  ask_quorum
  verdict quorum ok "$QUORUM: $QUORUM_TEXT" "$QUORUM_HINT"
  check_other_members
  check_newcomer
  await_install waiting || true
  ! own_status || write_down "$STATUS_REVISION" "$STATUS_INDEX"
  print_verdicts
  level_text
  echo
  JSON=yes
  report_health "$(health_exit)"
}
HERE=${script%/*}
ALL_MEMBERS=yes
clean_environment
load_bundle
# no case may take more memory
ulimit -v 200000
trap '' PIPE
trap on_error ERR
for folder in "$@"; do
  code=0
  (read_answers) > "$folder/out" 2> "$folder/err" || code=$?
  echo "$code" > "$folder/code"
done
