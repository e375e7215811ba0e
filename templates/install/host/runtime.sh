# shellcheck shell=bash
# The container runtime's own configuration, read once: what kind it is, and the settings that matter here. What counts is
# what the runtime that runs was started with; a file in the usual place may be nobody's.

RUNTIME_READ=no
declare -A RUNTIME=()                    # its settings
RUNTIME_FILE=/etc/containerd/config.toml # the file that it was started with
RUNTIME_WORDS=()                         # how it is asked for what is in force; empty if nobody knows

# What of its TOML is needed: key=value, without quotes; the first of each key, of a list all lines; and how many lines there
# are.
# shellcheck disable=SC2016  # awk expands its own fields
readonly RUNTIME_SETTINGS='
  { sub(/^[ \t]+/, ""); key = $0; sub(/[ \t]*=.*/, "", key) }
  /^\[/ { section = $0; next }
  key == "disabled_plugins" { while ($0 !~ /\]/ && (getline more) > 0) $0 = $0 more }
  key == "SystemdCgroup" {
    if (match(section, /\.runtimes\.("[^"]*"|\047[^\047]*\047|[A-Za-z0-9_-]+)/)) {
      name = substr(section, RSTART + 10, RLENGTH - 10); gsub(/["\047]/, "", name)
      if (!(name in driver)) driver[name] = $0
    }
    next
  }
  key == "sandbox" && section !~ /pinned_images/ { next }
  key ~ /^(cgroup_manager|default_runtime_name|disabled_plugins|pause_image|sandbox|sandbox_image)$/ && !(key in seen) {
    seen[key]; value = $0; sub(/^[^=]*=[ \t]*/, "", value); sub(/[ \t]*$/, "", value)
    gsub(/\047/, "\"", value); if (value ~ /^"/) gsub(/"/, "", value)
    print key "=" value
    if (key == "default_runtime_name") chosen = value
  }
  END {
    if (chosen == "") chosen = "runc"
    value = driver[chosen]; sub(/^[^=]*=[ \t]*/, "", value); sub(/[ \t]*(#.*)?$/, "", value)
    print "SystemdCgroup=" value; print "lines=" NR
  }'

# runtime_is containerd|crio
runtime_is() {
  [[ ${CONF[RUNTIME_ENDPOINT]} == *"$1"* ]]
}

# runtime_setting KEY VARIABLE: sets it; to nothing if the configuration says nothing of it.
runtime_setting() {
  local key value
  if [[ ${RUNTIME_READ} == no ]]; then
    RUNTIME_READ=yes
    find_runtime
    while IFS='=' read -r key value; do
      RUNTIME[${key}]=${value}
    done < <(runtime_config | awk "${RUNTIME_SETTINGS}")
  fi
  printf -v "$2" '%s' "${RUNTIME[$1]-}"
}

# find_runtime: which containerd listens on our socket, and with which file was it started? Docker may run one of its own.
find_runtime() {
  local socket=${CONF[RUNTIME_ENDPOINT]#unix://} line pid='' index program=containerd
  local -a words=()
  runtime_is containerd || return 0
  while IFS= read -r line; do
    # systemd may hold the socket as well
    [[ ${line} == *" ${socket} "* || ${line} == *" $(readlink -f -- "${socket}" || true) "* ]] || continue
    [[ ! ${line} =~ \"containerd\",pid=([1-9][0-9]{0,9}), ]] || pid=${BASH_REMATCH[1]}
  done < <(ss -H -l -x -p 2> /dev/null || true)
  if [[ -n ${pid} ]] && mapfile -d '' -t words 2> /dev/null < "/proc/${pid}/cmdline" && ((${#words[@]} > 0)); then
    [[ ${words[0]} != /* || ! -x ${words[0]} ]] || program=${words[0]}
    RUNTIME_WORDS=("${program}")
    for index in "${!words[@]}"; do
      case ${words[index]} in
        --config=/* | -c=/*) RUNTIME_FILE=${words[index]#*=} ;;
        --config | -c) [[ ${words[index + 1]-} != /* ]] || RUNTIME_FILE=${words[index + 1]} ;;
        *) continue ;;
      esac
      RUNTIME_WORDS=("${program}" --config "${RUNTIME_FILE}")
    done
  elif [[ -f ${RUNTIME_FILE} ]]; then
    RUNTIME_WORDS=("${program}")
  fi
}

# runtime_config: as the runtime itself sees it; what it does not show, as it is written. containerd 1.4 leaves the runtimes' options
# out.
runtime_config() {
  local shown
  if runtime_is containerd; then
    ((${#RUNTIME_WORDS[@]} > 0)) || return 0
    shown=$("${RUNTIME_WORDS[@]}" config dump 2> /dev/null) || shown=''
    [[ -z ${shown} ]] || printf '%s\n' "${shown}"
    [[ ${shown} == *SystemdCgroup* ]] || cat -- "${RUNTIME_FILE}" 2> /dev/null || true
  elif runtime_is crio; then
    crio config 2> /dev/null || true
  fi
}
