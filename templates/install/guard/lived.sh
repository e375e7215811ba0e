# shellcheck shell=bash
# A member that has lived: what it was stands in STATE/member, outside its data, and from then on etcd must not start
# here without its log. bundlegen-guard looks before kubelet starts; a manifest in its form of life does so each time
# that etcd starts.

# has_log: is etcd's log here?
has_log() {
  log_file "${ROOT}${CONF[DATA_DIR]}" "${CONF[WAL_DIR]:+${ROOT}${CONF[WAL_DIR]}}" > /dev/null
}

# whose_log: LOG_MEMBER and LOG_CLUSTER of the log here; fails without one that tells.
whose_log() {
  local file
  file=$(log_file "${ROOT}${CONF[DATA_DIR]}" "${CONF[WAL_DIR]:+${ROOT}${CONF[WAL_DIR]}}") && read_log "${file}"
}

# data_lost: why etcd must not start here, in words; fails if it may. (Prints; so it is called in a subshell.)
data_lost() {
  read_written "${STATE}/member" || return 1
  if ! has_log; then
    printf "a member has lived here, and its log is not in %s" "${CONF[WAL_DIR]:-${CONF[DATA_DIR]}/member/wal}"
  elif whose_log && [[ -n ${WRITTEN[MEMBER_ID]-} && ${LOG_MEMBER}/${LOG_CLUSTER} != "${WRITTEN[MEMBER_ID]}/${WRITTEN[CLUSTER_ID]-}" ]]; then
    printf '%s holds the data of another member (%x) than the one that has lived here (%x)' "${CONF[DATA_DIR]}" \
      "${LOG_MEMBER}" "${WRITTEN[MEMBER_ID]}"
  else
    return 1
  fi
}

# how_to_mend: what to do about it.
how_to_mend() {
  printf 'Mount the disk with its data; kubelet then starts by itself. If the data is lost, replace the member: bundlegen replace SPEC HOST'
}

# write_down [REVISION RAFT_INDEX]: what this member is, once it has a log; the numbers only ever rise.
write_down() {
  local file=${STATE}/member new=${STATE}/.member.$$ revision=${1-} index=${2-} moment left
  whose_log || return 0
  # of a run that was killed
  for left in "${STATE}"/.member.*; do
    [[ ! -f ${left} || -d /proc/${left##*.} ]] || rm -f -- "${left}"
  done
  if read_written "${file}"; then
    # never another one in its place: that is what the guard is for
    [[ ${WRITTEN[MEMBER_ID]-${LOG_MEMBER}} == "${LOG_MEMBER}" ]] || return 0
    [[ -n ${WRITTEN[REVISION]-} ]] && ! is_higher "${revision:-0}" "${WRITTEN[REVISION]}" && revision=${WRITTEN[REVISION]}
    [[ -n ${WRITTEN[RAFT_INDEX]-} ]] && ! is_higher "${index:-0}" "${WRITTEN[RAFT_INDEX]}" && index=${WRITTEN[RAFT_INDEX]}
  fi
  [[ ${WRITTEN[MEMBER_ID]-}/${WRITTEN[REVISION]-0}/${WRITTEN[RAFT_INDEX]-0} != "${LOG_MEMBER}/${revision:-0}/${index:-0}" ]] || return 0
  # where nothing was written down before, as version 0.1 did not, undoing this run takes it away again
  [[ -e ${file} ]] || ! transaction_open || back_up "${CONF[STATE_DIR]}/member"
  now moment
  {
    printf "%s='%s'\n" CLUSTER_ID "${LOG_CLUSTER}" MEMBER_ID "${LOG_MEMBER}" REVISION "${revision:-0}" RAFT_INDEX "${index:-0}" \
      NAME "${CONF[HOST]}" DATA_DIR "${CONF[DATA_DIR]}" WAL_DIR "${CONF[WAL_DIR]}" TIME "${moment}" > "${new}" \
      && sync -- "${new}" && mv -fT -- "${new}" "${file}" && sync -- "${STATE}"
  } 2> /dev/null || {
    rm -f -- "${new}"
    warn "${file} could not be written: it says that a member has lived here, and keeps etcd from starting without its data"
  }
}

# life_form FILE: a static Pod manifest in its form of life, on standard output: only this member, state existing. etcd
# ignores both where it has a log, and cannot start from them where it has none. Fails for one that has not both lines.
life_form() {
  local line own=",${CONF[INITIAL_CLUSTER]}," seen=0 start="^( *- [\"']?--initial-cluster)"
  [[ ${own} == *",${CONF[HOST]}="* ]] || return 1
  own=${CONF[HOST]}=${own#*",${CONF[HOST]}="}
  own=${own%%,*}
  while IFS= read -r line || [[ -n ${line} ]]; do
    if [[ ${line} =~ ${start}=[^\"\']+([\"\']?)$ ]]; then
      line=${BASH_REMATCH[1]}=${own}${BASH_REMATCH[2]} seen=$((seen + 1))
    elif [[ ${line} =~ ${start}-state=[a-z]+([\"\']?)$ ]]; then
      line=${BASH_REMATCH[1]}-state=existing${BASH_REMATCH[2]} seen=$((seen + 1))
    fi
    printf '%s\n' "${line}"
  done < "$1"
  ((seen == 2))
}
