# shellcheck shell=bash
# One run at a time on a host: the kernel keeps the lock as long as this run, or a program that it has started, lives.

LOCK=''
MADE_RUN=no # was there no /run in the tree that we work on?

take_lock() {
  local folder=${ROOT}/run/bundlegen rival='' attempt
  have flock || die "${EXIT_PREFLIGHT}" "flock is not installed" "It is part of the package util-linux."
  [[ -e ${ROOT}/run || -L ${ROOT}/run ]] || MADE_RUN=yes
  for attempt in 1 2 3; do
    # a run that ends takes the file along
    { mkdir -p -- "${folder}" && exec 9>> "${folder}/lock"; } 2> /dev/null || continue
    if ! flock --nonblock 9; then
      read -r rival < "${folder}/lock" || true
      die "${EXIT_LOCKED}" "another run of this installer is busy on this host (process ${rival//[!0-9]/})" \
        "Nothing was changed. Wait until it ends, then run this again."
    fi
    [[ ${folder}/lock -ef /proc/self/fd/9 ]] || continue
    LOCK=${folder}/lock
    at_exit release_lock
    printf '%d\n' "$$" > "${LOCK}"
    return 0
  done
  die "${EXIT_LOCKED}" "cannot write ${folder}/lock, which says that this run is running (tried ${attempt} times)"
}

release_lock() {
  rm -f -- "${LOCK}"
  rmdir -- "${LOCK%/*}" 2> /dev/null || true
  [[ ${MADE_RUN} == no ]] || rmdir -- "${ROOT}/run" 2> /dev/null || true
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
