# shellcheck shell=bash
# Files to their places: kept, written beside, flushed, renamed. A reader sees the old or the new, whole.

# make_folder PATH: it and what is missing above it; each one noted, so that it goes again when undone.
make_folder() {
  local path=$1 mode=0755
  [[ -n ${path} && ! -d ${ROOT}${path} ]] || return 0
  make_folder "${path%/*}"
  [[ ! -e ${ROOT}${path} && ! -L ${ROOT}${path} ]] \
    || die "${EXIT_FAILED}" "${path} must be a folder, and is a file or a link to nothing" "Move it away, then run this again."
  # as kubeadm and the packages make them
  [[ ${path} != @("${CONF[STATIC_POD_MANIFEST]%/*}"|"${CONF[DATA_DIR]}"|"${CONF[STATE_DIR]}"*) ]] || mode=0700
  journal folder "${path}"
  mkdir -m "${mode}" -- "${ROOT}${path}"
  relabel "${path}"
}

# relabel PATH...: the SELinux labels that the policy wants there, where there is SELinux.
relabel() {
  if [[ (-z ${ROOT} || ${ROOT} == /.) && -e /sys/fs/selinux/enforce ]] && have restorecon; then
    restorecon -- "$@" || warn "could not set the SELinux label of $*"
  fi
}

STAMP='' # the time that placed files get; empty: the moment they are placed

# date_files SECONDS: what is placed from here on gets this time, in seconds since 1970.
date_files() {
  STAMP=$1
}

# temporary PATH VARIABLE: sets it to where its new content is written; hidden, since kubelet reads every other file in the
# folder of static Pods, and always the same, so that one left by a killed run is found again.
temporary() {
  printf -v "$2" '%s/.%s.bundlegen' "${1%/*}" "${1##*/}"
}

# install_files [PATH MODE OWNER SOURCE]...: replaces each in one step, once all of the new ones are safe on the disk.
install_files() {
  local index new facts
  local -a paths=() written=() kinds=() same
  local -A distinct=()
  for ((index = 1; index <= $#; index += 4)); do
    paths+=("${!index}")
    make_folder "${paths[-1]%/*}"
    temporary "${paths[-1]}" new
    written+=("${ROOT}${new}")
  done
  back_up "${paths[@]}"
  rm -f -- "${written[@]}"
  for new in "${written[@]}"; do
    # umask 077: readable by nobody else until it has its final mode
    cat -- "$4" > "${new}"
    kinds+=("$3 $2")
    distinct["$3 $2"]=yes
    shift 4
  done
  for facts in "${!distinct[@]}"; do
    same=()
    for index in "${!kinds[@]}"; do
      [[ ${kinds[index]} != "${facts}" ]] || same+=("${written[index]}")
    done
    chown -- "${facts% *}" "${same[@]}"
    chmod -- "${facts#* }" "${same[@]}"
  done
  [[ -z ${STAMP} ]] || touch --date="@${STAMP}" -- "${written[@]}"
  sync -- "${written[@]}"
  for index in "${!paths[@]}"; do
    mv -fT -- "${written[index]}" "${ROOT}${paths[index]}"
  done
  sync -- "${written[@]%/*}"
  relabel "${paths[@]/#/"${ROOT}"}"
}

# is_placed INDEX: does this operation put this line of MANIFEST on the host?
is_placed() {
  [[ ${ENTRY_PATH[$1]} == /* ]] && "${CONF[OPERATION]}_places" "${ENTRY_PATH[$1]}"
}

WANTED=()    # what is to be in place: PATH MODE OWNER SHA256 SOURCE, one file after the other
INSTALLED=() # the paths of those that install_wanted has put there

# want_entry INDEX: a line of MANIFEST.
want_entry() {
  local source
  payload_file "${ENTRY_PATH[$1]}" source
  WANTED+=("${ENTRY_PATH[$1]}" "${ENTRY_MODE[$1]}" "${ENTRY_OWNER[$1]}" "${ENTRY_SHA[$1]}" "${source}")
}

# want_copy: install.sh and its data, for health, rollback and uninstall.
want_copy() {
  local folder=${CONF[STATE_DIR]}/bundle
  WANTED+=("${folder}/install.sh" 0700 root:root "${ENTRY_SHA[${ENTRY_OF[install.sh]}]}" "${HERE}/install.sh"
    "${folder}/bundle.conf" 0600 root:root "${ENTRY_SHA[${ENTRY_OF[bundle.conf]}]}" "${HERE}/bundle.conf"
    "${folder}/MANIFEST" 0600 root:root "${PAYLOAD_DIGEST}" "${HERE}/MANIFEST")
}

# is_wanted PATH MODE OWNER SHA256: after a look, is the file there just so? The static Pod manifest also in its form of life.
is_wanted() {
  local sum
  looks_like "${ROOT}$1" "${@:2:3}" && return 0
  looked_up "${ROOT}$1" sha256 sum
  [[ $1 == "${CONF[STATIC_POD_MANIFEST]}" ]] && looks_like "${ROOT}$1" "$2" "$3" "${sum}" && in_life_form "${sum}" "$4"
}

# look_at_wanted: what is there now of WANTED.
look_at_wanted() {
  local index
  local -a files=()
  for ((index = 0; index < ${#WANTED[@]}; index += 5)); do
    files+=("${ROOT}${WANTED[index]}")
  done
  look_at ${files[@]+"${files[@]}"}
}

# wanted_in_place: is all of WANTED there, just so? Changes nothing.
wanted_in_place() {
  local index
  look_at_wanted
  for ((index = 0; index < ${#WANTED[@]}; index += 5)); do
    is_wanted "${WANTED[@]:index:4}" || return 1
  done
}

# install_wanted: what of WANTED is not there just so.
install_wanted() {
  local index
  local -a files=()
  INSTALLED=()
  look_at_wanted
  for ((index = 0; index < ${#WANTED[@]}; index += 5)); do
    is_wanted "${WANTED[@]:index:4}" && continue
    INSTALLED+=("${WANTED[index]}")
    files+=("${WANTED[@]:index:3}" "${WANTED[index + 4]}")
  done
  ((${#files[@]} == 0)) || install_files "${files[@]}"
}

say_installed() {
  local path
  for path in ${INSTALLED[@]+"${INSTALLED[@]}"}; do
    say "  placed ${path}"
  done
}

# place_files: everything in MANIFEST that goes to the host, but not the static Pod manifest: as soon as
# that is there, a kubelet may start etcd.
place_files() {
  local index
  WANTED=()
  for index in "${!ENTRY_PATH[@]}"; do
    [[ ${ENTRY_PATH[index]} == "${CONF[STATIC_POD_MANIFEST]}" ]] || ! is_placed "${index}" || want_entry "${index}"
  done
  install_wanted
  say_installed
}

# place_copy: leaves this script and its data on the host.
place_copy() {
  WANTED=()
  want_copy
  install_wanted
}

# files_in_place: is every file of this bundle on the host, unchanged? Changes nothing.
files_in_place() {
  local index
  WANTED=()
  for index in "${!ENTRY_PATH[@]}"; do
    ! is_placed "${index}" || want_entry "${index}"
  done
  want_copy
  wanted_in_place
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
