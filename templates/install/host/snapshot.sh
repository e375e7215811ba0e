# shellcheck shell=bash
# snapshot: all that this member holds, as `etcdctl snapshot save` writes it, from the gateway of its client port. A member
# answers that without a quorum too. The last 32 bytes are the SHA-256 of all before, and nothing gets its name without them.

readonly SNAPSHOT_SECONDS=3600
readonly SNAPSHOT_RESERVE_KIB=262144 # of room in the folder, which no snapshot takes

SCHEDULED=no # --scheduled
UNFINISHED=''

do_snapshot() {
  [[ -z ${ROOT} ]] || die "${EXIT_USAGE}" "snapshot asks a running etcd, which --root has not"
  right_host
  [[ -d ${STATE} ]] || die "${EXIT_PREFLIGHT}" "nothing of ${CONF[CLUSTER]} is installed here" "A snapshot is taken on a member's host."
  if [[ ${SCHEDULED} == yes ]]; then
    take_lock
    take_scheduled
  else
    take_snapshot "${OUTPUT}"
  fi
}

# snapshot_before: what this member holds, before something is done that has no way back but this.
snapshot_before() {
  running || return 0
  if [[ ${SNAPSHOT} == no ]]; then
    say "  no snapshot is taken: --no-snapshot"
  elif ! serves_now; then
    warn "this member does not serve, so no snapshot of it is taken"
  else
    take_snapshot ''
  fi
}

# take_snapshot FILE: to this new file; empty: one of this moment.
take_snapshot() {
  local file=$1 folder base room size moment
  if [[ -z ${file} ]]; then
    now moment
    file=$(iso_time "${moment}")
    file=${STATE}/snapshots/${CONF[CLUSTER]}-${CONF[HOST]}-${file//[:-]/}.db
    [[ -d ${file%/*} ]] || mkdir -m 0700 -- "${file%/*}"
  fi
  folder=${file%/*}/ base=${file##*/}
  [[ -d ${folder} ]] || die "${EXIT_PREFLIGHT}" "there is no folder ${folder}" "Make it, or name another file with --output."
  [[ ! -e ${file} && ! -L ${file} ]] || die "${EXIT_PREFLIGHT}" "${file} is there already, and is left as it is" \
    "Name another file with --output."
  sweep_snapshots "${folder}"
  snapshot_room "${folder}" room
  UNFINISHED=${folder}.${base}.$$
  at_exit drop_unfinished
  say "Taking a snapshot of ${CONF[HOST]} ..."
  # noclobber: whoever else may write there cannot lead root elsewhere with a link
  if ! (umask 077 && set -o noclobber && snapshot_bytes "$((room * 1024))" > "${UNFINISHED}"); then
    die "${EXIT_UNHEALTHY}" "this member's snapshot did not come, or not whole" \
      "Is etcd running, and is there room in ${folder}? Ask: ${CONF[HEALTH_COMMAND]}. There is no file."
  fi
  is_whole "${UNFINISHED}" || die "${EXIT_UNHEALTHY}" "the snapshot is not whole: its last 32 bytes are not the SHA-256 of what is before" \
    "Try again. There is no file."
  sync -- "${UNFINISHED}"
  mv -nT -- "${UNFINISHED}" "${file}"
  [[ ! -e ${UNFINISHED} ]] || die "${EXIT_PREFLIGHT}" "${file} is there already, and is left as it is" "Name another file with --output."
  sync -- "${folder}"
  number size "$(stat -c %s -- "${file}")" || true
  say "Snapshot: ${file} ($((size / 1024)) KiB)"
  say "SHA-256:  $(sha256 "${file}")"
}

drop_unfinished() {
  rm -f -- "${UNFINISHED}"
}

# sweep_snapshots FOLDER: what killed runs have left there.
sweep_snapshots() {
  local left
  for left in "$1".*.db.*; do
    ! is_number "${left##*.}" || [[ ! -f ${left} || -L ${left} || -d /proc/${left##*.} ]] || rm -f -- "${left}"
  done
}

# snapshot_room FOLDER VARIABLE: sets it to the KiB that a snapshot may take there; dies where that is not enough for the database.
snapshot_room() {
  local size=0 free
  local -a available
  if client_post /v3/maintenance/status '{}'; then
    number size "$(json_field dbSize "${HTTP_BODY}" || true)" || true
  fi
  size=$((size / 1024 + 1))
  mapfile -t available < <(df --block-size=1K --output=avail -- "$1")
  number free "${available[1]//[[:space:]]/}" || true
  ((free - size >= SNAPSHOT_RESERVE_KIB)) || die "${EXIT_PREFLIGHT}" \
    "too little room in $1: $((free / 1024)) MiB free, $((size / 1024 + 1)) MiB for the snapshot, and $((SNAPSHOT_RESERVE_KIB / 1024)) MiB stay free" \
    "Make room there, or name another file with --output."
  printf -v "$2" '%d' "$((free - SNAPSHOT_RESERVE_KIB))"
}

# snapshot_bytes MOST: what the member sends, at most so many bytes; fails unless all of it was of the right form. A chunk is a line
# of JSON with base64 that is padded by itself, which GNU's base64 takes.
snapshot_bytes() {
  local ASK_SECONDS=${SNAPSHOT_SECONDS}
  client_request "${CONF[ADDRESS]}" POST /v3/maintenance/snapshot '{}' \
    | LC_ALL=C awk -F '"' '
        NR == 1 && $0 !~ /^HTTP\/1\.[01] 200/ { exit 1 }
        { for (i = 1; i < NF - 1; i++) if ($i == "blob" && $(i + 1) ~ /^ *: *$/) { print $(i + 2); break } }' \
    | base64 -d 2> /dev/null \
    | head -c "$1"
}

# is_whole FILE: etcd's database is in pages, and ends with its sum (etcd, etcdutl/snapshot/v3_snapshot.go).
is_whole() {
  local size sum wanted
  number size "$(stat -c %s -- "$1")" && ((size > 32 && size % 512 == 32)) || return 1
  sum=$(head -c -32 -- "$1" | sha256sum)
  wanted=$(tail -c 32 -- "$1" | od -An -v -tx1)
  [[ ${sum:0:64} == "${wanted//[[:space:]]/}" ]]
}
