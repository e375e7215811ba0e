# shellcheck shell=bash
# bake: into a system that is being built. Files are placed and units enabled; nothing is started, so it works in a
# chroot, in an image that is mounted (--root) and in a builder machine alike. What is baked is the same whenever and
# wherever it is done: contents, modes, owners and times of files.

readonly BAKED_AT=315532800              # 1980, as in the bundle's own archive: ahead of no clock
readonly MEMBERS_ROOT=/var/lib/bundlegen # where hosts' installs keep what they did
readonly UNIT_FOLDERS=(/etc/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system)

do_bake() {
  take_lock
  must_be_bakeable
  must_have_images
  open_keys
  say "Baking ${CONF[HOST]:-what all hosts share} of ${CONF[CLUSTER]} into ${ROOT%/.}/ ..."
  date_files "${BAKED_AT}"
  begin_baking
  place_files
  place_copy
  place_first_boot
  bake_images
  enable_unit "${FIRSTBOOT_UNIT##*/}"
  enable_unit kubelet.service
  finish_baking
  say "The image is complete: at its first boot bundlegen-firstboot.service $(first_boot_words)."
  say "Baked. Nothing was started."
}

first_boot_words() {
  if [[ ${CONF[KIND]} == host ]]; then
    printf 'starts the member %s' "${CONF[HOST]}"
  else
    printf "looks for that machine's bundle and installs it"
  fi
}

# must_be_bakeable: an image starts from nothing; a machine that is a member is no image.
must_be_bakeable() {
  local path hint="Bake into a fresh system: an image must hold no member."
  existing "${CONF[DATA_DIR]}/member" "${CONF[STATIC_POD_MANIFEST]}" "${MEMBERS_ROOT}/*/generations"
  ((${#EXISTING[@]} == 0)) \
    || die "${EXIT_PREFLIGHT}" "there is a member in this system: ${EXISTING[0]#"${ROOT}"} exists; nothing was changed" "${hint}"
  [[ -z $(etcd_here) ]] || die "${EXIT_PREFLIGHT}" "etcd runs on this machine (process $(etcd_here)); nothing was changed" "${hint}"
  path=$(unit_file kubelet.service) || return 0
  [[ $(readlink -m -- "${ROOT}${path}") != /dev/null ]] \
    || die "${EXIT_PREFLIGHT}" "kubelet is masked in this system; nothing was changed" "Unmask it: rm ${path}"
}

# etcd_here: process ids of every etcd with our data directory, not of one beyond a chroot that we are in.
etcd_here() {
  local process
  local -a words
  [[ ${ROOT} == /. ]] || return 0
  for process in /proc/[0-9]*; do
    mapfile -d '' -t words 2> /dev/null < "${process}/cmdline" || continue
    [[ ${#words[@]} -gt 1 && ${words[0]##*/} == etcd && ${process}/root -ef / ]] || continue
    [[ " ${words[*]} " != *" --data-dir=${CONF[DATA_DIR]} "* ]] || printf '%s ' "${process#/proc/}"
  done 2> /dev/null
}

# begin_baking: a journal, so that what fails or is interrupted is undone; it does not stay.
begin_baking() {
  local verb digest
  rm -rf -- "${STATE}/undone"
  if interrupted; then
    read -r verb digest _ <<< "$(journal_line "${STATE}/transaction" begin)"
    [[ ${verb} == bake ]] || die "${EXIT_PREFLIGHT}" "an ${verb} was interrupted here; nothing was changed" "Finish it or undo it first: sh ${CONF[HOST]}.run -- rollback"
    if [[ ${digest} != "${PAYLOAD_DIGEST}" ]]; then
      say "A bake of another bundle was interrupted here; undoing that first."
      undo_all "${STATE}/transaction" || die "${EXIT_FAILED}" "it could not be undone: see the messages above"
    fi
  fi
  make_state_parents
  begin_transaction undo_bake
}

STATE_PARENTS=() # folders made so that there is a journal, innermost first

make_state_parents() {
  local path=${CONF[STATE_DIR]} mode index
  while [[ ! -d ${ROOT}${path} ]]; do
    STATE_PARENTS+=("${path}")
    path=${path%/*}
  done
  for ((index = ${#STATE_PARENTS[@]} - 1; index >= 0; index--)); do
    path=${STATE_PARENTS[index]} mode=0755
    [[ ${path} != "${CONF[STATE_DIR]}" && ${path} != "${MEMBERS_ROOT}" ]] || mode=0700
    mkdir -m "${mode}" -- "${ROOT}${path}"
  done
}

# place_first_boot: the unit, its settings unless somebody has made theirs, and what a host's copy installs from.
place_first_boot() {
  place_carried firstboot/bundlegen-firstboot.service "${FIRSTBOOT_UNIT}" 0644
  [[ -e ${ROOT}${FIRSTBOOT_SETTINGS} ]] || place_carried firstboot/firstboot.conf "${FIRSTBOOT_SETTINGS}" 0644
  place_carried image.sh "${CONF[STATE_DIR]}/bundle/image.sh" 0600
  [[ ${CONF[KIND]} == host ]] || return 0
  local path target
  for path in "${CONF[STATIC_POD_MANIFEST]}" images/LIST images/PIECES; do
    target=${CONF[STATE_DIR]}/bundle/${path/#\//files/}
    [[ -z ${ENTRY_OF[${path}]+x} ]] || place_carried "${path}" "${target}" 0600
  done
}

# place_carried ENTRY PATH MODE: a file of the payload that has its place in images only.
place_carried() {
  local source
  payload_file "$1" source
  WANTED=("$2" "$3" root:root "${ENTRY_SHA[${ENTRY_OF[$1]}]}" "${source}")
  install_wanted
  say_installed
}

readonly BAKED_IMAGES=${GOLDEN}/images.tar.gz

# must_have_images: as compressed pieces, which is how an image keeps them; they are checked before anything changes.
must_have_images() {
  ((${#PIECES[@]} > 0)) || return 0
  ! images_file_is_right "${ROOT}${BAKED_IMAGES}" || return 0
  find_pieces
  [[ -z ${PIECES_IN} ]] || return 0
  ((${#PIECES_WRONG[@]} == 0)) \
    || die "${EXIT_PREFLIGHT}" "${PIECES_WRONG[*]} does not hold the images of this bundle: it is damaged, or belongs to other bundles; nothing was changed" \
      "Copy ${CONF[IMAGES_FILE]} of this change again and compare its SHA-256 with SHA256SUMS."
  [[ -z ${CONF[IMAGES_FILE]} ]] \
    || die "${EXIT_PREFLIGHT}" "${CONF[IMAGES_FILE]} of this change was not found (looked for: ${PIECES_PLACES[*]}); nothing was changed" \
      "Put it beside the bundle, or give --images FILE."
  die "${EXIT_USAGE}" "the images of this payload are unpacked, and an image keeps them as they are in the bundle; nothing was changed" \
    "Run the bundle itself: sh FILE.run -- bake"
}

# bake_images: one file for every bundle that is installed here later, byte for byte the one carried beside bundles.
bake_images() {
  local archive new
  ((${#PIECES[@]} > 0)) || return 0
  ! images_file_is_right "${ROOT}${BAKED_IMAGES}" || return 0
  make_folder "${GOLDEN}"
  back_up "${BAKED_IMAGES}"
  temporary "${BAKED_IMAGES}" new
  new=${ROOT}${new}
  rm -f -- "${new}"
  for archive in "${PIECES[@]}"; do
    piece "${PIECES_IN}" "${PIECES_START}" "${archive}" >> "${new}"
  done
  images_file_is_right "${new}" \
    || die "${EXIT_FAILED}" "the images could not be copied from ${PIECES_IN}" "The medium fails, or there is no room."
  chmod -- 0644 "${new}"
  chown -- root:root "${new}"
  touch --date="@${BAKED_AT}" -- "${new}"
  sync -- "${new}"
  mv -fT -- "${new}" "${ROOT}${BAKED_IMAGES}"
  sync -- "${ROOT}${GOLDEN}"
  say "  placed ${BAKED_IMAGES}"
}

# unit_file NAME: where systemd finds it in this system.
unit_file() {
  local folder
  for folder in "${UNIT_FOLDERS[@]}"; do
    if [[ -e ${ROOT}${folder}/$1 || -L ${ROOT}${folder}/$1 ]]; then
      printf '%s/%s' "${folder}" "$1"
      return 0
    fi
  done
  return 1
}

# enable_unit NAME: what `systemctl enable` does to the files, by the unit's own [Install]; for want of a running
# systemd, and so that each link can be undone.
enable_unit() {
  local file text line section='' word wanted=no
  if ! file=$(unit_file "$1") || ! text=$(followed "${file}"); then
    warn "there is no $1 in this system yet; it will be enabled at the first boot"
    return 0
  fi
  while IFS= read -r line || [[ -n ${line} ]]; do
    case ${line} in
      '['*) section=${line} ;;
      WantedBy*=* | RequiredBy*=*)
        [[ ${section} == '[Install]' ]] || continue
        for word in ${line#*=}; do
          wanted=yes
          case ${line} in
            Wanted*) link "/etc/systemd/system/${word}.wants/$1" "${file}" ;;
            *) link "/etc/systemd/system/${word}.requires/$1" "${file}" ;;
          esac
        done
        ;;
      *) ;;
    esac
  done < "${text}"
  [[ ${wanted} == yes ]] || warn "$1 has no [Install] section in this system, so nothing starts it when a machine boots"
}

# link PATH TARGET: a symbolic link, unless there is one already.
link() {
  local new
  [[ ! -L ${ROOT}$1 ]] || return 0
  make_folder "${1%/*}"
  back_up "$1"
  temporary "$1" new
  new=${ROOT}${new}
  rm -f -- "${new}"
  ln -s -- "$2" "${new}"
  touch --no-dereference --date="@${BAKED_AT}" -- "${new}"
  mv -fT -- "${new}" "${ROOT}$1"
  sync -- "${ROOT}${1%/*}"
  say "  enabled ${1##*/}"
}

# finish_baking: folders that are new get the time that files have; the journal goes, and with that it is done.
finish_baking() {
  local word path
  local -a made=(${STATE_PARENTS[@]+"${STATE_PARENTS[@]}"})
  trap '' HUP INT TERM
  while read -r word path; do
    [[ ${word} != folder ]] || made+=("${path}")
  done < "${JOURNAL}/journal"
  for path in ${made[@]+"${made[@]}"}; do
    touch --date="@${BAKED_AT}" -- "${ROOT}${path}"
  done
  drop_journal "${JOURNAL}"
  end_transaction
  # the journal was in there
  touch --date="@${BAKED_AT}" -- "${STATE}" 2> /dev/null || true
}

# undo_bake: the tree is as it was; nobody needs a receipt of that.
undo_bake() {
  local path
  say "Undoing what this run has changed ..."
  if undo_all "${JOURNAL}"; then
    complain "the bake failed and was undone: this system is as it was before" "The first error: ${FAILURE:-interrupted}"
  else
    complain "THE BAKE FAILED, AND UNDOING IT FAILED PARTLY: see the messages above." \
      "Build the image anew, or correct what they say and bake again; nothing that was kept has been lost: ${STATE}"
  fi
  for path in ${STATE_PARENTS[@]+"${STATE_PARENTS[@]}"}; do
    rmdir -- "${ROOT}${path}" 2> /dev/null || true
  done
}
