# shellcheck shell=bash
# The first boot of an image, run by bundlegen-firstboot.service before kubelet. From an image that hosts share it
# looks for this machine's bundle and runs it; an image of one host finishes its own install.

do_firstboot() {
  installed_copy || bad_usage "firstboot is for the copy that bake left in an image"
  at_exit forget_medium
  running || bad_usage "firstboot works on the running system, not on --root"
  load_settings
  if [[ ${CONF[KIND]} == host ]]; then
    first_boot_of_host
  else
    first_boot_of_image
  fi
  forget_medium
  say "The first boot is done."
  if have systemctl; then
    systemctl disable "${FIRSTBOOT_UNIT##*/}" 2> /dev/null || warn "${FIRSTBOOT_UNIT##*/} could not be disabled; it does nothing at the next boot"
  fi
}

# first_boot_of_host: everything is in place but the static Pod; `install` does the rest, as it goes on after a power cut.
first_boot_of_host() {
  if [[ -d ${STATE}/generations ]] && ! interrupted; then
    say "This machine is a member already: ${CONF[HOST]} of ${CONF[CLUSTER]}."
    return 0
  fi
  await_address
  right_host
  check_placed
  take_files_in_place
  # an image keeps them in one file, wherever they were in the bundle
  ((${#PIECES[@]} == 0)) || CONF[IMAGES_FILE]=${BAKED_IMAGES##*/}
  VERB=install
  do_install
  VERB=firstboot
}

# await_address: an interface may get it late.
await_address() {
  local start=${SECONDS}
  until has_address "${CONF[ADDRESS]}" || time_is_up "${start}"; do
    sleep "${LOOK_EVERY}"
  done
}

# check_placed: is what was baked still there, unchanged?
check_placed() {
  local path index sum
  local -a problems=()
  look_at "${ENTRY_PATH[@]/#/"${ROOT}"}" "${HERE}/images/LIST" "${HERE}/images/PIECES" "${HERE}/files${CONF[STATIC_POD_MANIFEST]}"
  for index in "${!ENTRY_PATH[@]}"; do
    path=${ENTRY_PATH[index]}
    if [[ ${path} == /* && ${path} != "${CONF[STATIC_POD_MANIFEST]}" ]]; then
      looks_like "${path}" "${ENTRY_MODE[index]}" "${ENTRY_OWNER[index]}" "${ENTRY_SHA[index]}" || problems+=("${path} is not as it was baked")
    elif [[ ${path} == /* || ${path} == images/@(LIST|PIECES) ]]; then
      payload_file "${path}" path
      looked_up "${path}" sha256 sum
      [[ ${sum} == "${ENTRY_SHA[index]}" ]] || problems+=("${path} is not as it was baked")
    fi
  done
  ((${#problems[@]} == 0)) || die "${EXIT_DAMAGED}" "this image was changed after it was baked; nothing was started" "${problems[@]}"
}

# first_boot_of_image: looks, and lets the one bundle that is for this machine install itself.
first_boot_of_image() {
  local member
  if member=$(member_here); then
    say "This machine is a member already: ${member#* }."
    look
    drop_bundles "${member%% *}"
    return 0
  fi
  check_demand
  find_bundle
  install_chosen
  drop_bundles ''
}

# check_demand: what demands a signature is as it was baked. Without it nothing is run.
check_demand() {
  local path index
  demands_signature || return 0
  look_at "${APPLY}" "${ALLOWED_SIGNERS}"
  for path in "${APPLY}" "${ALLOWED_SIGNERS}"; do
    index=${ENTRY_OF[${path}]-}
    if [[ -z ${index} ]] || ! looks_like "${path}" "${ENTRY_MODE[index]}" "${ENTRY_OWNER[index]}" "${ENTRY_SHA[index]}"; then
      die "${EXIT_DAMAGED}" "${path}, which demands a signature, is not as it was baked; nothing was run"
    fi
  done
}

# member_here: "DIGEST HOST of CLUSTER" of a finished install on this machine.
member_here() {
  local folder line host='' cluster=''
  for folder in "${MEMBERS_ROOT}"/*; do
    [[ -d ${folder}/generations && -f ${folder}/bundle/bundle.conf ]] || continue
    ! journal_has "${folder}/transaction" begin || continue
    while IFS= read -r line; do
      case ${line} in
        HOST=*) host=${line#*=} ;;
        CLUSTER=*) cluster=${line#*=} ;;
        *) ;;
      esac
    done < "${folder}/bundle/bundle.conf"
    printf '%s %s of %s' "$(sha256 "${folder}/bundle/MANIFEST")" "${host//\'/}" "${cluster//\'/}"
    return 0
  done
  return 1
}

# install_chosen: in a run of its own, from which it has its lock, its receipt and its undoing.
install_chosen() {
  local code=0 unlock=${SETTING[UNLOCK_FILE]}
  local -a words=(install) hints=("${TRY_AGAIN}")
  if [[ -n ${unlock} ]]; then
    [[ ${unlock} == /* ]] || unlock=${CHOSEN%/*}/${unlock}
  fi
  if [[ -f ${unlock} ]]; then
    words+=(--unlock-file "${unlock}")
  elif [[ -n ${unlock} ]]; then
    warn "there is no file ${unlock}, which UNLOCK_FILE in ${FIRSTBOOT_SETTINGS} names"
  fi
  say "Installing from ${CHOSEN} ..."
  if demands_signature; then
    /bin/bash -p "${APPLY}" "${CHOSEN}" "${words[@]}" < /dev/null || code=$?
  else
    sh "${CHOSEN}" -- "${words[@]}" < /dev/null || code=$?
  fi
  ((code != EXIT_USAGE)) || hints=("Here, the file with the unlock code of sealed keys is named by UNLOCK_FILE in ${FIRSTBOOT_SETTINGS}." "${hints[@]}")
  ((code == 0)) || die "${code}" "${CHOSEN} did not install (exit code ${code}): see its messages above" "${hints[@]}"
}

# drop_bundles DIGEST: this machine's bundle holds its keys, so it goes from the folder; a medium is not ours. DIGEST:
# only those; empty: all that are this machine's.
drop_bundles() {
  local index file unlock=${SETTING[UNLOCK_FILE]}
  for index in "${!CANDIDATES[@]}"; do
    file=${CANDIDATES[index]}
    [[ ${file} == "${SETTING[FOLDER]}"/* ]] || continue
    if [[ ${VERDICTS[index]} != mine ]]; then
      warn "${file} stays: it ${VERDICTS[index]}. If it holds keys, delete it."
    elif [[ -z $1 || ${DIGESTS[index]} == "$1" ]]; then
      rm -f -- "${file}" && say "Removed ${file}, which holds this machine's keys."
    fi
  done
  if [[ -n ${unlock} && -n ${SETTING[FOLDER]} ]]; then
    [[ ${unlock} == /* ]] || unlock=${SETTING[FOLDER]}/${unlock}
    [[ ${unlock} != "${SETTING[FOLDER]}"/* || ! -e ${unlock} ]] || rm -f -- "${unlock}"
  fi
}
