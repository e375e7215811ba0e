# shellcheck shell=bash
# The payload: bundle.conf and MANIFEST read and verified. Nothing in them is ever executed.

declare -A CONF=()
ENTRY_MODE=()
ENTRY_OWNER=()
ENTRY_SHA=()
ENTRY_PATH=() # absolute: goes to the host; relative: stays in the payload
declare -A ENTRY_OF=()
PAYLOAD_DIGEST=''
STATE='' # STATE_DIR under ROOT

# load_bundle: CONF, ENTRY_*, PAYLOAD_DIGEST and STATE from the files beside this script.
load_bundle() {
  load_conf "${HERE}/bundle.conf"
  load_manifest "${HERE}/MANIFEST"
  PAYLOAD_DIGEST=$(sha256 "${HERE}/MANIFEST")
  STATE=${ROOT}${CONF[STATE_DIR]}
}

damaged() {
  die "${EXIT_DAMAGED}" "this bundle is damaged: $1" \
    "Nothing was changed. Copy the bundle again and compare its SHA-256 with SHA256SUMS." "${@:2}"
}

load_conf() {
  local line number=0 pattern="^([A-Z][A-Z0-9_]*)='([^']*)'\$"
  [[ -f $1 && -r $1 ]] || damaged "bundle.conf is missing"
  while IFS= read -r line || [[ -n ${line} ]]; do
    number=$((number + 1))
    [[ ${line} =~ ${pattern} ]] || damaged "line ${number} of bundle.conf is not KEY='value'"
    [[ -z ${CONF[${BASH_REMATCH[1]}]+x} ]] || damaged "bundle.conf names ${BASH_REMATCH[1]} twice"
    CONF[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
  done < "$1"
  check_conf
}

check_conf() {
  local shape key pattern
  [[ ${CONF[FORMAT]-} == 1 ]] \
    || damaged "its format is \"${CONF[FORMAT]-}\" and this installer knows format 1"
  for shape in "${CONF_SHAPES[@]}"; do
    key=${shape%% *} pattern="^${shape#* }\$"
    [[ -n ${CONF[${key}]+x} ]] || damaged "bundle.conf lacks ${key}"
    if [[ ${CONF[KIND]-} == base && ${IDENTITY_KEYS} == *" ${key} "* ]]; then
      [[ -z ${CONF[${key}]} ]] || damaged "${key} in bundle.conf is set, and the bundle is for images"
      continue
    fi
    [[ ${CONF[${key}]} =~ ${pattern} ]] || damaged "${key} in bundle.conf has a value it cannot have"
  done
  [[ " ${OPERATIONS[*]} " == *" ${CONF[OPERATION]} "* ]] || damaged "this installer knows no operation \"${CONF[OPERATION]}\""
  [[ ${CONF[KIND]} == base || " ${CONF[MEMBERS]} " == *" ${CONF[HOST]}=${CONF[ADDRESS]} "* ]] \
    || damaged "MEMBERS in bundle.conf does not hold this host"
}

load_manifest() {
  local line number=0 path pattern='^(0[0-7]{3}) ([a-z0-9_-]+:[a-z0-9_-]+) ([0-9a-f]{64}) ([A-Za-z0-9._@+/-]+)$'
  [[ -f $1 && -r $1 ]] || damaged "MANIFEST is missing"
  while IFS= read -r line || [[ -n ${line} ]]; do
    number=$((number + 1))
    [[ ${line} =~ ${pattern} ]] || damaged "line ${number} of MANIFEST cannot be understood"
    path=${BASH_REMATCH[4]}
    ENTRY_MODE+=("${BASH_REMATCH[1]}")
    ENTRY_OWNER+=("${BASH_REMATCH[2]}")
    ENTRY_SHA+=("${BASH_REMATCH[3]}")
    [[ ! "/${path#/}/" =~ (//|/\.\.?/) ]] || damaged "line ${number} of MANIFEST is not a plain path"
    [[ -z ${ENTRY_OF[${path}]+x} ]] || damaged "MANIFEST names ${path} twice"
    ENTRY_OF[${path}]=${#ENTRY_PATH[@]}
    ENTRY_PATH+=("${path}")
  done < "$1"
  ((${#ENTRY_PATH[@]} > 0)) || damaged "MANIFEST is empty"
}

FILES_IN_PLACE=no

# take_files_in_place: from here on payload_file finds the files where they belong. An image of one host has them there.
take_files_in_place() {
  FILES_IN_PLACE=yes
}

files_in_their_places() {
  [[ ${FILES_IN_PLACE} == yes ]]
}

# payload_file PATH VARIABLE: sets it to where the file of this MANIFEST path lies.
payload_file() {
  if files_in_their_places && [[ $1 == /* && $1 != "${CONF[STATIC_POD_MANIFEST]}" ]]; then
    printf -v "$2" '%s%s' "${ROOT}" "$1"
  elif sealed "$1"; then
    # never the host's own file, where none has been opened
    printf -v "$2" '%s%s' "${OPENED:-/dev/null}" "$1"
  elif [[ $1 == /* ]]; then
    printf -v "$2" '%s/files%s' "${HERE}" "$1"
  else
    printf -v "$2" '%s/%s' "${HERE}" "$1"
  fi
}

# installed_copy: is this the copy left on the host, which has no files to place? With --root it may be another's.
installed_copy() {
  [[ ${HERE} -ef ${STATE}/bundle || ${HERE} == *"${CONF[STATE_DIR]}/bundle" ]]
}

# verify_payload: every file is what MANIFEST says, and nothing else is there.
verify_payload() {
  local -a files=() wanted=() problems=()
  local index path file sum
  for index in "${!ENTRY_PATH[@]}"; do
    path=${ENTRY_PATH[index]}
    payload_file "${path}" file
    # of an installed copy nothing else is there; image.sh only in one that was baked
    if installed_copy && [[ ${path} != @(install.sh|bundle.conf) && (${path} != image.sh || ! -e ${file}) ]]; then continue; fi
    # archives that were not unpacked are looked at where they are needed, and sealed keys when they are opened
    if sealed "${path}" || [[ ${path} == images/* && ${path} != images/@(LIST|PIECES) && ! -e ${file} ]]; then continue; fi
    if [[ -f ${file} && ! -L ${file} ]]; then
      files+=("${file}")
      wanted+=("${index}")
    else
      problems+=("${path} is missing")
    fi
  done
  look_at ${files[@]+"${files[@]}"}
  for index in "${!files[@]}"; do
    looked_up "${files[index]}" sha256 sum
    [[ ${sum} == "${ENTRY_SHA[wanted[index]]}" ]] || problems+=("${ENTRY_PATH[wanted[index]]} was altered")
  done
  installed_copy || find_strangers
  ((${#problems[@]} == 0)) || damaged "${#problems[@]} of its files are not as MANIFEST says" "${problems[@]}"
}

# read_image_script: the functions of verbs that only images need, from a file that verify_payload has compared.
read_image_script() {
  [[ -n ${ENTRY_OF[image.sh]+x} && -f ${HERE}/image.sh ]] \
    || bad_usage "${VERB} needs image.sh, which this bundle does not have: use a bundle that creates a member, or base.run"
  # shellcheck source=/dev/null
  source "${HERE}/image.sh"
}

# find_strangers: adds to the caller's `problems` every file of the payload that MANIFEST does not list.
find_strangers() {
  local file path
  shopt -s globstar dotglob nullglob
  for file in "${HERE}"/**; do
    path=${file#"${HERE}/"}
    [[ -n ${path} && ! (-d ${file} && ! -L ${file}) && ${path} != MANIFEST ]] || continue
    [[ ${path} != files/* ]] || path=${path#files}
    [[ -n ${ENTRY_OF[${path}]+x} ]] || problems+=("${path} is not in MANIFEST")
  done
  shopt -u globstar dotglob nullglob
}
