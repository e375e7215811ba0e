# shellcheck shell=bash
# Preflight check of etcd's data: whose it is, and whether what has lived here is still there.

check_data_dir() {
  local place=${ROOT}${CONF[DATA_DIR]} why others
  if [[ -L ${place} && ! -e ${place} ]]; then
    verdict data-dir failed "${CONF[DATA_DIR]} is a link to $(readlink -- "${place}"), which is not there" \
      "Mount what it leads to, or remove the link."
  elif [[ -e ${place} && ! -d ${place} ]]; then
    verdict data-dir failed "${CONF[DATA_DIR]} is not a folder" "Move it away, or choose another etcd.dataDir."
  elif why=$(data_lost) && [[ ${CONF[OPERATION]} != @(replace|restore) ]]; then
    verdict data-dir failed "${why}" "$(how_to_mend)"
  elif running && is_absent_mount "${CONF[DATA_DIR]}"; then
    verdict data-dir failed "${ABSENT_MOUNT} is to be mounted by /etc/fstab, and is not: etcd's data would go to the disk below" \
      "Mount it (mount ${ABSENT_MOUNT}), or remove its line from /etc/fstab."
  elif { [[ -e ${place}/member ]] || has_log; } && ! own_member && ! is_own_log; then
    verdict data-dir failed "${CONF[DATA_DIR]} holds the data of another etcd member${NOT_OWN:+: ${NOT_OWN}}" \
      "It is never deleted or reused by this installer. If nobody needs it, move what is in it away."
  elif why=$(open_to_others "${place}"); then
    verdict data-dir warning "${why}" "etcd wants it closed: chmod 0700 ${CONF[DATA_DIR]}"
  elif why=$(odd_file_system "${CONF[DATA_DIR]}") || why=$(odd_file_system "${CONF[WAL_DIR]:-${CONF[DATA_DIR]}}"); then
    verdict data-dir warning "${why}" "Use a local disk for etcd.dataDir: mount one there, or choose another folder."
  elif [[ -e ${place}/member ]] || has_log; then
    verdict data-dir ok "${CONF[DATA_DIR]} holds this member's own data, which $([[ ${CONF[OPERATION]} == restore ]] && ! is_restored && printf 'is moved aside' || printf 'stays')"
  elif others=$(beside_etcd "${place}") && [[ -n ${others} ]]; then
    verdict data-dir warning "${CONF[DATA_DIR]} holds files of something else:${others}" \
      "etcd's data goes beside them, into ${CONF[DATA_DIR]}/member. Nothing of them is changed; a folder of its own is better."
  else
    verdict data-dir ok "${CONF[DATA_DIR]} is free"
  fi
}

OWN_LOG='' # is the log here this member's own, though nothing of bundlegen's says so? yes or no, once that was asked
NOT_OWN='' # why not, if that is known

# is_own_log: is it the log of the member that this bundle is for? That is so if the state folder was lost and the data kept, or if
# data that was moved aside was put back. The other members know; while none of them answers, a member of the first day is known
# by its identity, which follows from its address and the token (etcd server/etcdserver/api/membership/member.go).
is_own_log() {
  local sum id
  if [[ -z ${OWN_LOG} ]]; then
    OWN_LOG=no
    if whose_log; then
      if ask_whose_log; then
        [[ -n ${NOT_OWN} ]] || OWN_LOG=yes
      elif [[ ${CONF[INITIAL_STATE]} == new ]] && sum=$(printf '%s%s' "$(peer_url "${CONF[ADDRESS]}")" "${CONF[INITIAL_CLUSTER_TOKEN]}" | sha1sum) \
        && [[ ${sum} =~ ^[0-9a-f]{40} ]]; then
        printf -v id '%u' "0x${sum:0:16}"
        [[ ${LOG_MEMBER} != "${id}" ]] || OWN_LOG=yes
      fi
    fi
  fi
  [[ ${OWN_LOG} == yes ]]
}

# ask_whose_log: fails if no other member tells its list; NOT_OWN, if the log is not that of the member with this address there.
ask_whose_log() {
  local member id=''
  running && use_bundle_keys || return 1
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} != "${CONF[HOST]}" ]] || continue
    list_members "${member#*=}" '{}' || continue
    use_host_keys
    id_of "$(peer_url "${CONF[ADDRESS]}")" id || true
    if [[ ${LIST_CLUSTER} != "${LOG_CLUSTER}" ]]; then
      NOT_OWN="it is of another cluster than that of ${member%%=*}"
    elif [[ ${id} != "${LOG_MEMBER}" ]]; then
      NOT_OWN="${member%%=*} knows ${CONF[HOST]} $([[ -n ${id} ]] && printf 'under another identity' || printf 'as no member')"
    fi
    return 0
  done
  use_host_keys
  return 1
}

# odd_file_system FOLDER: says so if what is in it, or will be, does not stay, or is not on a disk of this host; fails if it is.
odd_file_system() {
  local folder=$1 kind
  running || return 1
  while [[ ! -d ${folder} && ${folder} == /?* ]]; do folder=${folder%/*}; done
  kind=$(findmnt --noheadings --output FSTYPE --target "${folder:-/}" 2> /dev/null) || return 1
  # of several on top of each other the last one counts
  case ${kind##*$'\n'} in
    tmpfs | ramfs) printf '%s is on a %s, which every reboot empties' "$1" "${kind##*$'\n'}" ;;
    nfs* | cifs | smb3 | 9p | ceph | glusterfs | fuse.*) printf '%s is not on a disk of this host (%s), and etcd would lose data or its lead by that' "$1" "${kind##*$'\n'}" ;;
    *) return 1 ;;
  esac
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
    [[ -e ${path} && ${path##*/} != @(member|lost+found|member.bundlegen-*|.bundlegen-restore) && ${ROOT}${CONF[WAL_DIR]}/ != "${path}"/* ]] || continue
    ((count += 1, count <= 3)) || break
    printf ' %q' "${path##*/}"
  done
}
