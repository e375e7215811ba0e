# shellcheck shell=bash
# The verbs, and the order of things.

# Each operation is a room in operations/, with NAME_checks, NAME_steps and NAME_healthy; NAME_places and NAME_in_place: what
# it puts on the host, and whether all else is there; NAME_peers and NAME_waiting: which others count, and in words, while
# there is no leader. bundle.conf names one of these.
readonly OPERATIONS=(create configure renew upgrade add remove replace rotate-ca restore adopt)

# do_install: the bundle's operation, with what all have in common.
do_install() {
  local step minimum=waiting
  local -a steps
  take_lock
  settle_interrupted
  if goes; then
    leave
    return 0
  fi
  if already_installed; then
    confirm_installed
    return 0
  fi
  phase preflight
  find_pieces
  must_pass
  open_keys
  confirm_newcomer
  if running && serves_now; then minimum=member; fi
  mapfile -t steps < <("${CONF[OPERATION]}_steps")
  phase "${steps[0]%% *}"
  say "Installing ${CONF[HOST]} of ${CONF[CLUSTER]} (${CONF[ADDRESS]}) ..."
  [[ -z ${MADE_UP} ]] || say "  ${MADE_UP} did not run here; this run makes up for it."
  begin_transaction undo_failed
  ! running || note_etcd "$(pod_changed_at)"
  for step in "${steps[@]}"; do
    phase "${step%% *}"
    "${step#* }"
  done
  phase health
  "${CONF[OPERATION]}_healthy" "${minimum}"
  note_member
  before_install "${JOURNAL}"
  commit
  write_receipt 0 installed
  close_transaction
  conclude
}

# do_identify: whose bundle this is, and whether it is this machine's.
do_identify() {
  printf 'kind %s\nhost %s\naddress %s\ncluster %s\nchange %s\ndigest %s\n' "${CONF[KIND]}" "${CONF[HOST]}" \
    "${CONF[ADDRESS]}" "${CONF[CLUSTER]}" "${CONF[CHANGE]}" "${PAYLOAD_DIGEST}"
  [[ ${CONF[KIND]} == host ]] || die "${EXIT_WRONG_HOST}" "this bundle is for images, and for no machine"
  right_host
}

# fit_for VERB: a bundle for images is no member's.
fit_for() {
  [[ ${CONF[KIND]} == host || $1 == @(bake|hygiene|firstboot|identify) ]] \
    || bad_usage "$1 is for a host's bundle; this one is for images, with bake and hygiene"
}

need_root() {
  ((EUID == 0)) || die "${EXIT_PREFLIGHT}" "not running as root" "Run it with sudo. Nothing was changed."
}

# need_payload: for what needs the files of the bundle, keys included.
need_payload() {
  ! installed_copy || bad_usage "this is the copy left on the host, which has no files to install: run the bundle itself"
  check_sealed
}

SETTLED=no # has this run finished an undoing that was interrupted?

# settle_interrupted: what a killed run left. The same bundle's install goes on; all else is finished first.
settle_interrupted() {
  local journal=${STATE}/transaction
  local folder
  local -a undoing=()
  while read -r folder; do
    ! journal_has "${folder}" undo || undoing+=("${folder}")
  done < <(
    printf '%s\n' "${journal}"
    generations
  )
  if ((${#undoing[@]} > 0)); then
    say "An earlier run was interrupted while undoing; finishing that first."
    SETTLED=yes
    undo_all "${undoing[@]}" || die "${EXIT_FAILED}" "the interrupted run could not be undone: see the messages above"
    await_return
  elif journal_has "${journal}" commit; then
    JOURNAL=${journal}
    must_be_readable "${journal}"
    before_install "${journal}"
    write_receipt 0 installed
    close_transaction
  fi
}

# already_installed: is everything just as this bundle wants it? Looks only.
already_installed() {
  ! interrupted && files_in_place && [[ -d ${STATE}/generations ]] || return 1
  "${CONF[OPERATION]}_in_place"
}

# confirm_installed: a second run. No file is touched, nothing restarted, no receipt written.
confirm_installed() {
  if running; then
    note_etcd
    await_install waiting || {
      complain "already installed, nothing changed, but not healthy: ${REASON}" "For more: ${CONF[HEALTH_COMMAND]}"
      exit "${EXIT_UNHEALTHY}"
    }
    [[ -f ${STATE}/member ]] || note_member
    say "$(level_text)"
  fi
  say "Already installed; nothing changed. Receipt: $(newest_receipt)"
}

conclude() {
  if running; then
    say "$(level_text)"
    say "Installed. Ask for its health at any time: ${CONF[HEALTH_COMMAND]}"
  else
    say "Placed under ${ROOT}. Nothing was started."
  fi
}

AT_EXIT=()

# at_exit FUNCTION: called when this run ends, the last one first.
at_exit() {
  AT_EXIT+=("$1")
}

# on_exit: whatever ends this script ends here; an open journal is undone.
on_exit() {
  local code=$? index
  # a process forked a moment ago has this trap still, and a signal that hits both must not undo twice
  [[ ${BASHPID} == "$$" ]] || exit "${code}"
  # a signal that interrupts `IFS= read` leaves that IFS in force here
  IFS=$' \t\n'
  trap '' HUP INT TERM
  trap - ERR
  set +e
  end_progress
  if transaction_open; then
    undo_open
    code=${EXIT_FAILED}
  fi
  for ((index = ${#AT_EXIT[@]} - 1; index >= 0; index--)); do
    "${AT_EXIT[index]}"
  done
  exit "${code}"
}

# on_error: a command failed that nobody looked at: this says which.
on_error() {
  # a subshell's failure is the caller's as well: say it once
  ((BASH_SUBSHELL == 0)) || return 0
  complain "unexpected: \`${BASH_COMMAND}\` failed in ${FUNCNAME[1]-main}, line ${BASH_LINENO[0]}"
}

on_signal() {
  complain "interrupted by signal $1"
  exit "$((128 + $1))"
}

main() {
  local name
  open_streams
  clean_environment
  trap on_exit EXIT
  trap on_error ERR
  trap 'on_signal 1' HUP
  trap 'on_signal 2' INT
  trap 'on_signal 15' TERM
  [[ -e /proc/self/stat ]] || die "${EXIT_PREFLIGHT}" "/proc is not mounted here" "mount -t proc proc /proc, or work from outside: --root DIR"
  now STARTED
  HERE=$(cd -P -- "${BASH_SOURCE[0]%/*}" && pwd)
  parse_arguments "$@"
  need_programs
  load_bundle
  fit_for "${VERB}"
  verify_payload
  [[ ${VERB} != @(bake|hygiene|firstboot) ]] || read_image_script
  for name in ${IGNORED[@]+"${IGNORED[@]}"}; do
    may_ignore "${name}"
  done
  load_pieces
  sweep_unpacked
  [[ ${VERB} == @(preflight|identify) ]] || need_root
  stay_inside
  [[ ${VERB} == @(preflight|identify|hygiene) ]] || trust_state
  case ${VERB} in
    health | snapshot | rollback | uninstall | identify | hygiene | firstboot) "do_${VERB}" ;;
    bake)
      need_payload
      do_bake
      ;;
    *)
      need_payload
      right_host
      "do_${VERB}"
      ;;
  esac
}
