# shellcheck shell=bash
# Container images: which are needed, which the runtime has, which the bundle carries.

# ctr_images VERB...: ctr in the namespace where kubelet's images are. For a socket that is not there it would wait ten seconds.
ctr_images() {
  local socket=${CONF[RUNTIME_ENDPOINT]#unix://}
  [[ -S ${socket} ]] && ctr --address "${socket}" --namespace k8s.io images "$@"
}

# carried_images [ARCHIVE]: "ID NAME" of each image in it, or in any; images/LIST has "ID ARCHIVE NAME".
carried_images() {
  local id archive name
  [[ -f ${HERE}/images/LIST ]] || return 0
  while read -r id archive name; do
    [[ -n ${1-} && images/${archive} != "$1" ]] || printf '%s %s\n' "${id}" "${name}"
  done < "${HERE}/images/LIST"
}

# full_name NAME: as runtimes keep it: what names no registry is Docker's.
full_name() {
  local registry=${1%%/*} rest=${1#*/}
  if [[ $1 != */* || ${registry} != localhost && ${registry} != *[.:]* ]]; then
    registry=docker.io rest=$1
  fi
  [[ ${registry} != docker.io || ${rest} == */* ]] || rest=library/${rest}
  printf '%s/%s' "${registry}" "${rest}"
}

# carries_image NAME: does an archive of this bundle hold it?
carries_image() {
  [[ $(carried_images)$'\n' == *" $(full_name "$1")"$'\n'* ]]
}

# image_digest NAME: what the runtime has under this name, by digest; fails if that is nothing.
image_digest() {
  local digest=''
  if runtime_is crio; then
    digest=$(podman image inspect --format '{{.Id}}' "$1" 2> /dev/null) || return 1
    digest=sha256:${digest}
  else
    read -r _ _ digest _ < <(ctr_images list "name==$1" 2> /dev/null | tail -n +2) || return 1
  fi
  [[ -n ${digest} ]] && printf '%s' "${digest}"
}

# runtime_holds ID NAME: has the runtime just this image under this name? A tag alone may have moved.
runtime_holds() {
  local digest
  digest=$(image_digest "$2") || return 1
  if runtime_is crio; then
    [[ ${digest} == "$1" ]]
  else
    has_id "${digest}" "$1"
  fi
}

# runtime_knows NAME: is there any image under this name?
runtime_knows() {
  if runtime_is crio; then
    podman image exists "$1" 2> /dev/null
  else
    [[ -n $(ctr_images list --quiet "name==$1" 2> /dev/null || true) ]]
  fi
}

# runtime_has_image NAME: 0 yes, 1 no, 2 nothing here can tell.
runtime_has_image() {
  local found
  if have crictl; then
    found=$(crictl --runtime-endpoint "${CONF[RUNTIME_ENDPOINT]}" --image-endpoint "${CONF[RUNTIME_ENDPOINT]}" \
      images --quiet "$1" 2> /dev/null) || return 2
  elif have ctr; then
    found=$(ctr_images list --quiet "name==$(full_name "$1")" 2> /dev/null) || return 2
  else
    return 2
  fi
  [[ -n ${found} ]]
}

# etcd_image VARIABLE: sets it to what the manifest will name. kubeadm's patch release decides, unless the bundle says.
etcd_image() {
  local config listed
  printf -v "$1" '%s' "${CONF[ETCD_IMAGE]}"
  [[ ${CONF[ETCD_IMAGE_EXACT]} == no && -z ${ROOT} ]] && have kubeadm || return 0
  payload_file "${CONF[KUBEADM_CONFIG]}" config
  listed=$(kubeadm config images list --config "${config}" 2> /dev/null) || return 0
  [[ ! ${listed} =~ ([^[:space:]]+/etcd:[^[:space:]]+) ]] || printf -v "$1" '%s' "${BASH_REMATCH[1]}"
}

# check_image NAME IMAGE WHAT-NAMED-IT: in the runtime, or in the bundle.
check_image() {
  local found=0 why='there is neither crictl nor ctr'
  runtime_has_image "$2" || found=$?
  if ((found == 0)); then
    verdict "$1" ok "$2 is in the runtime"
  elif carries_image "$2"; then
    verdict "$1" ok "$2 comes with this bundle"
  elif ((found == 2)) && has_fault runtime; then
    return 0 # which check_runtime has said
  elif ((found == 2)); then
    if have crictl || have ctr; then
      why='it does not say which images it has'
    fi
    verdict "$1" warning "cannot tell whether the runtime has $2, which $3: ${why}" "Make sure that it has."
  else
    verdict "$1" failed "the runtime does not have $2, which $3" \
      "Import it (ctr -n k8s.io images import FILE), pull it, or carry it in the bundle (\`images\`)."
  fi
}

check_images() {
  local image
  running || return 0
  etcd_image image
  check_image images "${image}" "the etcd Pod needs"
}

check_sandbox_image() {
  local key image=''
  running || return 0
  for key in sandbox_image sandbox pause_image; do
    [[ -n ${image} ]] || runtime_setting "${key}" image
  done
  image=${image:-${CONF[PAUSE_IMAGE]}}
  [[ -n ${image} ]] || return 0
  check_image sandbox-image "${image}" "the runtime needs for every Pod"
}
