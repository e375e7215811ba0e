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

# has_id DIGEST ID [DEPTH]: does this manifest, or one of this index, name the configuration with this digest?
has_id() {
  local text part depth=${3:-3}
  ((depth > 0)) || return 1
  text=$(ctr --address "${CONF[RUNTIME_ENDPOINT]#unix://}" --namespace k8s.io content get "$1" 2> /dev/null) || return 1
  [[ ${text} != *"\"$2\""* ]] || return 0
  [[ ${text} == *'"manifests"'* ]] || return 1
  while [[ ${text} =~ (sha256:[0-9a-f]{64})(.*) ]]; do
    part=${BASH_REMATCH[1]} text=${BASH_REMATCH[2]}
    ! has_id "${part}" "$2" "$((depth - 1))" || return 0
  done
  return 1
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

# load_archive ARCHIVE: into the store that kubelet's runtime uses; its words on standard error.
load_archive() {
  if runtime_is crio; then
    # podman writes what it reads from a pipe to a file first: not to memory
    image_stream "$1" 2> /dev/null | TMPDIR=/var/tmp podman load --quiet > /dev/null
  else
    image_stream "$1" 2> /dev/null | ctr_images import - > /dev/null
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

# import_images: those that the runtime does not hold; each new name is noted first, so that it goes again when undone.
import_images() {
  local archive
  [[ -z ${ROOT} && -n $(carried_archives) ]] || return 0
  if runtime_is crio; then
    have podman || die "${EXIT_FAILED}" "podman is not installed, which puts images into CRI-O's store" "Install podman, or import the images yourself and use a bundle without them."
  else
    have ctr || die "${EXIT_FAILED}" "ctr is not installed, which imports images into containerd" "It is part of containerd's package."
  fi
  while read -r archive; do
    if holds_archive "${archive}"; then
      say "  ${archive} is in the runtime already"
    else
      import_archive "${archive}"
    fi
  done < <(carried_archives)
}

# holds_archive ARCHIVE: has the runtime every image in it? What has no name cannot be told.
holds_archive() {
  local id name count=0
  while read -r id name; do
    runtime_holds "${id}" "${name}" || return 1
    count=$((count + 1))
  done < <(carried_images "$1")
  ((count > 0))
}

import_archive() {
  local words id name advice="See \`journalctl -u containerd\` or the runtime's own log."
  local -A ids=()
  while read -r id name; do
    # an archive may hold one image for several architectures
    ids[${name}]+=" ${id}"
    note_image "${id}" "${name}"
  done < <(carried_images "$1")
  if ! words=$(load_archive "$1" 2>&1); then
    have_archive "$1" || die "${EXIT_FAILED}" "$1 cannot be read as it was made, from ${PIECES_IN:-${CONF[IMAGES_FILE]:-the bundle}}" \
      "The medium was removed or fails. Copy the bundle to this host and run it from there."
    [[ ${words} != *'no space left'* ]] || advice='Make room in the file system of the image store, usually /var/lib/containerd.'
    die "${EXIT_FAILED}" "the runtime did not accept $1: ${words##*$'\n'}" "${advice}"
  fi
  for name in "${!ids[@]}"; do
    for id in ${ids[${name}]}; do
      ! runtime_holds "${id}" "${name}" || continue 2
    done
    die "${EXIT_FAILED}" "the runtime took $1 but does not hold ${name} as it is in there" "${advice}"
  done
  say "  imported $1"
}

# note_image ID NAME: how the import of this image under this name is undone.
note_image() {
  local digest kept
  # by its ID as well: containerd's CRI makes that a second name, and podman keeps an image that lost its name
  noted_image "$1" || runtime_knows "$1" || journal image "$1"
  ! noted_image "$2" && ! runtime_holds "$1" "$2" || return 0
  if digest=$(image_digest "$2"); then
    # another image has the name now; without one it would be lost
    kept=bundlegen.local/kept:$(sha256sum <<< "${PAYLOAD_DIGEST} ${STARTED} $2")
    kept=${kept%% *}
    journal tag "$2" "${digest}" "${kept}"
    runtime_is crio || ctr_images tag --force "$2" "${kept}" > /dev/null \
      || die "${EXIT_FAILED}" "the runtime does not let us keep the image that is called $2 now"
  else
    journal image "$2"
  fi
}

# noted_image NAME: does the open journal say already what becomes of it?
noted_image() {
  local word name
  while read -r word name _; do
    [[ ${word} != @(image|tag) || ${name} != "$1" ]] || return 0
  done < "${JOURNAL}/journal"
  return 1
}

RUNTIME_BACK='' # yes or no, once it was waited for

# runtime_back: does it answer? One that died during an import is started again by systemd in a few seconds.
runtime_back() {
  local end=$((SECONDS + 20))
  ! runtime_is crio || return 0
  if [[ -z ${RUNTIME_BACK} ]]; then
    RUNTIME_BACK=yes
    until ctr_images list --quiet > /dev/null 2>&1; do
      if ((SECONDS >= end)) || ! have ctr; then
        RUNTIME_BACK=no
        break
      fi
      sleep 0.5
    done
  fi
  [[ ${RUNTIME_BACK} == yes ]]
}

# remove_image NAME: it came with an import that is undone.
remove_image() {
  if ! runtime_back; then
    warn "the container runtime does not answer: if it has the image $1, it stays"
    return 0
  fi
  if runtime_is crio; then
    podman image rm "$1" > /dev/null 2>&1 || true
  else
    ctr_images remove --sync "$1" > /dev/null 2>&1 || true
  fi
  ! runtime_knows "$1" || warn "the image $1 could not be removed from the runtime"
}

# restore_tag NAME DIGEST KEPT: the name goes back to the image that had it before an import that is undone.
restore_tag() {
  local now
  if ! runtime_back; then
    warn "the container runtime does not answer: the image name $1 stays as it is"
    return 0
  fi
  if now=$(image_digest "$1") && [[ ${now} == "$2" ]]; then
    runtime_is crio || ctr_images remove "$3" > /dev/null 2>&1 || true
  elif runtime_is crio; then
    podman tag "$2" "$1" > /dev/null 2>&1 || warn "the image name $1 could not be given back to $2, which had it before"
  elif ctr_images tag --force "$3" "$1" > /dev/null 2>&1; then
    ctr_images remove --sync "$3" > /dev/null 2>&1 || true
  else
    warn "the image name $1 could not be given back to $2, which had it before"
  fi
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
