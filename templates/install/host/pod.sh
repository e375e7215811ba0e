# shellcheck shell=bash
# The static Pod: written last, by `kubeadm init phase etcd local` on this host or carried in the bundle.

# The static Pod manifest has two forms: that of birth, as the bundle or kubeadm has it, and that of life, see life_form.

# manifest_record: the facts by which a second run knows that the manifest need not be made again.
manifest_record() {
  if [[ ${CONF[MANIFEST_MODE]} == rendered ]]; then
    printf 'rendered %s\nmanifest %s\n' "${ENTRY_SHA[${ENTRY_OF[${CONF[STATIC_POD_MANIFEST]}]}]}" "$(sha256 "${ROOT}${CONF[STATIC_POD_MANIFEST]}")"
    return 0
  fi
  printf 'kubeadm %s\nconfig %s\nmanifest %s\n' "$(kubeadm_version)" \
    "$(sha256 "${ROOT}${CONF[KUBEADM_CONFIG]}")" "$(sha256 "${ROOT}${CONF[STATIC_POD_MANIFEST]}")"
}

kubeadm_version() {
  kubeadm version -o short 2> /dev/null || true
}

# manifest_in_place: is the static Pod manifest the one we installed?
manifest_in_place() {
  local record=${STATE}/manifest.record recorded
  [[ ${CONF[MANIFEST_MODE]} == kubeadm && -z ${ROOT} ]] || return 0
  [[ -f ${ROOT}${CONF[STATIC_POD_MANIFEST]} && -f ${record} ]] || return 1
  recorded=$(< "${record}")
  [[ ${recorded} == "$(manifest_record)" ]]
}

# in_life_form SHA OF-MANIFEST: is the manifest, which has this digest now, the form of life of the bundle's own?
in_life_form() {
  local record=${STATE}/manifest.record recorded
  [[ -f ${record} ]] || return 1
  recorded=$(< "${record}")
  [[ ${recorded} == "rendered $2"$'\n'"manifest $1" ]]
}

# made_here: is the manifest as the install has left it?
made_here() {
  local recorded
  [[ -f ${STATE}/manifest.record ]] || return 1
  recorded=$(< "${STATE}/manifest.record")
  [[ ${recorded} == *"manifest $(sha256 "${ROOT}${CONF[STATIC_POD_MANIFEST]}")" ]]
}

# names_every_member FILE: a manifest without all members would start a cluster of its own (kubeadm#1045).
names_every_member() {
  local text member missing=''
  text=$(< "$1")
  for member in ${CONF[INITIAL_CLUSTER]//,/ }; do
    [[ ${text} == *"${member}"* ]] || missing+=" ${member}"
  done
  [[ -z ${missing} ]] || die "${EXIT_FAILED}" "the static Pod manifest lacks${missing}" \
    "etcd would start a cluster of its own. This is a fault of the bundle or of kubeadm: keep the receipt and report it."
}

# place_pod: only if it is not there already as this bundle wants it; in its form of life where etcd has its log.
place_pod() {
  local path=${CONF[STATIC_POD_MANIFEST]}
  make_folder "${path%/*}"
  if [[ ${CONF[MANIFEST_MODE]} == rendered ]]; then
    place_rendered "${ENTRY_OF[${path}]}"
  elif [[ -n ${ROOT} ]]; then
    say "  ${path} is not made here: kubeadm makes it on the running host"
  elif ! manifest_in_place; then
    run_kubeadm
  fi
}

# place_rendered INDEX: the manifest that the bundle brings.
place_rendered() {
  local path=${ENTRY_PATH[$1]} source
  source=$(payload_file "${path}")
  names_every_member "${source}"
  if ! has_log || in_place "${path}" "${ENTRY_MODE[$1]}" "${ENTRY_OWNER[$1]}" "${ENTRY_SHA[$1]}"; then
    place_entry "$1"
  else
    install_life_form "${source}"
  fi
}

# run_kubeadm: it writes in place, so an earlier manifest is kept as a copy before.
run_kubeadm() {
  local path=${CONF[STATIC_POD_MANIFEST]} output
  back_up "${path}"
  output=$(kubeadm init phase etcd local --config "${CONF[KUBEADM_CONFIG]}" 2>&1) \
    || die "${EXIT_FAILED}" "kubeadm init phase etcd local failed: ${output}"
  [[ -f ${path} ]] || die "${EXIT_FAILED}" "kubeadm wrote no ${path}: ${output}"
  sync -- "${path}" "${path%/*}"
  CHANGED+=("${path}")
  say "  kubeadm made ${path}"
  names_every_member "${path}"
  if has_log; then
    install_life_form "${path}"
  else
    record_manifest
  fi
}

# install_life_form FILE: the manifest in FILE, in its form of life.
install_life_form() {
  local path=${CONF[STATIC_POD_MANIFEST]} new=${JOURNAL}/manifest.life
  life_form "$1" > "${new}" \
    || die "${EXIT_FAILED}" "the static Pod manifest has not one --initial-cluster and one --initial-cluster-state of ${CONF[HOST]}" \
      "This is a fault of the bundle or of kubeadm: keep the receipt and report it."
  install_file "${path}" 0600 root:root "${new}"
  record_manifest
  rm -f -- "${new}"
  say "  ${path} names this member alone now: etcd starts from its log, and from nothing else"
}

# record_manifest: how the manifest was left.
record_manifest() {
  local record=${JOURNAL}/manifest.record
  manifest_record > "${record}"
  install_file "${CONF[STATE_DIR]}/manifest.record" 0600 root:root "${record}"
  rm -f -- "${record}"
}
