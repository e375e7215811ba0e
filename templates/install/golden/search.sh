# shellcheck shell=bash
# The first boot's search: its settings, the folder and the medium, and which bundle is this machine's.

declare -gA SETTING=([MEDIUM_LABEL]=BUNDLEGEN [FOLDER]=/var/lib/bundlegen-firstboot [WAIT]=300 [UNLOCK_FILE]='')
declare -grA SETTING_SHAPE=([MEDIUM_LABEL]='[A-Za-z0-9._-]{0,64}' [FOLDER]="(${PATH_SHAPE})?" [WAIT]='[0-9]{1,7}|forever'
  [UNLOCK_FILE]='[A-Za-z0-9._@+/-]*')
declare -grA SETTING_WORDS=([MEDIUM_LABEL]='MEDIUM_LABEL is made of letters, digits and . _ -; or it is empty.'
  [FOLDER]='FOLDER begins with / and is made of letters, digits and / . _ @ + -; or it is empty.'
  [WAIT]='WAIT is a number of seconds, 0 for once, or forever.'
  [UNLOCK_FILE]='UNLOCK_FILE is made of letters, digits and / . _ @ + -; or it is empty.')
readonly LOOK_EVERY=3     # seconds
readonly MOST_UNNAMED=200 # files in a place that are not called as bundles are, and are looked into all the same
readonly TRY_AGAIN='Nothing is half-installed. When it is put right: systemctl start bundlegen-firstboot'

MEDIUM=''       # where the medium is mounted
MEDIUM_OF=''    # the device that is
MEDIUM_FAULT='' # why the one that is there is not mounted
CANDIDATES=()   # the files that were found
VERDICTS=()     # of each: mine, or what it is, in words
DIGESTS=()      # of each that is mine: its payload digest
CHOSEN=''       # the one to be installed

# load_settings: KEY='value' lines, matched and never executed. A folder's name is no pattern: it holds no such character.
load_settings() {
  local line number=0 words pattern="^([A-Z_]+)='([^']*)'\$"
  [[ -f ${FIRSTBOOT_SETTINGS} ]] || return 0
  while IFS= read -r line || [[ -n ${line} ]]; do
    number=$((number + 1))
    # blanks around it say nothing, nor does the end of a line as Windows writes it
    line=${line#"${line%%[![:space:]]*}"}
    line=${line%"${line##*[![:space:]]}"}
    [[ ${line} != '' && ${line} != '#'* ]] || continue
    words="They are MEDIUM_LABEL, FOLDER, WAIT and UNLOCK_FILE, each KEY='value'."
    if [[ ${line} =~ ${pattern} ]]; then
      ! set_setting "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" || continue
      words=${SETTING_WORDS[${line%%=*}]-${words}}
    fi
    die "${EXIT_USAGE}" "line ${number} of ${FIRSTBOOT_SETTINGS} is not a setting: ${line//[[:cntrl:]]/?}" "${words}" "${TRY_AGAIN}"
  done < "${FIRSTBOOT_SETTINGS}"
}

# set_setting KEY VALUE: fails where there is no such key, or it cannot have that value.
set_setting() {
  local shape=${SETTING_SHAPE[$1]-}
  [[ -n ${shape} && $2 =~ ^(${shape})$ ]] || return 1
  SETTING[$1]=$2
}

# time_is_up START: has it been looked for WAIT seconds?
time_is_up() {
  [[ ${SETTING[WAIT]} != forever ]] && ((SECONDS - $1 >= 10#${SETTING[WAIT]}))
}

# find_bundle: sets CHOSEN; waits for it as long as WAIT says. Two different ones are one too many at once.
find_bundle() {
  local start=${SECONDS} told='' seen line
  say "Looking for this machine's bundle $(places) ..."
  while true; do
    look
    seen=$(candidates)
    [[ ${seen} == "${told}" ]] || while IFS= read -r line; do
      say "${line}"
    done <<< "${seen:-  nothing is there any more}"
    told=${seen}
    one_of_mine
    [[ -z ${CHOSEN} ]] || return 0
    ! time_is_up "${start}" || nothing_found
    sleep "${LOOK_EVERY}"
  done
}

# places: where it is looked for, in words.
places() {
  local said=''
  [[ -z ${SETTING[FOLDER]} ]] || said="in ${SETTING[FOLDER]}"
  [[ -z ${SETTING[MEDIUM_LABEL]} ]] || said+="${said:+, }on a medium labelled ${SETTING[MEDIUM_LABEL]}"
  printf '%s' "${said:-nowhere, as both places are switched off}"
}

# look: CANDIDATES and what each of them is. An address may come late, and a file may still be on its way, so nothing is
# remembered from one look to the next.
look() {
  CANDIDATES=()
  VERDICTS=()
  DIGESTS=()
  [[ -z ${SETTING[FOLDER]} ]] || judge_all "${SETTING[FOLDER]}" own
  ! mount_medium || judge_all "${MEDIUM}" medium
}

# judge_all FOLDER own|medium: what is called as bundles are, or is one under another name: systems that block *.run, and
# FAT, make others of them.
judge_all() {
  local file name unnamed=0
  for file in "$1"/*; do
    [[ -f ${file} ]] || continue
    name=${file##*/}
    name=${name,,}
    if [[ ${name} == *.run.[0-9][0-9][0-9]* ]]; then
      note_candidate "${file}" "is a part of a bundle: put the parts together, in order, into one file" ''
    elif [[ ${name} == *.run ]] || { ((unnamed += 1, unnamed <= MOST_UNNAMED)) && bundle_label "${file}" > /dev/null; }; then
      judge "${file}" "$2"
    fi
  done
}

# note_candidate FILE VERDICT DIGEST
note_candidate() {
  CANDIDATES+=("$1")
  VERDICTS+=("$2")
  DIGESTS+=("$3")
}

# judge FILE own|medium: a file in the folder is run as root, so root alone may have written it.
judge() {
  local words line code=0 digest='' whom='' verdict
  if [[ $2 == own ]] && ! only_roots "$1"; then
    verdict="is not root's alone, or its folder is not, and was not looked into"
  elif ! demands_signature && ! bundle_label "$1" > /dev/null; then
    verdict="is no bundle"
  else
    words=$(identified "$1") || code=$?
    verdict="is damaged"
    while read -r line; do
      case ${line} in
        'host '*) whom=${line#host } ;;
        'digest '*) digest=${line#digest } ;;
        'error: '*) verdict="is refused: ${line#error: }" ;;
        *) ;;
      esac
    done <<< "${words}"
    [[ ! ${digest} =~ ^[0-9a-f]{64}$ ]] || case ${code} in
      0) verdict=mine ;;
      "${EXIT_WRONG_HOST}") verdict="is for ${whom:-no machine}" ;;
      *) ;;
    esac
  fi
  note_candidate "$1" "${verdict}" "${digest}"
}

# identified FILE: whose bundle it is. Where the image demands a signature, its own program tells, and runs nothing of it.
identified() {
  if demands_signature; then
    /bin/bash -p "${APPLY}" --identify "$1" < /dev/null 2>&1
  else
    sh "$1" -- identify < /dev/null 2> /dev/null
  fi
}

# only_roots FILE: neither it nor its folder belongs to another, or can be written by another.
only_roots() {
  local path facts
  for path in "$1" "${1%/*}"; do
    facts=$(stat -c '%u %a' -- "${path}") || return 1
    [[ ! -L ${path} && ${facts} =~ ^0\ [0-7]*[0145][0145]$ ]] || return 1
  done
}

# one_of_mine: CHOSEN, if there is one; the same bundle in two places is one.
one_of_mine() {
  local index other=''
  CHOSEN=''
  for index in "${!CANDIDATES[@]}"; do
    [[ ${VERDICTS[index]} == mine ]] || continue
    if [[ -z ${CHOSEN} ]]; then
      CHOSEN=${CANDIDATES[index]} other=${DIGESTS[index]}
    elif [[ ${DIGESTS[index]} != "${other}" ]]; then
      die "${EXIT_PREFLIGHT}" "there are two different bundles for this machine: ${CHOSEN} and ${CANDIDATES[index]}" \
        "Take away the one that is not meant." "${TRY_AGAIN}"
    fi
  done
}

# candidates: what was found, a line each, and no more than that whatever the file is called.
candidates() {
  local index
  for index in "${!CANDIDATES[@]}"; do
    printf '  %s %s\n' "${CANDIDATES[index]//[[:cntrl:]]/?}" "${VERDICTS[index]/#mine/is for this machine}"
  done
  [[ -z ${MEDIUM_FAULT} ]] || printf '  %s\n' "${MEDIUM_FAULT}"
}

nothing_found() {
  local -a told=()
  mapfile -t told < <(candidates)
  ((${#CANDIDATES[@]} > 0)) || told+=("There is no *.run at all. There is no bundle under another name either.")
  [[ -z ${SETTING[FOLDER]} || -d ${SETTING[FOLDER]} ]] || told+=("There is no folder ${SETTING[FOLDER]}.")
  if [[ -z ${MEDIUM_FAULT} && -n ${SETTING[MEDIUM_LABEL]} ]]; then
    told+=("${MEDIUM_OF:-No disk}${MEDIUM_OF:+ was looked at (its top folder), which} has the label ${SETTING[MEDIUM_LABEL]}.")
  fi
  die "${EXIT_WRONG_HOST}" "no bundle for this machine ($(host_name)) was found $(places)" "${told[@]}" "${TRY_AGAIN}"
}

# mount_medium: MEDIUM is where the one with our label is mounted, read-only; fails if there is none.
mount_medium() {
  local device=/dev/disk/by-label/${SETTING[MEDIUM_LABEL]} words
  [[ -n ${SETTING[MEDIUM_LABEL]} ]] || return 1
  if [[ ! -b ${device} ]] && have blkid; then
    device=$(blkid --label "${SETTING[MEDIUM_LABEL]}" 2> /dev/null) || device=''
  fi
  if [[ -n ${MEDIUM} && ${device} == "${MEDIUM_OF}" ]]; then
    return 0
  fi
  forget_medium
  MEDIUM_FAULT=''
  [[ -n ${device} && -b ${device} ]] || return 1
  MEDIUM=$(mktemp -d /run/bundlegen-firstboot.XXXXXXXX) || return 1
  if ! words=$(mount -o ro,noexec,nosuid,nodev -- "${device}" "${MEDIUM}" 2>&1); then
    # without the folder's name, which is another each time
    words=${words#"mount: ${MEDIUM}: "}
    words=${words//"${MEDIUM}"/it}
    MEDIUM_FAULT="${device} cannot be mounted: ${words%%$'\n'*}"
    rmdir -- "${MEDIUM}" || true
    MEDIUM=''
    return 1
  fi
  MEDIUM_OF=${device}
}

forget_medium() {
  [[ -n ${MEDIUM} ]] || return 0
  umount -- "${MEDIUM}" 2> /dev/null || umount --lazy -- "${MEDIUM}" || true
  rmdir -- "${MEDIUM}" 2> /dev/null || true
  MEDIUM='' MEDIUM_OF=''
}
