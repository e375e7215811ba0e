# shellcheck shell=bash
# The journal: what is about to change is written down, and reaches the disk, before it changes.
#
# STATE/transaction/journal is the open one, STATE/generations/NNNN/journal are the finished ones. Lines:
#   begin VERB PAYLOAD_DIGEST SECONDS [CHANGE]   (version 0.1 knew one change alone, and did not name it)
#   kubelet ENABLED ACTIVE                before this run
#   file NUMBER MODE SHA256 PATH          an earlier file, kept as kept/NUMBER (SHA256 `link`: a symbolic link)
#   absent PATH                           there was no file
#   folder PATH                           made by us; removed again if empty
#   data PATH                             the data directory, made by us (moved aside, never removed)
#   emptylog PATH                         the folder of wal-dir, without a log in it
#   emptydata PATH                        the data directory was there, without a member in it (`member` in version 0.1)
#   image NAME                            imported by us
#   tag NAME DIGEST KEPT                  of another image before the import; in containerd, KEPT is its name as well now
#   joins URL                             the member at this address is to be added to the cluster
#   left                                  and was taken out of it again, while all this was being undone
#   gone ID                               the lost member of this host is to be taken out of the cluster
#   moved ID URL                          the member at this address is to have another one
#   aside FROM TO                         what is left of a lost member's data is to be moved
#   stopped                               etcd was stopped; the rest of this bundle is to come
#   work PATH                             a folder in which data is restored, and which goes again
#   version VERSION                       of the etcd that served here before an upgrade
#   undo                                  a finished one that is being undone: this must be finished first
#   units                                 systemd and kubelet are touched from here on
#   commit                                done: only its folder's name is still to change
# A torn last line, after a power cut, has no newline and is not read: what it announces was not done.
# How a line is taken back says undo_WORD, in undo.sh.

JOURNAL=''       # folder of the open journal
TRANSACTION=none # none, open, or committed
UNDO_WITH=''     # the function that takes back what an open one has done
declare -A NOTED=()

# Every word, with the shape of what follows it. A line of another shape means a damaged journal.
readonly IMAGE_SHAPE='[A-Za-z0-9][A-Za-z0-9._:/@-]*'
declare -rA JOURNAL_SHAPES=(
  [begin]='[a-z]+ [0-9a-f]{64} [0-9]{1,12}( [a-z0-9-]+)?'
  [kubelet]='[a-z-]+ [a-z-]+'
  [file]="[0-9]{1,9} [0-7]{4,5} ([0-9a-f]{64}|link) ${PATH_SHAPE}"
  [absent]="${PATH_SHAPE}"
  [folder]="${PATH_SHAPE}"
  [data]="${PATH_SHAPE}"
  [emptylog]="${PATH_SHAPE}"
  [emptydata]="${PATH_SHAPE}"
  [member]="${PATH_SHAPE}"
  [image]="${IMAGE_SHAPE}"
  [tag]="${IMAGE_SHAPE} ${IMAGE_SHAPE} ${IMAGE_SHAPE}"
  [gone]='[0-9]{1,20}' [moved]="[0-9]{1,20} ${URL_SHAPE}" [aside]="${PATH_SHAPE} ${PATH_SHAPE}" [joins]="${URL_SHAPE}" [left]='' [version]="${VERSION_SHAPE}"
  [undo]='' [units]='' [commit]='' [stopped]='' [work]="${PATH_SHAPE}"
)

# journal WORDS...: one line in the journal, on disk when this returns.
journal() {
  journal_lines "$*"
}

# journal_lines LINE...: several at once.
journal_lines() {
  printf '%s\n' "$@" >> "${JOURNAL}/journal" && sync -- "${JOURNAL}/journal"
}

# journal_has FOLDER WORD: does its journal hold a line that begins so?
journal_has() {
  local word
  [[ -f $1/journal ]] || return 1
  while read -r word _; do
    [[ ${word} != "$2" ]] || return 0
  done < "$1/journal"
  return 1
}

# journal_line FOLDER WORD: the rest of the first line that begins so.
journal_line() {
  local word rest
  [[ -f $1/journal ]] || return 1
  while read -r word rest; do
    if [[ ${word} == "$2" ]]; then
      printf '%s' "${rest}"
      return 0
    fi
  done < "$1/journal"
  return 1
}

# interrupted: did an earlier run leave an open journal? (An empty one announced nothing.)
interrupted() {
  journal_has "${STATE}/transaction" begin
}

# begin_transaction UNDO: opens a journal, or goes on with that of an interrupted run of the same bundle. If the run fails
# before it ends, the function UNDO is called.
begin_transaction() {
  UNDO_WITH=$1
  JOURNAL=${STATE}/transaction
  TRANSACTION=open
  # umask 077: these folders are private
  mkdir -p -- "${JOURNAL}/kept"
  if interrupted; then
    mend_journal "${JOURNAL}"
    must_be_readable "${JOURNAL}"
    journal_has "${JOURNAL}" kubelet || journal kubelet "$(kubelet_enabled)" "$(kubelet_active)"
    goes_on_stopped || say "An earlier run of this bundle was interrupted; going on from there."
    read_noted
  else
    rm -f -- "${JOURNAL}/journal"
    journal begin "${VERB}" "${PAYLOAD_DIGEST}" "${STARTED}" "${CONF[CHANGE]}"
    sync -- "${JOURNAL}" "${STATE}" "${STATE%/*}"
    journal kubelet "$(kubelet_enabled)" "$(kubelet_active)"
  fi
}

# replaced PATH: prints where the file is kept that this transaction found there, if its content is another now.
replaced() {
  local word number sum path
  while read -r word number _ sum path; do
    [[ ${word} == file && ${path} == "$1" ]] || continue
    [[ ${sum} != "$(sha256 "${ROOT}$1")" ]] || return 1
    printf '%s/kept/%s' "${JOURNAL}" "${number}"
    return 0
  done < "${JOURNAL}/journal"
  return 1
}

# must_be_readable FOLDER: every line of its journal is one.
must_be_readable() {
  read_earlier "$1"
  [[ -z ${NOT_READ} ]] || die "${EXIT_PREFLIGHT}" "${NOT_READ} is damaged, and says what there was before; nothing was changed" \
    "Put back the file that it was, or build this system anew."
}

# mend_journal FOLDER: drops a torn last line, so that what is appended starts on a line of its own.
mend_journal() {
  local -a lines
  mapfile lines < "$1/journal"
  [[ ${lines[-1]} == *$'\n' ]] || unset 'lines[-1]'
  printf '%s' "${lines[@]}" > "$1/journal.mended" && sync -- "$1/journal.mended" \
    && mv -fT -- "$1/journal.mended" "$1/journal"
}

# read_noted: which paths the open journal already knows; their state then must not be noted again.
read_noted() {
  local word rest
  while read -r word rest; do
    case ${word} in
      file | absent | data | emptydata | member) NOTED[${rest##* }]=yes ;;
      *) ;;
    esac
  done < "${JOURNAL}/journal"
}

# back_up PATH...: notes what is at these places now, with copies, so that it can come back. All of it is on the disk before
# anything is changed.
back_up() {
  local path place kept number mode sum
  local -a lines=() copies=()
  look_at "${@/#/"${ROOT}"}"
  for path in "$@"; do
    [[ -z ${NOTED[${path}]-} ]] || continue
    place=${ROOT}${path} number=${#NOTED[@]} kept=${JOURNAL}/kept/${#NOTED[@]}
    NOTED[${path}]=yes
    if [[ -d ${place} && ! -L ${place} ]]; then
      die "${EXIT_FAILED}" "${path} is a folder on this host, and a file is to go there" "Move it away, then run this again."
    elif [[ -e ${place} || -L ${place} ]]; then
      looked_up "${place}" mode mode
      looked_up "${place}" sha256 sum
      rm -rf -- "${kept}"
      # --archive keeps mode, owner, times and the SELinux label
      cp --archive --no-target-directory -- "${place}" "${kept}"
      [[ -L ${place} ]] || copies+=("${kept}")
      lines+=("file ${number} ${mode:-0777} ${sum:-link} ${path}")
    else
      lines+=("absent ${path}")
    fi
  done
  ((${#copies[@]} == 0)) || sync -- "${copies[@]}" "${JOURNAL}/kept"
  ((${#lines[@]} == 0)) || journal_lines "${lines[@]}"
}

# noted PATH: does the open transaction change it?
noted() {
  [[ -n ${NOTED[$1]-} ]]
}

transaction_open() {
  [[ ${TRANSACTION} == open ]]
}

# undo_open: takes back what the open transaction has done.
undo_open() {
  "${UNDO_WITH}"
}

# end_transaction: from here on there is nothing to undo.
end_transaction() {
  TRANSACTION=none
}

# commit: from here on the install is done, whatever happens.
commit() {
  # what is left takes a moment, and to stop in it would help nobody
  trap '' HUP INT TERM
  journal commit
  TRANSACTION=committed
}

# close_transaction: a finished journal becomes the newest generation. If that fails, the next run does it.
close_transaction() {
  local last=0 folder
  while read -r folder; do
    # the newest is the first
    last=${folder##*/}
    break
  done < <(generations)
  printf -v folder '%s/generations/%04d' "${STATE}" $((10#${last} + 1))
  if mkdir -p -- "${STATE}/generations" && rm -rf -- "${STATE}"/transaction/manifest.* \
    && mv -T -- "${STATE}/transaction" "${folder}" && sync -- "${STATE}" "${STATE}/generations"; then
    end_transaction
  else
    warn "the journal in ${STATE}/transaction could not be put away; run this again when its disk can be written"
  fi
}
