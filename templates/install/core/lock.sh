# shellcheck shell=bash
# One run at a time on a host. Each run first makes a file named after itself (process id and start time,
# so that a recycled id is not mistaken for it), then looks for others that live. Two runs can both give
# way, never both go on; a dead run's file is simply removed, so that nothing is ever taken over.

LOCK=''
MADE_RUN=no # was there no /run in the tree that we work on?

# start_time PID: in clock ticks since boot, field 22 of /proc/PID/stat; fails if there is no such process.
start_time() {
  local stat
  local -a fields
  { read -r stat < "/proc/$1/stat"; } 2> /dev/null || return 1
  # the second field, the name in parentheses, may itself hold spaces and parentheses
  read -r -a fields <<< "${stat##*) }"
  printf '%s' "${fields[19]}"
}

# live_rival FOLDER: the process id of another living run; files of dead ones are removed.
live_rival() {
  local file pid
  for file in "$1"/run.*.*; do
    [[ -e ${file} && ${file} != "${LOCK}" ]] || continue
    pid=${file##*/run.}
    pid=${pid%%.*}
    if [[ $(start_time "${pid}") == "${file##*.}" ]]; then
      printf '%s' "${pid}"
      return 0
    fi
    rm -f -- "${file}"
  done
  return 1
}

# make_lock FOLDER: again if need be, for a run that ends in between takes the empty folder along.
make_lock() {
  local attempt
  for attempt in 1 2 3; do
    mkdir -p -- "$1" || die "${EXIT_LOCKED}" "cannot make $1, where this run would say that it is running"
    ! { : > "${LOCK}"; } 2> /dev/null || return 0
  done
  die "${EXIT_LOCKED}" "cannot write ${LOCK}, which says that this run is running (tried ${attempt} times)"
}

take_lock() {
  local folder=${ROOT}/run/bundlegen attempt rival
  [[ -e ${ROOT}/run || -L ${ROOT}/run ]] || MADE_RUN=yes
  LOCK=${folder}/run.$$.$(start_time $$)
  at_exit release_lock
  for attempt in 1 2 3 4 5; do
    make_lock "${folder}"
    rival=$(live_rival "${folder}") || return 0
    rm -f -- "${LOCK}"
    # both gave way at once: try again after a moment that differs between the two
    sleep "0.$((RANDOM % 9 + 1))"
  done
  LOCK=''
  die "${EXIT_LOCKED}" "another run of this installer is busy on this host (process ${rival}, tried ${attempt} times)" \
    "Nothing was changed. Wait until it ends, then run this again."
}

release_lock() {
  [[ -n ${LOCK} ]] || return 0
  rm -f -- "${LOCK}"
  rmdir -- "${LOCK%/*}" 2> /dev/null || true
  [[ ${MADE_RUN} == no ]] || rmdir -- "${ROOT}/run" 2> /dev/null || true
  LOCK=''
}

# sweep_unpacked: removes what makeself unpacked for runs that were killed; it holds private keys.
sweep_unpacked() {
  local folder pid
  for folder in {/run,/dev/shm,/tmp,"${CALLER_TMPDIR:-/tmp}"}/bundlegen-unpack.*; do
    # only ours: a folder, not a link that somebody else put there
    [[ -d ${folder} && ! -L ${folder} && -O ${folder} && ! ${HERE} -ef ${folder} ]] || continue
    pid=${folder##*/bundlegen-unpack.}
    pid=${pid%%[!0-9]*}
    [[ -n ${pid} && ! -d /proc/${pid} && ${HERE} != "${folder}"/* ]] || continue
    rm -rf -- "${folder}" && say "Removed ${folder}, left behind by a run that was killed."
  done
}
