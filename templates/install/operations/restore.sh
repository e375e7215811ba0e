# shellcheck shell=bash
# restore: the cluster anew from a snapshot. First `stop` on every host, which takes the manifest away and leaves its journal open;
# then, when no member of before answers any more, each member begins with the snapshot: etcd's own tool makes its data, out of the
# etcd image, under a token that no old member has. What was there is moved aside.

readonly RESERVE_KIB=65536               # that stay free on the disk
readonly LOG_KIB=65536                   # that etcd gives a new log
readonly BUMP=1000000000                 # revisions, so that whoever watches notices (etcd.io, Disaster recovery)
readonly RESTORER_NAME=bundlegen-restore # of the container

SNAPSHOT_OPTION='' # --snapshot
SNAPSHOT_FILE=''   # the one that this bundle begins with
RESTORER=()        # the tool that restores: its words, and what it is told besides
RAISES=()

restore_checks() {
  printf '%s\n' "${HOST_CHECKS[@]}" history data-dir destinations leftovers drop-ins unfinished snapshot stopped selinux
}

restore_steps() {
  printf '%s\n' \
    'place must_be_stopped' \
    'place place_files' \
    'place place_copy' \
    'images import_images' \
    'start restore_data' \
    'start reload_units' \
    'start place_pod' \
    'start start_kubelet'
}

restore_places() {
  true
}

restore_in_place() {
  create_in_place && { ! running || is_restored; }
}

# restore_peers: other members that began with the snapshot as well.
restore_peers() {
  local member count=0
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} == "${CONF[HOST]}" ]] || [[ $(cluster_at "${member#*=}") != "$(restored_cluster)" ]] || count=$((count + 1))
  done
  printf '%d' "${count}"
}

restore_waiting() {
  printf 'are restored so far; etcd serves'
}

restore_healthy() {
  confirm_health waiting
}

# goes_on_stopped: has this bundle stopped etcd here, and is its other half to come?
goes_on_stopped() {
  journal_has "${STATE}/transaction" stopped
}

# do_stop: the first half. The journal stays open: the other half goes on with it, and rollback takes both back.
do_stop() {
  local pod=${CONF[STATIC_POD_MANIFEST]}
  [[ ${CONF[OPERATION]} == restore ]] || bad_usage "stop belongs to the bundles of restore"
  running || die "${EXIT_USAGE}" "stop is for the running system, not for --root"
  take_lock
  settle_interrupted
  if [[ -z $(etcd_processes) && ! -e ${pod} ]]; then
    say "No etcd runs here, and nothing would start one."
  else
    must_be_finished
    say "Stopping ${CONF[HOST]} of ${CONF[CLUSTER]} (${CONF[ADDRESS]}) ..."
    # what was done is undone only if it is asked for
    begin_transaction undo_failed
    goes_on_stopped || journal stopped
    if [[ -e ${pod} ]]; then
      back_up "${pod}"
      rm -f -- "${pod}"
      sync -- "${pod%/*}"
    fi
    end_transaction
    stop_etcd
    [[ -z $(etcd_processes) ]] || die "${EXIT_FAILED}" "etcd does not end" "Stop it by hand, then run this again."
    write_receipt 0 stopped
  fi
  say "etcd is stopped here, and its data is where it was."
  say "When all members are stopped, run the bundles without \`stop\`. To go back: sh ${CONF[HOST]}.run -- rollback"
}

undo_stopped() { :; }

# undo_work PATH: nothing of it is anybody's data yet.
undo_work() {
  [[ $1 != */.bundlegen-restore ]] || rm -rf -- "${ROOT}$1"
}

must_be_finished() {
  clear_verdicts
  check_unfinished
  print_trouble
  ((FAILED == 0)) || die "${EXIT_PREFLIGHT}" "nothing was changed"
}

# check_snapshot: the one whose sum this bundle has, where it is named, beside the bundle, or where snapshots are kept here.
check_snapshot() {
  local file looked=''
  local -a files=()
  running || return 0
  if is_restored; then
    verdict snapshot ok "this member has begun with it already"
    return 0
  fi
  if [[ -n ${SNAPSHOT_OPTION} ]]; then
    files=("${SNAPSHOT_OPTION}")
  else
    [[ -z ${BUNDLE_FILE} ]] || files=("${BUNDLE_FILE%/*}"/*.db)
    files+=("${CALLER_PWD%/}"/*.db "${STATE}"/snapshots/*.db)
    [[ -z ${CONF[BACKUP_DIR]} || ${CONF[BACKUP_DIR]} == "${STATE}/snapshots" ]] || files+=("${CONF[BACKUP_DIR]}"/*.db)
  fi
  for file in "${files[@]}"; do
    [[ -f ${file} ]] || continue
    printable "${file}"
    looked+=" ${PRINTABLE}"
    [[ $(sha256 "${file}") == "${CONF[SNAPSHOT_SHA256]}" ]] || continue
    SNAPSHOT_FILE=${file}
    verdict snapshot ok "${PRINTABLE} is the snapshot that this bundle begins with"
    return 0
  done
  verdict snapshot failed "the snapshot with the SHA-256 ${CONF[SNAPSHOT_SHA256]} is not here${looked:+; these are others:${looked}}" \
    "Put it beside the bundle, under a name that ends in .db, or name it: --snapshot FILE"
}

# in_image FOLDER WORD...: a program of the etcd image, with the folder at /w; nothing but that comes out of it.
in_image() {
  local folder=$1 image
  shift
  etcd_image image
  if runtime_is crio; then
    podman run --rm --network none --volume "${folder}:/w:rw" --entrypoint "$1" "${image}" "${@:2}"
  else
    ctr_restorer tasks kill --signal KILL "${RESTORER_NAME}" > /dev/null 2>&1 || true
    ctr_restorer containers delete "${RESTORER_NAME}" > /dev/null 2>&1 || true
    ctr_restorer run --rm --mount "type=bind,src=${folder},dst=/w,options=rbind:rw" "$(full_name "${image}")" "${RESTORER_NAME}" "$@"
  fi
}

ctr_restorer() {
  ctr --address "${CONF[RUNTIME_ENDPOINT]#unix://}" --namespace k8s.io "$@"
}

# find_restorer FOLDER: etcdutl, or etcdctl up to 3.5; sets RESTORER and RAISES, or dies. (etcd CHANGELOG 3.5.10, 3.6)
find_restorer() {
  local said='' version='' minor patch
  RESTORER=() RAISES=()
  if said=$(in_image "$1" etcdutl version 2>&1) && [[ ${said} =~ etcdutl\ version:\ ?(${VERSION_SHAPE}) ]]; then
    RESTORER=(etcdutl) version=${BASH_REMATCH[1]}
  elif said=$(in_image "$1" etcdctl version 2>&1) && [[ ${said} =~ etcdctl\ version:\ ?(3\.5\.[0-9]{1,4}) ]]; then
    RESTORER=(etcdctl) version=${BASH_REMATCH[1]}
  fi
  printable "${said:0:300}"
  ((${#RESTORER[@]} > 0)) || die "${EXIT_FAILED}" "the etcd image has no program that restores a snapshot, or it does not run: ${PRINTABLE}" \
    "It takes an image of etcd 3.5 or later, with etcdutl. Nothing of the data was touched."
  minor=${version#*.} patch=${version##*.}
  minor=${minor%%.*}
  if number minor "${minor}" && number patch "${patch}" && ((minor > 5 || patch >= 10)); then
    RAISES=(--bump-revision "${BUMP}" --mark-compacted)
  else
    warn "etcd ${version} cannot raise revisions (3.5.10 can): restart everything that watches, as CHANGE.md says"
  fi
}

# restore_room FOLDER: the snapshot twice, a log, and what stays free.
restore_room() {
  local size free
  local -a available
  number size "$(stat -L -c %s -- "${SNAPSHOT_FILE}")" || size=0
  size=$((size / 512 + LOG_KIB + RESERVE_KIB))
  mapfile -t available < <(df --block-size=1K --output=avail -- "$1")
  number free "${available[1]//[[:space:]]/}" || free=0
  ((free >= size)) || die "${EXIT_FAILED}" "too little room for ${CONF[DATA_DIR]}: $((free / 1024)) MiB free, and $((size / 1024)) MiB are needed" \
    "Make room there. Nothing of the data was touched."
}

# move_log: to where wal-dir has it, which may be another disk; under its name it is whole.
move_log() {
  local from=${CONF[DATA_DIR]}/member/wal to=${CONF[WAL_DIR]} file
  make_folder "${to}"
  chmod 0700 -- "${to}"
  for file in "${from}"/*.wal; do
    cp -- "${file}" "${to}/.restored"
    sync -- "${to}/.restored"
    mv -fT -- "${to}/.restored" "${to}/${file##*/}"
  done
  rm -rf -- "${from}"
}

# restore_data: all that can fail is done beside the old data; then they change places.
restore_data() {
  local data=${CONF[DATA_DIR]} work=${CONF[DATA_DIR]}/.bundlegen-restore log
  running || return 0
  if is_restored; then
    rm -rf -- "${work}"
    return 0
  fi
  [[ -d ${data} ]] || make_data_folder
  journal_has "${JOURNAL}" work || journal work "${work}"
  rm -rf -- "${work}"
  mkdir -m 0700 -- "${work}"
  restore_room "${work}"
  cp -- "${SNAPSHOT_FILE}" "${work}/snapshot.db"
  [[ $(sha256 "${work}/snapshot.db") == "${CONF[SNAPSHOT_SHA256]}" ]] \
    || die "${EXIT_FAILED}" "the snapshot is not the one it was a moment ago" "Carry it here again. Nothing of the data was touched."
  find_restorer "${work}"
  say "Restoring the data of ${CONF[HOST]} from the snapshot ..."
  if ! log=$(in_image "${work}" "${RESTORER[@]}" snapshot restore /w/snapshot.db --data-dir /w/data --name "${CONF[HOST]}" \
    --initial-cluster "${CONF[INITIAL_CLUSTER]}" --initial-cluster-token "${CONF[INITIAL_CLUSTER_TOKEN]}" \
    --initial-advertise-peer-urls "$(peer_url "${CONF[ADDRESS]}")" ${RAISES[@]+"${RAISES[@]}"} 2>&1); then
    printable "${log:0:600}"
    die "${EXIT_FAILED}" "etcd's own tool does not restore this snapshot: ${PRINTABLE}" "Nothing of the data was touched."
  fi
  { [[ -s ${work}/data/member/snap/db ]] && log=$(log_file "${work}/data" '') && read_log "${log}" \
    && [[ $(printf '%x' "${LOG_CLUSTER}") == "$(restored_cluster)" ]]; } \
    || die "${EXIT_FAILED}" "etcd's own tool has made other data than this bundle is for" "Nothing of the data was touched."
  chmod -R go= -- "${work}/data"
  sync -f -- "${work}/data"
  move_data_aside "the data of before"
  make_data_folder
  mv -T -- "${work}/data/member" "${data}/member"
  [[ -z ${CONF[WAL_DIR]} ]] || move_log
  relabel "${data}/member"
  rm -rf -- "${work}"
  sync -f -- "${data}"
  is_restored || die "${EXIT_FAILED}" "the restored data is not in its place" "Run this again."
  say "  ${CONF[HOST]} begins with the snapshot"
}
