# shellcheck shell=bash
# Container images: which are needed, which the runtime has, which the bundle carries.

# runtime_socket: the path in RUNTIME_ENDPOINT.
runtime_socket() {
  printf '%s' "${CONF[RUNTIME_ENDPOINT]#unix://}"
}

# images: ctr in the namespace where kubelet's images are.
images() {
  ctr --address "$(runtime_socket)" --namespace k8s.io images "$@"
}

# carried_archives: the image archives of this bundle, relative to the payload.
carried_archives() {
  local path
  for path in "${ENTRY_PATH[@]}"; do
    [[ ${path} != images/* ]] || printf '%s\n' "${path}"
  done
}

# carries_image NAME: does an archive of this bundle name it? (docker's manifest.json or OCI's index.json)
carries_image() {
  local archive text
  while read -r archive; do
    text=$(tar -xOf "${HERE}/${archive}" --occurrence=1 manifest.json 2> /dev/null) \
      || text=$(tar -xOf "${HERE}/${archive}" --occurrence=1 index.json 2> /dev/null) || continue
    [[ ${text} != *"\"$1\""* ]] || return 0
  done < <(carried_archives)
  return 1
}

# runtime_has_image NAME: 0 yes, 1 no, 2 nothing here can tell.
runtime_has_image() {
  local found
  if have crictl; then
    found=$(crictl --runtime-endpoint "${CONF[RUNTIME_ENDPOINT]}" --image-endpoint "${CONF[RUNTIME_ENDPOINT]}" \
      images --quiet "$1" 2> /dev/null) || return 2
  elif have ctr; then
    found=$(images list --quiet "name==$1" 2> /dev/null) || return 2
  else
    return 2
  fi
  [[ -n ${found} ]]
}

# etcd_image: what the manifest will name. kubeadm's patch release decides, unless the bundle says.
etcd_image() {
  local image config
  config=$(payload_file "${CONF[KUBEADM_CONFIG]}")
  if [[ ${CONF[ETCD_IMAGE_EXACT]} == no && -z ${ROOT} ]] && have kubeadm; then
    while read -r image; do
      if [[ ${image} == */etcd:* ]]; then
        printf '%s' "${image}"
        return 0
      fi
    done < <(kubeadm config images list --config "${config}" 2> /dev/null || true)
  fi
  printf '%s' "${CONF[ETCD_IMAGE]}"
}

# import_images: each new name is noted, so that it goes again when undone.
import_images() {
  local archive name
  local -A before=()
  [[ -z ${ROOT} && -n $(carried_archives) ]] || return 0
  while read -r name; do
    before[${name}]=yes
  done < <(images list --quiet)
  while read -r archive; do
    images import "${HERE}/${archive}" > /dev/null \
      || die "${EXIT_ROLLED_BACK}" "the runtime did not accept ${archive}" "See the message above."
    say "  imported ${archive}"
  done < <(carried_archives)
  while read -r name; do
    [[ -n ${before[${name}]-} ]] || note image "${name}"
  done < <(images list --quiet)
}

# check_image NAME IMAGE WHAT-NAMED-IT: in the runtime, or in the bundle.
check_image() {
  local found=0
  runtime_has_image "$2" || found=$?
  if ((found == 0)); then
    verdict "$1" ok "$2 is in the runtime"
  elif carries_image "$2"; then
    verdict "$1" ok "$2 is carried by this bundle"
  elif ((found == 2)); then
    verdict "$1" warning "cannot tell whether the runtime has $2, as $3: there is neither crictl nor ctr" "Make sure that it has."
  else
    verdict "$1" failed "the runtime does not have $2, which $3" \
      "Import it (ctr -n k8s.io images import FILE), pull it, or carry it in the bundle (\`images\`)."
  fi
}

check_images() {
  running || return 0
  check_image images "$(etcd_image)" "the etcd Pod needs"
}

check_sandbox_image() {
  local image
  running || return 0
  read_runtime_config
  image=$(runtime_setting sandbox_image) || image=$(runtime_setting sandbox pinned_images) \
    || image=$(runtime_setting pause_image) || image=${CONF[PAUSE_IMAGE]}
  [[ -n ${image} ]] || return 0
  check_image sandbox-image "${image}" "the runtime needs for every Pod"
}
