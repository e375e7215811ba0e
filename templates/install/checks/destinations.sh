# shellcheck shell=bash
# Preflight check of the places where files go: many systems keep /usr or /usr/local read-only.

check_destinations() {
  local path place shut='' folder
  local -A closed=()
  for path in "${ENTRY_PATH[@]}" "${CONF[STATE_DIR]}/bundle/install.sh" "${CONF[STATIC_POD_MANIFEST]}" "${CONF[DATA_DIR]}/member"; do
    [[ ${path} == /* ]] || continue
    place=${ROOT}${path}
    # a file that cannot be changed, with chattr +i for one
    [[ ! -f ${place} || -w ${place} ]] || closed[${path}]=yes
    folder=${path%/*}
    while [[ ! -d ${ROOT}${folder}/ && ${folder} == */* ]]; do folder=${folder%/*}; done
    [[ -w ${ROOT}${folder}/ ]] || closed[${folder:-/}]=yes
  done
  for path in "${!closed[@]}"; do shut+=" ${path}"; done
  if ((EUID != 0)); then
    verdict destinations ok "whether files can be placed is closed as root only"
  elif [[ -n ${shut} ]]; then
    verdict destinations failed "nothing can be written to:${shut}" \
      "They are read-only or immutable (findmnt --target, lsattr -d). Make them writable, or choose other folders in the specification."
  else
    verdict destinations ok "every file can be placed"
  fi
}
