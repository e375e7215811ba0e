# shellcheck shell=bash
# What was here before us: a tree that somebody else made, with --root, and what a run of ours has left, or somebody who wants
# it to look so.

# stay_inside: a link in the tree of --root may lead out of it, to the files of the machine that we run on. That is so for all
# that is read there or written.
stay_inside() {
  local top path index
  local -a paths real
  [[ -n ${ROOT} && ${ROOT} != /. ]] || return 0
  paths=(/run/bundlegen/lock "${CONF[STATE_DIR]}"{,/bundle,/transaction,/generations,/receipts}
    "${CONF[DATA_DIR]}/member" "${GOLDEN}/images.tar.gz" "${FIRSTBOOT_UNIT}" "${FIRSTBOOT_SETTINGS}"
    /etc/systemd/system/{multi-user.target.wants,kubelet.service.d})
  # what makes images reads neither, or knows what such a link means there
  [[ ${VERB} == @(bake|hygiene) ]] || paths+=(/etc/{machine-id,hostname})
  [[ -z ${CONF[WAL_DIR]} ]] || paths+=("${CONF[WAL_DIR]}")
  for path in "${ENTRY_PATH[@]}"; do
    [[ ${path} != /* ]] || paths+=("${path}")
  done
  for path in "${ROOT}"{/etc,/run,/usr/local/lib,/usr/lib,/lib}/systemd/system/kubelet.service.d/*.conf "${ROOT}${CONF[STATIC_POD_MANIFEST]%/*}"/*; do
    [[ ! -L ${path} ]] || paths+=("${path#"${ROOT}"}")
  done
  top=$(readlink -e -- "${ROOT}")
  mapfile -d '' -t real < <(readlink -z -m -- "${paths[@]/#/"${ROOT}"}")
  for index in "${!paths[@]}"; do
    [[ ${real[index]-}/ == "${top%/}"/* ]] \
      || die "${EXIT_PREFLIGHT}" "${paths[index]} leads out of ${ROOT} by a symbolic link, to ${real[index]-nowhere}; nothing was changed" \
        "Work in the system itself instead of with --root, in a chroot for example."
  done
}

# trust_state: what is undone, and what is written to, is root's alone: a link, or a file that another user could have
# written, would have us change what it wants.
trust_state() {
  local path facts
  local -a folders=() looks
  for path in "${STATE}"{,/transaction,/generations,/receipts,/undone,/edited,/bundle} "${STATE}"/generations/*; do
    [[ -e ${path} || -L ${path} ]] || continue
    [[ -d ${path} && ! -L ${path} ]] || not_ours "${path}" "is no folder"
    folders+=("${path}")
  done
  for path in "${STATE}"/{,.[!.]}* "${STATE}"/transaction/{,.[!.]}* "${STATE}"/generations/*/{,.[!.]}* "${STATE}"/{receipts,bundle}/{,.[!.]}*; do
    [[ ! -e ${path} && ! -L ${path} || ! -L ${path} && (-f ${path} || -d ${path}) ]] || not_ours "${path}" "is neither a file nor a folder"
  done
  ((${#folders[@]} > 0)) || return 0
  mapfile -d '' -t looks < <(stat --printf '%u %a %n\0' -- "${folders[@]}")
  for facts in "${looks[@]}"; do
    path=${facts#* * }
    [[ ${facts} == '0 '* ]] || not_ours "${path}" "is not root's"
    # where an image keeps what its hosts share there is nothing private
    [[ ${facts} == '0 700 '* || ${path} == "${ROOT}${GOLDEN}" && ${facts} =~ ^0\ [0-7]?[0-7][0145][0145]\  ]] \
      || not_ours "${path}" "can be used by others than root"
  done
}

# not_ours PATH WHY
not_ours() {
  die "${EXIT_PREFLIGHT}" "$1 $2, and was not made by this installer; nothing was changed" \
    "See who made it. Move it away if nobody needs it; if only its mode was changed: chown root: and chmod 0700."
}
