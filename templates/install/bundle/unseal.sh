# shellcheck shell=bash
# Sealed keys: opened with this host's unlock code, into memory-backed storage and nowhere else. The code comes
# from a file, standard input or the terminal; never from an argument or the environment, where others could see it.

UNLOCK_FILE='' # --unlock-file
OPENED=''      # the folder of the opened keys, laid out like the host

readonly SEALED_LEAST=32 SEALED_MOST=16384 # bytes

readonly CODE_CHARACTERS=0123456789ABCDEFGHJKMNPQRSTVWXYZ

# sealed PATH: is this file carried in its encrypted form alone?
sealed() {
  [[ ${CONF[SEALED]} == yes && $1 == /* && -n ${ENTRY_OF[sealed$1]+x} ]]
}

# check_sealed: a bundle seals every key or none, and what is sealed looks so: as openssl writes it, and as long as a key.
check_sealed() {
  local path index size start
  local -a keys=() sizes
  [[ ${CONF[SEALED]} == yes ]] || return 0
  for path in "${ENTRY_PATH[@]}"; do
    [[ ${path} == /*.key ]] || continue
    sealed "${path}" || damaged "it says that its keys are sealed, and ${path} is not"
    keys+=("${path}")
  done
  mapfile -t sizes < <(stat -c %s -- "${keys[@]/#/"${HERE}/sealed"}" 2> /dev/null || true)
  for index in "${!keys[@]}"; do
    IFS= read -r -N 8 start < "${HERE}/sealed${keys[index]}" || true
    number size "${sizes[index]-}" || true
    [[ ${start} == Salted__ ]] || size=0
    ((size % 16 == 0 && size >= SEALED_LEAST && size <= SEALED_MOST)) \
      || damaged "sealed${keys[index]} is no sealed key"
  done
}

# open_keys: from here on payload_file has every key. Nothing on the host has been changed before.
open_keys() {
  [[ ${CONF[SEALED]} == yes ]] && ! files_in_their_places || return 0
  make_opened
  if [[ -n ${UNLOCK_FILE} ]]; then
    find_code < "${UNLOCK_FILE}" || no_code "${UNLOCK_FILE} is empty"
    open_with "${CODE}" || wrong_code
  elif [[ ! -t 0 ]] && find_code; then
    open_with "${CODE}" || wrong_code
  else
    ask_code
  fi
}

readonly CODE_LENGTH=27
readonly CODE_LINES=10000 # of a file with more, the rest is not looked at

CODE='' # what find_code has found

# find_code: sets CODE to what comes after this host's name on a line of standard input, as `bundlegen unlock-codes` lists
# them; otherwise to the first line as long as a code; otherwise to the first line. Fails if there are only blank lines.
# Editors, chats and other systems put characters before, between and after those of a code; none of them is a letter or a
# digit, and read leaves out the NULs of UTF-16.
find_code() {
  local line letters first='' count named="^[^A-Za-z0-9]*${CONF[HOST]//./[.]}[^A-Za-z0-9.-]+(.*)\$"
  CODE=''
  for ((count = 0; count < CODE_LINES; count++)); do
    IFS= read -r -n 4096 line || [[ -n ${line} ]] || break
    if [[ ${line} =~ ${named} ]]; then
      CODE=${BASH_REMATCH[1]}
      return 0
    fi
    letters=${line//[^A-Za-z0-9]/}
    if ((${#letters} == CODE_LENGTH)); then
      CODE=${line}
      return 0
    fi
    [[ -n ${first} || -z ${letters} ]] || first=${line}
  done
  CODE=${first}
  [[ -n ${CODE} ]]
}

# ask_code: on the terminal, until it is right or the operator gives up.
ask_code() {
  local code attempt
  { : < /dev/tty; } 2> /dev/null || no_code "there is no terminal to ask for it"
  for attempt in 1 2 3; do
    printf 'Unlock code of %s: ' "${CONF[HOST]}" > /dev/tty
    IFS= read -r code < /dev/tty || no_code "none was given"
    ! open_with "${code}" || return 0
    ((attempt == 3)) || warn "that is not the unlock code of ${CONF[HOST]}: ${WRONG}; once more"
  done
  wrong_code
}

no_code() {
  die "${EXIT_USAGE}" "the keys in this bundle are sealed and need the unlock code of ${CONF[HOST]}: $1" \
    "Give it on the terminal, on standard input, or with --unlock-file FILE. Nothing was changed."
}

wrong_code() {
  die "${EXIT_USAGE}" "that is not the unlock code of ${CONF[HOST]}: ${WRONG}" \
    "Nothing was changed. Try again as often as you like; \`bundlegen unlock-codes ${CONF[CLUSTER]}\` shows it where the bundle was made."
}

# make_opened: a private folder in memory; swept like the unpacked bundle if this run is killed.
make_opened() {
  local folder
  at_exit forget_keys
  for folder in /dev/shm /run; do
    [[ -w ${folder} && $(stat -f -c %T -- "${folder}" 2> /dev/null) == @(tmpfs|ramfs) ]] || continue
    OPENED=$(mktemp -d "${folder}/bundlegen-unpack.$$.XXXXXXXX") && return 0
  done
  die "${EXIT_PREFLIGHT}" "neither /dev/shm nor /run is in memory, so sealed keys cannot be opened safely" \
    "Mount a tmpfs at /dev/shm. Nothing was changed."
}

forget_keys() {
  [[ -z ${OPENED} ]] || rm -rf -- "${OPENED}"
  OPENED=''
}

WRONG='' # why a code does not open

# plain_code TEXT: sets PLAIN to the 26 characters that open; fails with WRONG set if the check character does not fit.
plain_code() {
  local text=${1//[^A-Za-z0-9]/} before sum=0 index
  text=${text^^}
  text=${text//O/0}
  text=${text//[IL]/1}
  WRONG="it has ${#text} letters and digits, and a code has ${CODE_LENGTH}"
  ((${#text} == CODE_LENGTH)) || return 1
  WRONG='it has a slip (its check character does not fit), so compare each group'
  [[ ${text} != *[!"${CODE_CHARACTERS}"]* ]] || return 1
  # a polynomial over GF(32), x^5 + x^2 + 1: zero if every character is right and in its place
  for ((index = 0; index < CODE_LENGTH; index++)); do
    before=${CODE_CHARACTERS%%"${text:index:1}"*}
    sum=$(((sum << 1) ^ ((sum & 16) > 0 ? 37 : 0) ^ ${#before}))
  done
  ((sum == 0)) || return 1
  PLAIN=${text:0:CODE_LENGTH-1}
}

# open_with CODE: every sealed key opened and checked against MANIFEST. What is encrypted has been verified
# before, so a failure means another code.
open_with() {
  local PLAIN='' index path
  plain_code "$1" || return 1
  WRONG="it is a code without a slip, but another host's or another cluster's"
  for index in "${!ENTRY_PATH[@]}"; do
    path=${ENTRY_PATH[index]}
    sealed "${path}" || continue
    mkdir -p -- "${OPENED}${path%/*}" || return 1
    openssl enc -d -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass fd:3 -in "${HERE}/sealed${path}" \
      -out "${OPENED}${path}" 3< <(printf '%s\n' "${PLAIN}") 2> /dev/null || return 1
    [[ $(sha256 "${OPENED}${path}") == "${ENTRY_SHA[index]}" ]] || return 1
  done
}
