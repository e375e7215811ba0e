# shellcheck shell=bash
# The static Pod: written last, by `kubeadm init phase etcd local` on this host or carried in the bundle.

# The static Pod manifest has two forms: that of birth, as the bundle or kubeadm has it, and that of life, see life_form.

KUBEADM_VERSION=''

# kubeadm_version VARIABLE: sets it to what kubeadm says, asked once.
kubeadm_version() {
  [[ -n ${KUBEADM_VERSION} ]] || first_line KUBEADM_VERSION kubeadm version -o short
  printf -v "$1" '%s' "${KUBEADM_VERSION}"
}

# manifest_record FILE VARIABLE: sets it to the facts by which a second run knows that the manifest in FILE need not be made
# again.
manifest_record() {
  local config=${ROOT}${CONF[KUBEADM_CONFIG]} pod=$1 version config_sum pod_sum
  look_at "${config}" "${pod}"
  looked_up "${config}" sha256 config_sum
  looked_up "${pod}" sha256 pod_sum
  if [[ ${CONF[MANIFEST_MODE]} == rendered ]]; then
    printf -v "$2" 'rendered %s\nmanifest %s\n' "${ENTRY_SHA[${ENTRY_OF[${CONF[STATIC_POD_MANIFEST]}]}]}" "${pod_sum}"
  else
    kubeadm_version version
    printf -v "$2" 'kubeadm %s\nconfig %s\nmanifest %s\n' "${version}" "${config_sum}" "${pod_sum}"
  fi
}

# manifest_in_place: is the static Pod manifest the one we installed?
manifest_in_place() {
  local recorded record
  [[ ${CONF[MANIFEST_MODE]} == kubeadm && -z ${ROOT} ]] || return 0
  [[ -f ${ROOT}${CONF[STATIC_POD_MANIFEST]} && -f ${STATE}/manifest.record ]] || return 1
  read_text "${STATE}/manifest.record" recorded
  manifest_record "${ROOT}${CONF[STATIC_POD_MANIFEST]}" record
  [[ ${recorded} == "${record}" ]]
}

# in_life_form SHA OF-MANIFEST: is the manifest, which has this digest now, the form of life of the bundle's own?
in_life_form() {
  local recorded
  [[ -f ${STATE}/manifest.record ]] || return 1
  read_text "${STATE}/manifest.record" recorded
  [[ ${recorded} == "rendered $2"$'\n'"manifest $1"$'\n' ]]
}

# made_here: is the manifest as the install has left it?
made_here() {
  local recorded
  [[ -f ${STATE}/manifest.record ]] || return 1
  read_text "${STATE}/manifest.record" recorded
  [[ ${recorded} == *"manifest $(sha256 "${ROOT}${CONF[STATIC_POD_MANIFEST]}")"* ]]
}

# names_every_member FILE: a manifest without all members would start a cluster of its own (kubeadm#1045).
names_every_member() {
  local text member missing=''
  read_text "$1" text
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
  local source
  payload_file "${ENTRY_PATH[$1]}" source
  names_every_member "${source}"
  WANTED=()
  want_entry "$1"
  if ! has_log || wanted_in_place; then
    install_wanted
    say_installed
  else
    install_life_form "${source}"
  fi
}

# run_kubeadm: what it makes is put into its place in one step, in the form that it is to have: kubelet may look at any
# moment, and must see neither half a manifest nor one form after the other.
run_kubeadm() {
  local path=${CONF[STATIC_POD_MANIFEST]} apart=${JOURNAL}/manifest.apart made output
  made=${apart}/${path##*/}
  rm -rf -- "${apart}"
  mkdir -- "${apart}"
  output=$(kubeadm_apart "${apart}" "${path%/*}" "${CONF[KUBEADM_CONFIG]}" 2>&1) \
    || die "${EXIT_FAILED}" "kubeadm init phase etcd local failed: ${output}"
  [[ -f ${made} ]] || die "${EXIT_FAILED}" "kubeadm wrote no ${path}: ${output}"
  names_every_member "${made}"
  if has_log; then
    install_life_form "${made}"
  else
    install_with_record "${made}" "${path}" 0600 root:root "${made}"
  fi
  rm -rf -- "${apart}"
  say "  kubeadm made ${path}"
}

# kubeadm_apart FOLDER MANIFESTS CONFIGURATION: kubeadm knows no other place for its manifest than MANIFESTS, where kubelet looks. So it
# runs where FOLDER lies over that, in a mount namespace that nobody else is in.
kubeadm_apart() {
  # shellcheck disable=SC2016 # for the bash in there
  unshare --mount --propagation private -- bash -c 'mount --bind -- "$1" "$2" && exec kubeadm init phase etcd local --config "$3"' \
    kubeadm "$@"
}

# install_life_form FILE: the manifest in FILE, in its form of life.
install_life_form() {
  local path=${CONF[STATIC_POD_MANIFEST]} new=${JOURNAL}/manifest.life
  life_form "$1" > "${new}" \
    || die "${EXIT_FAILED}" "the static Pod manifest has not one --initial-cluster and one --initial-cluster-state of ${CONF[HOST]}" \
      "This is a fault of the bundle or of kubeadm: keep the receipt and report it."
  install_with_record "${new}" "${path}" 0600 root:root "${new}"
  say "  ${path} names this member alone now: etcd starts from its log, and from nothing else"
}

# install_with_record MANIFEST [PATH MODE OWNER SOURCE]: the file, if one is given, and how the manifest is left.
install_with_record() {
  local record
  manifest_record "$1" record
  printf '%s' "${record}" > "${JOURNAL}/manifest.record"
  install_files "${@:2}" "${CONF[STATE_DIR]}/manifest.record" 0600 root:root "${JOURNAL}/manifest.record"
  rm -f -- "${JOURNAL}/manifest.record" "${JOURNAL}/manifest.life"
}
