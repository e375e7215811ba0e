# shellcheck shell=bash
# Undoing journals: the open one after a failure, the newest generation for `rollback`, all for `uninstall`.
# Every action may be repeated, so that an interrupted undo is simply done again.

UNDO_TROUBLE=0
UNDO_LINES=()         # of all journals, in the order in which they are undone: the newest first
declare -A EARLIER=() # path: `absent` or the kept file that was there before the oldest journal
UNDO_ORDER=()         # the paths, in the order in which they were first changed
MOVED_ASIDE=()
NOT_READ=''                # a journal with a line that is none
KUBELET_BEFORE='none none' # ENABLED ACTIVE, as the oldest journal found it
UNITS_TOUCHED=no

# read_earlier FOLDER...: journals, newest first; the oldest that knows a path decides.
read_earlier() {
  local folder word rest
  local -a lines
  UNDO_LINES=() EARLIER=() UNDO_ORDER=() NOT_READ=''
  for folder in "$@"; do
    [[ -f ${folder}/journal ]] || continue
    lines=()
    while read -r word rest; do
      if [[ -z ${word} || -z ${JOURNAL_SHAPES[${word}]+x} || ! ${rest} =~ ^${JOURNAL_SHAPES[${word}]}$ ]]; then
        NOT_READ=${folder}/journal
        continue
      fi
      case ${word} in
        absent) remember_earlier "${rest}" absent ;;
        file) remember_earlier "${rest##* }" "${folder}/kept/${rest%% *}" ;;
        *) ;;
      esac
      lines=("${word} ${rest}" ${lines[@]+"${lines[@]}"})
    done < "${folder}/journal"
    UNDO_LINES+=(${lines[@]+"${lines[@]}"})
  done
}

remember_earlier() {
  [[ -n ${EARLIER[$1]-} ]] || UNDO_ORDER+=("$1")
  EARLIER[$1]=$2
}

trouble() {
  UNDO_TROUBLE=$((UNDO_TROUBLE + 1))
  complain "while undoing: $1" "${@:2}"
}

# undo FOLDER...: journals, newest first. Never stops at a failure; counts them in UNDO_TROUBLE.
undo() {
  local pod=${CONF[STATIC_POD_MANIFEST]} path line
  local -a made=()
  UNDO_TROUBLE=0 UNITS_TOUCHED=no KUBELET_BEFORE='none none'
  read_earlier "$@"
  if [[ -n ${NOT_READ} ]]; then
    trouble "${NOT_READ} is damaged, and says what there was before"
    return 0
  fi
  expect_return "$@"
  for path in ${UNDO_ORDER[@]+"${UNDO_ORDER[@]}"}; do
    [[ ${EARLIER[${path}]} != absent ]] || made+=("${path}")
  done
  leave_first "$@" || return 0
  [[ ${LEFT} == no ]] || AWAITED=no CA_RETURNS=no
  stop_timers ${made[@]+"${made[@]}"}
  # a static Pod that was not there before goes first, while our kubelet can still stop its container
  if [[ ${EARLIER[${pod}]-} == absent || ${LEFT} == yes ]]; then
    EARLIER[${pod}]=absent
    restore "${pod}"
    ((UNDO_TROUBLE == 0)) || return 0
    stop_etcd
  elif exchanges_data; then
    # it comes back with the data that it belongs to
    rm -f -- "${ROOT}${pod}"
    stop_etcd
  fi
  # read_earlier has matched every word
  for line in ${UNDO_LINES[@]+"${UNDO_LINES[@]}"}; do
    "undo_${line%% *}" "${line#* }"
  done
  [[ ${CA_RETURNS} == no ]] || restart_etcd "${ORIGINAL}"
  # with some files old and some new, a kubelet that runs is best left alone
  ((UNDO_TROUBLE > 0)) || [[ ${UNITS_TOUCHED} == no ]] || restore_kubelet "${KUBELET_BEFORE% *}" "${KUBELET_BEFORE#* }"
  [[ ${UNITS_TOUCHED} == no ]] || retend_backup
}

# exchanges_data: does undoing put other data in the place of what etcd uses now?
exchanges_data() {
  local line
  for line in ${UNDO_LINES[@]+"${UNDO_LINES[@]}"}; do
    [[ ${line} != 'aside '* ]] || return 0
  done
  return 1
}

# Each word of the journal: how its line is taken back, given what follows the word.

undo_begin() { :; }

undo_undo() { :; }

undo_commit() { :; }

undo_units() {
  UNITS_TOUCHED=yes
}

# undo_kubelet "ENABLED ACTIVE": at the end, when all files are back; the oldest journal is read last, and counts.
undo_kubelet() {
  KUBELET_BEFORE=$1
}

# undo_file "NUMBER MODE SHA256 PATH"
undo_file() {
  restore "${1##* }"
}

undo_absent() {
  restore "$1"
}

# undo_folder PATH: if nothing of somebody else is in it. kubelet and etcd leave none of their own there.
undo_folder() {
  [[ -d ${ROOT}$1 ]] || return 0
  rmdir -- "${ROOT}$1" 2> /dev/null || true
}

undo_data() {
  rmdir -- "${ROOT}$1" 2> /dev/null || set_aside "$1"
  forget_member
}

undo_emptydata() {
  set_aside "$1/member"
  forget_member
}

undo_emptylog() {
  set_aside "$1"
  forget_member
}

undo_member() {
  undo_emptydata "$1"
}

undo_image() {
  [[ -n ${ROOT} ]] || remove_image "$1"
}

# undo_tag "NAME DIGEST KEPT"
undo_tag() {
  local name digest kept
  read -r name digest kept <<< "$1"
  [[ -n ${ROOT} ]] || restore_tag "${name}" "${digest}" "${kept}"
}

# restore PATH: to what read_earlier found.
restore() {
  local place=${ROOT}$1 kept=${EARLIER[$1]} new
  temporary "$1" new
  new=${ROOT}${new}
  rm -rf -- "${new}"
  if [[ ${kept} == absent ]]; then
    rm -f -- "${place}" || trouble "cannot remove $1"
  elif ! same_file "${place}" "${kept}"; then
    if cp --archive --no-target-directory -- "${kept}" "${new}" && sync -- "${new}"; then
      mv -fT -- "${new}" "${place}" || trouble "cannot put back $1" "It is kept as ${kept}."
    else
      rm -f -- "${new}"
      trouble "cannot put back $1" "It is kept as ${kept}; make room, then run \`rollback\`."
    fi
  fi
}

# same_file ONE OTHER: same kind, content, mode, owner and time?
same_file() {
  local facts='%F %a %u %g %Y'
  [[ $(stat -c "${facts}" -- "$1" 2> /dev/null) == "$(stat -c "${facts}" -- "$2" 2> /dev/null)" ]] || return 1
  [[ -L $1 || $(sha256 "$1") == "$(sha256 "$2")" ]]
}

# name_aside PATH VARIABLE: sets it to the path that this folder gets when it is moved aside.
name_aside() {
  local base count=1
  base=$1.bundlegen-$(timestamp)
  while [[ -e ${base} ]]; do
    base=$1.bundlegen-$(timestamp).$((count++))
  done
  printf -v "$2" '%s' "${base}"
}

# set_aside PATH: etcd's data is never deleted.
set_aside() {
  local source=${ROOT}$1 target
  [[ -d ${source} ]] || return 0
  name_aside "${source}" target
  if mv -T -- "${source}" "${target}"; then
    MOVED_ASIDE+=("${target#"${ROOT}"}")
    say "  moved etcd's data to ${target}; delete it yourself when nobody needs it"
  else
    trouble "cannot move ${source} aside"
  fi
}

# drop_journal FOLDER: undone; its kept files are of no more use.
drop_journal() {
  rm -rf -- "${STATE}/undone"
  mv -T -- "$1" "${STATE}/undone" && sync -- "${STATE}" && rm -rf -- "${STATE}/undone"
}

# tidy_state: nothing of ours is left but receipts.
tidy_state() {
  rm -rf -- "${STATE}/undone"
  # of a run that was killed before it had written a word
  rmdir -- "${STATE}/transaction/kept" "${STATE}/transaction" 2> /dev/null || true
  rmdir -- "${STATE}/generations" "${STATE}/bundle" "${STATE}" "${STATE%/*}" 2> /dev/null || true
}

# undo_all FOLDER...: journals, newest first, each forgotten when all is undone.
undo_all() {
  local folder
  undo "$@"
  ((UNDO_TROUBLE == 0)) || return 1
  for folder in "$@"; do
    drop_journal "${folder}" || trouble "cannot remove ${folder}"
  done
  ((UNDO_TROUBLE == 0))
}

# generations: folders of finished journals, newest first. What is called otherwise is none.
generations() {
  local folder
  local -a folders=()
  for folder in "${STATE}"/generations/[0-9]*; do
    [[ ! ${folder##*/} =~ ^[0-9]{4,9}$ || ! -d ${folder} ]] || folders=("${folder}" ${folders[@]+"${folders[@]}"})
  done
  ((${#folders[@]} == 0)) || printf '%s\n' "${folders[@]}"
}

# undo_failed: after a failure or a signal in the middle of an install. Whatever comes of it, the run ends with EXIT_FAILED.
undo_failed() {
  before_install "${JOURNAL}"
  if [[ ${CONF[OPERATION]} == restore ]]; then
    # an old member that comes back while others are restored would be of two clusters
    GONE_UP='no member of before is started again by itself'
  fi
  if [[ -n ${GONE_UP} ]] || gone_up "${JOURNAL}"; then
    end_transaction
    write_receipt "${EXIT_FAILED}" not-undone
    complain "the install failed and is left as it is: ${GONE_UP}" "The first error: ${FAILURE:-interrupted}" \
      "Run this bundle again: it goes on from here."
    return 0
  fi
  say "Undoing what this run has changed ..."
  if undo_all "${JOURNAL}"; then
    end_transaction
    await_return
    write_receipt "${EXIT_FAILED}" rolled-back
    if [[ -z ${NOT_BACK} ]]; then
      complain "the install failed and was rolled back: this host is as it was before" "The first error: ${FAILURE:-interrupted}"
    else
      complain "THE INSTALL FAILED AND WAS ROLLED BACK, AND ETCD DOES NOT SERVE AGAIN: ${NOT_BACK}" "The first error: ${FAILURE:-interrupted}" \
        "Change no other host before this one is healthy: ${CONF[HEALTH_COMMAND]}"
    fi
  else
    complain "THE INSTALL FAILED, AND UNDOING IT FAILED PARTLY: see the messages above." \
      "Correct what they say, then run: ${CONF[HOST]}.run -- rollback" "Nothing that was kept has been lost: ${STATE}"
    write_receipt "${EXIT_FAILED}" rollback-incomplete
  fi
  tidy_state
}
