# shellcheck shell=bash
# Preflight check of etcd's data: whose it is, and whether what has lived here is still there.

check_data_dir() {
  local place=${ROOT}${CONF[DATA_DIR]} why
  if [[ -L ${place} && ! -e ${place} ]]; then
    verdict data-dir failed "${CONF[DATA_DIR]} is a link to $(readlink -- "${place}"), which is not there" \
      "Mount what it leads to, or remove the link."
  elif [[ -e ${place} && ! -d ${place} ]]; then
    verdict data-dir failed "${CONF[DATA_DIR]} is not a folder" "Move it away, or choose another etcd.dataDir."
  elif why=$(data_lost); then
    verdict data-dir failed "${why}" "$(how_to_mend)"
  elif running && is_absent_mount "${CONF[DATA_DIR]}"; then
    verdict data-dir failed "${ABSENT_MOUNT} is to be mounted by /etc/fstab, and is not: etcd's data would go to the disk below" \
      "Mount it (mount ${ABSENT_MOUNT}), or remove its line from /etc/fstab."
  elif { [[ -e ${place}/member ]] || has_log; } && ! own_member; then
    verdict data-dir failed "${CONF[DATA_DIR]} holds the data of another etcd member" \
      "It is never deleted or reused by this installer. If nobody needs it, move it away: mv ${CONF[DATA_DIR]} ${CONF[DATA_DIR]}.old"
  elif [[ -e ${place}/member ]] || has_log; then
    verdict data-dir ok "${CONF[DATA_DIR]} holds this member's own data, which stays"
  else
    verdict data-dir ok "${CONF[DATA_DIR]} is free"
  fi
}
