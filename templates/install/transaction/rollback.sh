# shellcheck shell=bash
# The verbs rollback and uninstall.

# do_rollback: the newest change; an interrupted one counts as the newest.
do_rollback() {
  local -a folders=()
  take_lock
  if interrupted; then
    folders=("${STATE}/transaction")
  else
    rm -rf -- "${STATE}/transaction"
  fi
  [[ -n ${folders[0]-} ]] || mapfile -t -n 1 folders < <(generations)
  finish_undo rollback rolled-back "Nothing to roll back: bundlegen has changed nothing on this host." ${folders[0]:+"${folders[@]}"}
}

do_uninstall() {
  local -a folders=()
  take_lock
  mapfile -t folders < <(generations)
  ! interrupted || folders=("${STATE}/transaction" ${folders[0]:+"${folders[@]}"})
  finish_undo uninstall uninstalled "Nothing to uninstall: bundlegen has changed nothing on this host." ${folders[0]:+"${folders[@]}"}
}

# finish_undo VERB OUTCOME NOTHING-TO-DO FOLDER...
finish_undo() {
  local verb=$1 done_word=$2 nothing=$3 code=0
  shift 3
  if (($# == 0)); then
    tidy_state
    say "${nothing}"
    return 0
  fi
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
