# shellcheck shell=bash
# Images into the runtime, and out of it again: an import is undone like everything else.

# load_archive ARCHIVE: into the store that kubelet's runtime uses. What the runtime says, and the digest of all that was read
# on a last line of its own.
load_archive() {
  local code=0 sum hasher
  # what is read now may not be what was read before
  exec {sum}> >(exec sha256sum)
  hasher=$!
  if runtime_is crio; then
    # podman writes what it reads from a pipe to a file first: not to memory
    image_stream "$1" "/dev/fd/${sum}" 2> /dev/null | TMPDIR=/var/tmp podman load --quiet || code=$?
  else
    image_stream "$1" "/dev/fd/${sum}" 2> /dev/null | ctr_images import - || code=$?
  fi
  exec {sum}>&-
  wait "${hasher}"
  return "${code}"
}

declare -A NAMES=() # what the runtime has: NAME to its digest

list_names() {
  local name digest
  NAMES=()
  if runtime_is crio; then
    while read -r name digest; do
      [[ -z ${name} ]] || NAMES[${name}]=${digest}
    done < <(podman images --noheading --no-trunc --format '{{.Repository}}:{{.Tag}} {{.Id}}' 2> /dev/null || true)
  else
    while read -r name _ digest _; do
      [[ -z ${name} || ${digest} != sha256:* ]] || NAMES[${name}]=${digest}
    done < <(ctr_images list 2> /dev/null || true)
  fi
}

# drop_unlisted ARCHIVE [WORDS]: names that came with its import and that LIST does not have for it. Where the archive was not ours, all
# that is new; otherwise what the runtime says it has imported. What had such a name before gets it back, if it can.
drop_unlisted() {
  local name other old
  local -A before=() listed=() said=()
  for name in "${!NAMES[@]}"; do before[${name}]=${NAMES[${name}]}; done
  while read -r other name; do
    listed[${name}]=yes listed[${other}]=yes
  done < <(carried_images "$1")
  list_names
  for name in "${!NAMES[@]}"; do
    [[ -n ${2-} && $2 != *"${name} "* || -n ${listed[${name}]-} ]] || said[${NAMES[${name}]}]=yes
  done
  for name in "${!NAMES[@]}"; do
    old=${before[${name}]-}
    [[ ${NAMES[${name}]} != "${old}" && -z ${listed[${name}]-} && -n ${said[${NAMES[${name}]}]-} ]] || continue
    remove_image "${name}"
    warn "the archive brought an image called ${name}, which images/LIST does not have; it was removed again"
    [[ -n ${old} ]] || continue
    for other in "${!NAMES[@]}"; do
      [[ ${NAMES[${other}]} == "${old}" && ${other} != "${name}" ]] || continue
      ctr_images tag --force "${other}" "${name}" > /dev/null 2>&1 && continue 2
    done
    warn "what was called ${name} before has lost its name: import or pull it again"
  done
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
  local words id name sum code=0 advice="See \`journalctl -u containerd\` or the runtime's own log."
  local -A ids=()
  while read -r id name; do
    # an archive may hold one image for several architectures
    ids[${name}]+=" ${id}"
    note_image "${id}" "${name}"
  done < <(carried_images "$1")
  list_names
  words=$(load_archive "$1" 2>&1) || code=$?
  sum=${words##*$'\n'}
  words=${words%"${sum}"} words=${words%$'\n'}
  if [[ ${sum%% *} != "$(archive_sum "$1")" ]]; then
    drop_unlisted "$1"
    have_archive "$1" && die "${EXIT_FAILED}" "$1 was another one while it was imported, from ${PIECES_IN:-the bundle}; what came of it is removed again" \
      "Somebody else can write there. Copy the bundle and ${CONF[IMAGES_FILE]:-its images} to a folder of root's, and run it from there."
    code=1
  fi
  if ((code > 0)); then
    have_archive "$1" || die "${EXIT_FAILED}" "$1 cannot be read as it was made, from ${PIECES_IN:-${CONF[IMAGES_FILE]:-the bundle}}" \
      "The medium was removed or fails. Copy the bundle to this host and run it from there."
    [[ ${words} != *'no space left'* ]] || advice='Make room in the file system of the image store, usually /var/lib/containerd.'
    die "${EXIT_FAILED}" "the runtime did not accept $1: ${words##*$'\n'}" "${advice}"
  fi
  drop_unlisted "$1" "${words:-nothing}"
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
