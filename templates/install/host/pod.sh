# shellcheck shell=bash
# The static Pod: written last, by `kubeadm init phase etcd local` on this host or carried in the bundle.

# manifest_record: the facts by which a second run knows that kubeadm need not run again.
manifest_record() {
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

# made_by_kubeadm: is the manifest as kubeadm left it at the install?
made_by_kubeadm() {
  local recorded
  [[ -f ${STATE}/manifest.record ]] || return 1
  recorded=$(< "${STATE}/manifest.record")
  [[ ${recorded} == *"manifest $(sha256 "${ROOT}${CONF[STATIC_POD_MANIFEST]}")" ]]
}

# names_every_member: a manifest without all members would start a cluster of its own (kubeadm#1045).
names_every_member() {
  local text member missing=''
  text=$(< "${ROOT}${CONF[STATIC_POD_MANIFEST]}")
  for member in ${CONF[INITIAL_CLUSTER]//,/ }; do
    [[ ${text} == *"${member}"* ]] || missing+=" ${member}"
  done
  [[ -z ${missing} ]] || die "${EXIT_FAILED}" "the static Pod manifest lacks${missing}" \
    "etcd would start a cluster of its own. This is a fault of the bundle or of kubeadm: keep the receipt and report it."
}

# place_pod: only if it is not there already as this bundle wants it.
place_pod() {
  local path=${CONF[STATIC_POD_MANIFEST]}
  make_folder "${path%/*}"
  if [[ ${CONF[MANIFEST_MODE]} == rendered ]]; then
    place_entry "${ENTRY_OF[${path}]}"
  elif [[ -n ${ROOT} ]]; then
    say "  ${path} is not made here: kubeadm makes it on the running host"
    return 0
  elif ! manifest_in_place; then
    run_kubeadm
  fi
  names_every_member
}

# run_kubeadm: it writes in place, so an earlier manifest is kept as a copy before.
run_kubeadm() {
  local path=${CONF[STATIC_POD_MANIFEST]} output record
  back_up "${path}"
  output=$(kubeadm init phase etcd local --config "${CONF[KUBEADM_CONFIG]}" 2>&1) \
    || die "${EXIT_FAILED}" "kubeadm init phase etcd local failed: ${output}"
  [[ -f ${path} ]] || die "${EXIT_FAILED}" "kubeadm wrote no ${path}: ${output}"
  sync -- "${path}" "${path%/*}"
  CHANGED+=("${path}")
  say "  kubeadm made ${path}"
  record=${JOURNAL}/manifest.record
  manifest_record > "${record}"
  install_file "${CONF[STATE_DIR]}/manifest.record" 0600 root:root "${record}"
  rm -f -- "${record}"
}
