# shellcheck shell=bash
# etcd's log, and what was written down of the member that has lived here. The guard and the installer read both alike.
#
# A log begins with a frame of a checksum and one of metadata, in every file of it: whose it is (etcd server/wal/wal.go,
# encoder.go; raftpb.Record; etcdserverpb.Metadata). A frame is 8 bytes, the length and padding, and a record.

LOG_MEMBER='' LOG_CLUSTER='' # the ids in the log, as etcd writes them in JSON; empty if it does not tell
declare -A WRITTEN=()        # what STATE/member says

# Each line of STATE/member is KEY='value'; a value of another shape counts as missing.
declare -rA WRITTEN_SHAPES=(
  [CLUSTER_ID]='(0|[1-9][0-9]{0,19})' [MEMBER_ID]='(0|[1-9][0-9]{0,19})' [REVISION]='(0|[1-9][0-9]{0,19})'
  [RAFT_INDEX]='(0|[1-9][0-9]{0,19})' [NAME]='[a-z0-9.-]{1,253}' [DATA_DIR]='/[A-Za-z0-9._@+/-]*'
  [WAL_DIR]='(/[A-Za-z0-9._@+/-]*)?' [TIME]='[0-9]{1,12}'
)

# read_written FILE: fills WRITTEN; fails if the file says nothing of a member.
read_written() {
  local line key value pattern="^([A-Z_]+)='([^']*)'\$"
  WRITTEN=()
  [[ -f $1 && -r $1 ]] || return 1
  while IFS= read -r line; do
    [[ ${line} =~ ${pattern} ]] || continue
    key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    [[ -n ${WRITTEN_SHAPES[${key}]-} && ${value} =~ ^${WRITTEN_SHAPES[${key}]}$ ]] || continue
    WRITTEN[${key}]=${value}
  done < "$1"
  [[ -n ${WRITTEN[DATA_DIR]-} ]]
}

# log_file DATA_DIR WAL_DIR: the first file of the log; fails if there is none. `member` alone proves nothing: a start
# that etcd refuses leaves it behind.
log_file() {
  local file folder=${2:-$1/member/wal}
  for file in "${folder}"/*.wal; do
    [[ -f ${file} && -s ${file} ]] || continue
    printf '%s' "${file}"
    return 0
  done
  return 1
}

# read_log FILE: sets LOG_MEMBER and LOG_CLUSTER; fails if the file begins otherwise than etcd's.
read_log() {
  local text number='(( [89a-f][0-9a-f]){0,9} [0-7][0-9a-f])' frame='( [0-9a-f]{2}){8}' pattern
  local -a bytes=()
  LOG_MEMBER='' LOG_CLUSTER=''
  read -r -d '' -a bytes < <(od -An -v -tx1 -N 128 -- "$1" 2> /dev/null || true) || true
  text=" ${bytes[*]-}"
  pattern="^${frame} 08 04 10${number}( 1a 00)?( 00){0,7}${frame} 08 01 10${number} 1a [0-7][0-9a-f] 08${number} 10${number}"
  [[ ${text} =~ ${pattern} ]] || return 1
  LOG_MEMBER=$(decimal "${BASH_REMATCH[9]}")
  LOG_CLUSTER=$(decimal "${BASH_REMATCH[11]}")
}

# decimal BYTES: the number that they are in the protocol's own form, seven bits in each, the lowest first.
decimal() {
  local byte value=0 shift=0
  for byte in $1; do
    value=$((value | (16#${byte} & 127) << shift))
    shift=$((shift + 7))
  done
  printf '%u' "${value}"
}

ABSENT_MOUNT='' # see is_absent_mount

# is_absent_mount PATH: does /etc/fstab promise a file system at this path, or above it, that is not mounted? Which one
# is in ABSENT_MOUNT then.
is_absent_mount() {
  local device folder
  ABSENT_MOUNT=''
  while read -r device folder _; do
    [[ ${device} != '#'* && ${folder} == /?* && $1/ == "${folder%/}"/* ]] || continue
    is_mounted "${folder%/}" && continue
    ABSENT_MOUNT=${folder%/}
    return 0
  done < <(cat /etc/fstab 2> /dev/null || true)
  return 1
}

is_mounted() {
  local place
  while read -r _ _ _ _ place _; do
    [[ ${place} != "$1" ]] || return 0
  done < /proc/self/mountinfo
  return 1
}
