# shellcheck shell=bash
# Preflight check of etcd's data: whose it is, and whether what has lived here is still there.

check_data_dir() {
  local place=${ROOT}${CONF[DATA_DIR]} why others
  if [[ -L ${place} && ! -e ${place} ]]; then
    verdict data-dir failed "${CONF[DATA_DIR]} is a link to $(readlink -- "${place}"), which is not there" \
      "Mount what it leads to, or remove the link."
  elif [[ -e ${place} && ! -d ${place} ]]; then
    verdict data-dir failed "${CONF[DATA_DIR]} is not a folder" "Move it away, or choose another etcd.dataDir."
  elif why=$(data_lost) && [[ ${CONF[OPERATION]} != replace ]]; then
    verdict data-dir failed "${why}" "$(how_to_mend)"
  elif running && is_absent_mount "${CONF[DATA_DIR]}"; then
    verdict data-dir failed "${ABSENT_MOUNT} is to be mounted by /etc/fstab, and is not: etcd's data would go to the disk below" \
      "Mount it (mount ${ABSENT_MOUNT}), or remove its line from /etc/fstab."
  elif { [[ -e ${place}/member ]] || has_log; } && ! own_member; then
    verdict data-dir failed "${CONF[DATA_DIR]} holds the data of another etcd member" \
      "It is never deleted or reused by this installer. If nobody needs it, move it away: mv ${CONF[DATA_DIR]} ${CONF[DATA_DIR]}.old"
  elif why=$(open_to_others "${place}"); then
    verdict data-dir warning "${why}" "etcd wants it closed: chmod 0700 ${CONF[DATA_DIR]}"
  elif [[ -e ${place}/member ]] || has_log; then
    verdict data-dir ok "${CONF[DATA_DIR]} holds this member's own data, which stays"
  elif others=$(beside_etcd "${place}") && [[ -n ${others} ]]; then
    verdict data-dir warning "${CONF[DATA_DIR]} holds files of something else:${others}" \
      "etcd's data goes beside them, into ${CONF[DATA_DIR]}/member. Nothing of them is changed; a folder of its own is better."
  else
    verdict data-dir ok "${CONF[DATA_DIR]} is free"
  fi
}

# open_to_others FOLDER: says so if others than its owner may look into it; fails if they may not, or it is not there.
open_to_others() {
  local mode
  mode=$(stat -L -c %a -- "$1" 2> /dev/null) && [[ ${mode} != *00 ]] || return 1
  printf '%s has the mode %s' "${CONF[DATA_DIR]}" "0${mode}"
}

# beside_etcd FOLDER: prints the first three names there that are not etcd's, nor a file system's own.
beside_etcd() {
  local path count=0
  for path in "$1"/* "$1"/.[!.]*; do
    [[ -e ${path} && ${path##*/} != @(member|lost+found) && ${ROOT}${CONF[WAL_DIR]}/ != "${path}"/* ]] || continue
    ((count += 1, count <= 3)) || break
    printf ' %q' "${path##*/}"
  done
}
