# shellcheck shell=bash
# Which configuration an image's manifest names. A manifest is JSON from outside, in which anything may stand beside that.

readonly MANIFEST_BYTES=65536
# as `uname -m` calls machines, and as images do
readonly ARCHITECTURES=' x86_64:amd64 aarch64:arm64 ppc64le:ppc64le s390x:s390x riscv64:riscv64 armv6l:arm armv7l:arm armv8l:arm '

# content DIGEST VARIABLE: sets it to what containerd has under this digest; fails without it, and where it is no manifest's size.
content() {
  local given=''
  IFS= read -r -d '' -n "${MANIFEST_BYTES}" given < <(ctr --address "${CONF[RUNTIME_ENDPOINT]#unix://}" --namespace k8s.io content get "$1" 2> /dev/null) || true
  [[ -n ${given} ]] && ((${#given} < MANIFEST_BYTES)) && printf -v "$2" '%s' "${given}"
}

STRINGS=() # "PATH VALUE" of each string: keys in small letters and numbers in lists, joined by dots

# json_strings TEXT: fills STRINGS; fails for what is no JSON, or has a key that could be written in another way.
json_strings() {
  local rest=$1 token depth=0 last='' path index
  local -a keys=('') kinds=('') places=(0)
  local string='"([^"\\]|\\.)*"'
  STRINGS=()
  while [[ ${rest} =~ ^[[:space:]]*(${string}|[][{}:,]|[-+.0-9A-Za-z]+) ]]; do
    token=${BASH_REMATCH[1]}
    rest=${rest:${#BASH_REMATCH[0]}}
    case ${token} in
      '{' | '[')
        depth=$((depth + 1))
        keys[depth]=0 kinds[depth]=${token} places[depth]=0 last=''
        ;;
      '}' | ']' | ,)
        if [[ -n ${last} ]]; then
          path=''
          for ((index = 1; index <= depth; index++)); do path+=".${keys[index]}"; done
          STRINGS+=("${path#.} ${last:1:${#last}-2}")
        fi
        last=''
        if [[ ${token} != , ]]; then
          depth=$((depth - 1))
        elif [[ ${kinds[depth]} == '[' ]]; then
          places[depth]=$((places[depth] + 1))
          keys[depth]=${places[depth]}
        fi
        ((depth >= 0)) || return 1
        ;;
      :)
        [[ ${kinds[depth]} == '{' && ${last} != *[.\\\ ]* && -n ${last} ]] || return 1
        # Go takes a key for its field whatever the case of its letters
        last=${last,,}
        keys[depth]=${last:1:${#last}-2} last=''
        ;;
      '"'*) last=${token} ;;
      *) last='' ;;
    esac
  done
  [[ ! ${rest} =~ [^[:space:]] ]] && ((depth == 0))
}

# one_string PATH VARIABLE: sets it to the value of the only string there; fails for none, and for several.
one_string() {
  local string found='' count=0
  for string in ${STRINGS[@]+"${STRINGS[@]}"}; do
    [[ ${string} == "$1 "* ]] || continue
    found=${string#* } count=$((count + 1))
  done
  ((count == 1)) && printf -v "$2" '%s' "${found}"
}

# has_id DIGEST ID [DEPTH]: is this the manifest of the image with this configuration? Of an index, every one for this machine.
has_id() {
  local text configuration string machine part found=no depth=${3:-3}
  local -A digests=() others=()
  ((depth > 0)) && content "$1" text && json_strings "${text}" || return 1
  if one_string config.digest configuration; then
    [[ ${configuration} == "$2" ]]
    return
  fi
  machine=$(uname -m)
  for string in ${STRINGS[@]+"${STRINGS[@]}"}; do
    if [[ ${string} =~ ^manifests\.([0-9]+)\.digest\ (sha256:[0-9a-f]{64})$ ]]; then
      digests[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
    elif [[ ${string} =~ ^manifests\.([0-9]+)\.platform\.architecture\ (.*)$ ]]; then
      [[ ${ARCHITECTURES} == *" ${machine}:${BASH_REMATCH[2]} "* ]] || others[${BASH_REMATCH[1]}]=yes
    fi
  done
  for part in "${!digests[@]}"; do
    [[ -z ${others[${part}]-} ]] || continue
    has_id "${digests[${part}]}" "$2" "$((depth - 1))" || return 1
    found=yes
  done
  [[ ${found} == yes ]]
}
