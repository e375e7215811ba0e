# shellcheck shell=bash
# Files to their places: kept, written beside, flushed, renamed. A reader sees the old or the new, whole.

CHANGED=() # paths this run has put in place

# stay_inside: a link in the tree of --root may lead out of it, to the files of the machine that we run on.
stay_inside() {
  local top path real
  [[ -n ${ROOT} && ${ROOT} != /. ]] || return 0
  top=$(readlink -e -- "${ROOT}")
  for path in /run "${CONF[STATE_DIR]}/bundle" "${CONF[DATA_DIR]}" "${GOLDEN}" "${FIRSTBOOT_UNIT%/*}" "${FIRSTBOOT_SETTINGS%/*}" \
    /etc/systemd/system/{multi-user.target.wants,kubelet.service.d} "${ENTRY_PATH[@]%/*}"; do
    [[ ${path} == /* ]] || continue
    real=$(readlink -m -- "${ROOT}${path}")
    [[ ${real}/ == "${top%/}"/* ]] \
      || die "${EXIT_PREFLIGHT}" "${path} leads out of ${ROOT} by a symbolic link, to ${real}; nothing was changed" \
        "Work in the system itself instead of with --root, in a chroot for example."
  done
}

# in_place PATH MODE OWNER SHA: is the file there already, just so?
in_place() {
  local place=${ROOT}$1 facts sum
  [[ -f ${place} && ! -L ${place} ]] || return 1
  facts=$(stat -c '%04a %U:%G' -- "${place}") || return 1
  [[ ${facts} == "$2 $3" ]] || return 1
  sum=$(sha256 "${place}") || return 1
  [[ ${sum} == "$4" ]] || { [[ $1 == "${CONF[STATIC_POD_MANIFEST]}" ]] && in_life_form "${sum}" "$4"; }
}

# folder_mode PATH: the mode of a folder we make, as kubeadm and the packages make them.
folder_mode() {
  case $1 in
    "${CONF[STATIC_POD_MANIFEST]%/*}" | "${CONF[DATA_DIR]}" | "${CONF[STATE_DIR]}"*) printf 0700 ;;
    *) printf 0755 ;;
  esac
}

# make_folder PATH: it and what is missing above it; each one noted, so that it goes again when undone.
make_folder() {
  local path=$1
  [[ -n ${path} && ! -d ${ROOT}${path} ]] || return 0
  make_folder "${path%/*}"
  [[ ! -e ${ROOT}${path} && ! -L ${ROOT}${path} ]] \
    || die "${EXIT_FAILED}" "${path} must be a folder, and is a file or a link to nothing" "Move it away, then run this again."
  journal folder "${path}"
  mkdir -m "$(folder_mode "${path}")" -- "${ROOT}${path}"
  relabel "${path}"
}

# relabel PATH: the SELinux label that the policy wants there, where there is SELinux.
relabel() {
  if [[ (-z ${ROOT} || ${ROOT} == /.) && -e /sys/fs/selinux/enforce ]] && have restorecon; then
    restorecon -- "$1" || warn "could not set the SELinux label of $1"
  fi
}

STAMP='' # the time that placed files get; empty: the moment they are placed

# date_files SECONDS: what is placed from here on gets this time, in seconds since 1970.
date_files() {
  STAMP=$1
}

# temporary PATH: where its new content is written; hidden, since kubelet reads every other file in the
# folder of static Pods, and always the same, so that one left by a killed run is found again.
temporary() {
  printf '%s/.%s.bundlegen' "${1%/*}" "${1##*/}"
}

# install_file PATH MODE OWNER SOURCE: replaces the file in one step.
install_file() {
  local path=$1 new
  make_folder "${path%/*}"
  back_up "${path}"
  new=${ROOT}$(temporary "${path}")
  rm -f -- "${new}"
  # umask 077: readable by nobody else until it has its final mode
  cat -- "$4" > "${new}"
  chown -- "$3" "${new}"
  chmod -- "$2" "${new}"
  [[ -z ${STAMP} ]] || touch --date="@${STAMP}" -- "${new}"
  sync -- "${new}"
  mv -fT -- "${new}" "${ROOT}${path}"
  sync -- "${ROOT}${path%/*}"
  relabel "${path}"
  CHANGED+=("${path}")
}

# place_entry INDEX: one line of MANIFEST.
place_entry() {
  local path=${ENTRY_PATH[$1]}
  in_place "${path}" "${ENTRY_MODE[$1]}" "${ENTRY_OWNER[$1]}" "${ENTRY_SHA[$1]}" && return 0
  install_file "${path}" "${ENTRY_MODE[$1]}" "${ENTRY_OWNER[$1]}" "$(payload_file "${path}")"
  say "  placed ${path}"
}

# place_files: everything in MANIFEST that goes to the host, but not the static Pod manifest: as soon as
# that is there, a kubelet may start etcd.
place_files() {
  local index
  for index in "${!ENTRY_PATH[@]}"; do
    [[ ${ENTRY_PATH[index]} == /* && ${ENTRY_PATH[index]} != "${CONF[STATIC_POD_MANIFEST]}" ]] || continue
    place_entry "${index}"
  done
}

# bundle_copies: the files of the installed copy, with their modes.
readonly BUNDLE_COPIES=('install.sh 0700' 'bundle.conf 0600' 'MANIFEST 0600')

# place_copy: leaves install.sh and its data on the host, for health, rollback and uninstall.
place_copy() {
  local copy name
  for copy in "${BUNDLE_COPIES[@]}"; do
    name=${copy% *}
    in_place "${CONF[STATE_DIR]}/bundle/${name}" "${copy#* }" root:root "$(sha256 "${HERE}/${name}")" && continue
    install_file "${CONF[STATE_DIR]}/bundle/${name}" "${copy#* }" root:root "${HERE}/${name}"
  done
}

# files_in_place: is every file of this bundle on the host, unchanged? Changes nothing.
files_in_place() {
  local index copy
  for index in "${!ENTRY_PATH[@]}"; do
    [[ ${ENTRY_PATH[index]} == /* ]] || continue
    in_place "${ENTRY_PATH[index]}" "${ENTRY_MODE[index]}" "${ENTRY_OWNER[index]}" "${ENTRY_SHA[index]}" || return 1
  done
  for copy in "${BUNDLE_COPIES[@]}"; do
    in_place "${CONF[STATE_DIR]}/bundle/${copy% *}" "${copy#* }" root:root "$(sha256 "${HERE}/${copy% *}")" || return 1
  done
}

# make_data_folder: made here, 0700 as kubeadm does; kubelet would make it 0755.
make_data_folder() {
  local path=${CONF[DATA_DIR]}
  if [[ -n ${NOTED[${path}]-} ]]; then
    [[ -d ${ROOT}${path} ]] || mkdir -m 0700 -- "${ROOT}${path}"
    return 0
  fi
  if [[ -d ${ROOT}${path} ]]; then
    # a member's data that is there now is ours and stays; see the check `data-dir`
    if ! has_log; then
      [[ -e ${ROOT}${path}/member ]] || journal emptydata "${path}"
      # below it, or the same folder, where etcd's files lie beside others'
      [[ -z ${CONF[WAL_DIR]} || ${CONF[WAL_DIR]} == "${path}" ]] || journal emptylog "${CONF[WAL_DIR]}"
    fi
  else
    make_folder "${path%/*}"
    journal data "${path}"
    mkdir -m 0700 -- "${ROOT}${path}"
    relabel "${path}"
  fi
  NOTED[${path}]=yes
}
