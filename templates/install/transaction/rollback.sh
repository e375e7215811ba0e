# shellcheck shell=bash
# The verbs rollback and uninstall.

TO=''     # --to: the change after which the host is to be as it was
YES=no    # --yes: the costs are known
UNDONE=() # the changes that this run undoes, newest first

# do_rollback: what this very bundle did last, and only if nothing newer stands on it; see --to for more.
do_rollback() {
  local -a folders=() chosen=()
  take_lock
  mapfile -t folders < <(undoable)
  if pending_undo ${folders[@]+"${folders[@]}"}; then
    say "An earlier run was interrupted while undoing; finishing that."
    chosen=("${PENDING[@]}")
  elif [[ -n ${TO} ]]; then
    choose_newer ${folders[@]+"${folders[@]}"}
    must_agree ${chosen[0]:+"${chosen[@]}"}
  else
    choose_own ${folders[@]+"${folders[@]}"}
  fi
  ! gone_up ${chosen[0]:+"${chosen[@]}"} || die "${EXIT_PREFLIGHT}" "${GONE_UP}; nothing was changed" \
    "The way back is a snapshot from before the upgrade."
  ! turned ${chosen[0]:+"${chosen[@]}"} || die "${EXIT_PREFLIGHT}" "the certificates from before would come back, and these members do not accept them any more:${TURNED}; nothing was changed" \
    "Undo there first what came after this change."
  must_keep_quorum ${chosen[0]:+"${chosen[@]}"}
  warn_expired ${chosen[0]:+"${chosen[@]}"}
  finish_undo rollback rolled-back "Nothing to roll back: there is nothing on this host that $(by_whom) did." ${chosen[0]:+"${chosen[@]}"}
}

by_whom() {
  if installed_copy; then printf 'bundlegen'; else printf 'this bundle'; fi
}

# undoable: the open journal, which an interrupted run left, and all generations; newest first.
undoable() {
  ! interrupted || printf '%s\n' "${STATE}/transaction"
  generations
}

PENDING=()

# pending_undo FOLDER...: sets PENDING to those of which an interrupted run has begun the undoing.
pending_undo() {
  local folder
  PENDING=()
  for folder in "$@"; do
    ! journal_has "${folder}" undo || PENDING+=("${folder}")
  done
  ((${#PENDING[@]} > 0))
}

DIGEST='' # of the bundle whose run left a journal
CHANGE='' # and its change

# read_begin FOLDER: sets DIGEST and CHANGE; in version 0.1 there was but one change, and it was not named.
read_begin() {
  local line
  line=$(journal_line "$1" begin) || line=''
  [[ ${line} =~ ^${JOURNAL_SHAPES[begin]}$ ]] \
    || die "${EXIT_FAILED}" "$1/journal is damaged: it does not say whose it is; nothing was changed"
  read -r _ DIGEST _ CHANGE <<< "${line}"
  CHANGE=${CHANGE:-create}
}

# choose_own FOLDER...: sets the caller's `chosen` to the newest, if this bundle made it. The copy on the host is that
# of what is installed.
choose_own() {
  local folder own=no
  local -a newer=()
  for folder in "$@"; do
    read_begin "${folder}"
    # what came before what this bundle did
    [[ ${own} == no ]] || refuse_older "${CHANGE}" "${newer[@]}"
    if [[ ${DIGEST} == "${PAYLOAD_DIGEST}" ]] || { installed_copy && ((${#newer[@]} == 0)); }; then
      if ((${#newer[@]} == 0)); then
        chosen=("${folder}")
        return 0
      fi
      own=yes
    else
      newer+=("${CHANGE}")
    fi
  done
  [[ ${own} == no ]] || refuse_older '' "${newer[@]}"
  ((${#newer[@]} == 0)) || say "Installed here: ${newer[0]}. Its own bundle's rollback undoes that, and so does: bash ${CONF[STATE_DIR]}/bundle/install.sh rollback"
}

# refuse_older BEFORE NEWER...: what this bundle did has newer changes on top.
refuse_older() {
  local before=$1 way="\`uninstall\` undoes everything that was done on this host"
  shift
  [[ -z ${before} ]] || way="or go back at once to how the host was after ${before}, with all that costs: rollback --to ${before}"
  die "${EXIT_PREFLIGHT}" "newer changes stand on what this bundle did: $(joined "$@"); nothing was changed" \
    "Undo them first, the newest first, each with its own bundle;" "${way}."
}

# joined WORD...: a list in words.
joined() {
  local text=$1
  shift
  while (($# > 1)); do
    text+=", $1"
    shift
  done
  (($# == 0)) || text+=" and $1"
  printf '%s' "${text}"
}

# choose_newer FOLDER...: sets the caller's `chosen` to all that came after the newest run of the change TO.
choose_newer() {
  local folder known=''
  for folder in "$@"; do
    read_begin "${folder}"
    if [[ ${CHANGE} == "${TO}" ]]; then
      ((${#chosen[@]} > 0)) || say "${TO} is the newest change on this host."
      return 0
    fi
    chosen+=("${folder}")
    known+=" ${CHANGE}"
  done
  chosen=()
  die "${EXIT_USAGE}" "rollback --to: the change ${TO} did not run on this host; there are:${known:- none}" "Nothing was changed."
}

# must_agree FOLDER...: says what it costs to undo these, and asks.
must_agree() {
  local answer='' folder
  local -a changes=()
  (($# > 0)) || return 0
  for folder in "$@"; do
    read_begin "${folder}"
    changes+=("${CHANGE}")
  done
  say "Back to how this host was after ${TO}. This undoes: $(joined "${changes[@]}")."
  say_costs "$@"
  [[ ${YES} == no ]] || return 0
  [[ -t 0 ]] || die "${EXIT_USAGE}" "rollback --to asks whether to go on, and there is no terminal; nothing was changed" "If that is what you want, add --yes."
  printf 'Type yes to go on: ' > /dev/tty
  IFS= read -r answer < /dev/tty || true
  [[ ${answer} == yes ]] || die "${EXIT_USAGE}" "not confirmed; nothing was changed"
}

# say_costs FOLDER...: what happens to files, etcd and kubelet if these are undone.
say_costs() {
  local path count=0 kubelet=no
  read_earlier "$@"
  for path in ${UNDO_ORDER[@]+"${UNDO_ORDER[@]}"}; do
    ! same_file "${ROOT}${path}" "${EARLIER[${path}]}" || continue
    count=$((count + 1))
    effect_of "${path}"
    [[ ${EFFECT} != kubelet ]] || kubelet=yes
  done
  say "  ${count} files become what they were; a copy stays of each that was changed by hand since"
  expect_return "$@"
  [[ ${AWAITED} == no ]] || say "  etcd is restarted, so that this member is away for up to half a minute"
  [[ ${kubelet} == no ]] || say "  kubelet is restarted"
  say "  what clients have written to etcd stays"
}

# must_keep_quorum FOLDER...: where undoing restarts etcd, the cluster must not lose its quorum by that.
must_keep_quorum() {
  local folder
  (($# > 0)) && running || return 0
  for folder in "$@"; do
    read_begin "${folder}"
    # the cluster that began with a snapshot ends with this, on all hosts
    [[ ${CHANGE} != *-restore ]] || return 0
  done
  read_earlier "$@"
  expect_return "$@"
  [[ ${AWAITED} == yes && -n $(etcd_processes) ]] || return 0
  ask_quorum
  [[ ${QUORUM} != @(lost|unknown) ]] || die "${EXIT_PREFLIGHT}" "${QUORUM_TEXT}; nothing was changed" "${QUORUM_HINT}"
}

# warn_expired FOLDER...: certificates that come back may have expired; nobody can then connect any more.
warn_expired() {
  local path kept line expired=''
  (($# > 0)) || return 0
  read_earlier "$@"
  for path in ${UNDO_ORDER[@]+"${UNDO_ORDER[@]}"}; do
    kept=${EARLIER[${path}]}
    [[ ${path} == *.crt && -f ${kept} ]] || continue
    ! openssl x509 -noout -checkend 0 -in "${kept}" > /dev/null 2>&1 || continue
    line=$(openssl x509 -noout -enddate -in "${kept}" 2> /dev/null) || line=''
    expired+=" ${path} (${line#notAfter=});"
  done
  [[ -z ${expired} ]] || warn "these certificates come back, and have expired:${expired%;}. No new connection to this member will succeed."
}

do_uninstall() {
  local -a folders=()
  take_lock
  mapfile -t folders < <(generations)
  ! interrupted || folders=("${STATE}/transaction" ${folders[@]+"${folders[@]}"})
  finish_undo uninstall uninstalled "Nothing to uninstall: bundlegen has changed nothing on this host." ${folders[@]+"${folders[@]}"}
}

# finish_undo VERB OUTCOME NOTHING-TO-DO FOLDER...
finish_undo() {
  local verb=$1 done_word=$2 nothing=$3 code=0 folder
  shift 3
  if (($# == 0)); then
    tidy_state
    say "${nothing}"
    return 0
  fi
  for folder in "$@"; do
    read_begin "${folder}"
    UNDONE+=("${CHANGE}")
  done
  trap '' HUP INT TERM
  mark_undo "$@"
  before_undo "$@"
  # of a run that was interrupted, nobody can say what is its own
  interrupted || keep_edited
  if undo_all "$@"; then
    await_return
    [[ -z ${NOT_BACK} ]] || code=${EXIT_UNHEALTHY}
    write_receipt "${code}" "${done_word}"
    tidy_state
    ((code == 0)) || exit "${code}"
    say "Done: this host is as it was before."
  else
    write_receipt "${EXIT_FAILED}" "${verb}-incomplete"
    die "${EXIT_FAILED}" "${verb} could not undo everything: see the messages above" \
      "Correct what they say, then run the same again."
  fi
}

# mark_undo FOLDER...: so that a run after an interruption finishes the undoing before anything else.
mark_undo() {
  local folder
  for folder in "$@"; do
    journal_has "${folder}" undo && continue
    { mend_journal "${folder}" && printf 'undo\n' >> "${folder}/journal" && sync -- "${folder}/journal"; } \
      || die "${EXIT_FAILED}" "cannot write to ${folder}/journal; nothing was changed" \
        "Make room or make it writable, then run this again."
  done
}

# keep_edited: a file that somebody changed after the install is theirs; a copy stays.
keep_edited() {
  local path copy folder
  folder=${STATE}/edited/$(timestamp)
  for path in "${UNDO_ORDER[@]}"; do
    [[ -f ${ROOT}${path} && ! -L ${ROOT}${path} && ${path} != "${CONF[STATE_DIR]}"/* ]] || continue
    if placed_by_us "${path}" || same_file "${ROOT}${path}" "${EARLIER[${path}]}"; then continue; fi
    [[ ${path} != "${CONF[STATIC_POD_MANIFEST]}" ]] || ! made_here || continue
    copy=${folder}${path}
    { mkdir -p -- "${copy%/*}" && cp --archive -- "${ROOT}${path}" "${copy}"; } \
      || die "${EXIT_FAILED}" "cannot keep a copy of ${path}, which was changed after the install; nothing was changed" \
        "Make room in ${STATE}, then run this again."
    say "  ${path} was changed after the install; a copy stays as ${copy}"
  done
}
