# shellcheck shell=bash
# The container runtime's own configuration, read once: what kind it is, and the settings that matter here.

RUNTIME_READ=no
declare -A RUNTIME=() # its settings

# What of its TOML is needed: key=value, without quotes; the first of each key, of a list all lines; and how many lines there
# are.
# shellcheck disable=SC2016  # awk expands its own fields
readonly RUNTIME_SETTINGS='
  { sub(/^[ \t]+/, ""); key = $0; sub(/[ \t]*=.*/, "", key) }
  /^\[/ { section = $0; next }
  key == "disabled_plugins" { while ($0 !~ /\]/ && (getline more) > 0) $0 = $0 more }
  key == "SystemdCgroup" && section !~ /runtimes\.runc/ { next }
  key == "sandbox" && section !~ /pinned_images/ { next }
  key ~ /^(SystemdCgroup|cgroup_manager|disabled_plugins|pause_image|sandbox|sandbox_image)$/ && !(key in seen) {
    seen[key]; value = $0; sub(/^[^=]*=[ \t]*/, "", value); sub(/[ \t]*$/, "", value)
    gsub(/\047/, "\"", value); if (value ~ /^"/) gsub(/"/, "", value)
    print key "=" value
  }
  END { print "lines=" NR }'

# runtime_is containerd|crio
runtime_is() {
  [[ ${CONF[RUNTIME_ENDPOINT]} == *"$1"* ]]
}

# runtime_setting KEY VARIABLE: sets it; to nothing if the configuration says nothing of it.
runtime_setting() {
  local key value
  if [[ ${RUNTIME_READ} == no ]]; then
    RUNTIME_READ=yes
    while IFS='=' read -r key value; do
      RUNTIME[${key}]=${value}
    done < <(runtime_config | awk "${RUNTIME_SETTINGS}")
  fi
  printf -v "$2" '%s' "${RUNTIME[$1]-}"
}

# runtime_config: as the runtime itself sees it; otherwise as it is written.
runtime_config() {
  if runtime_is containerd; then
    containerd config dump 2> /dev/null || cat /etc/containerd/config.toml 2> /dev/null || true
  elif runtime_is crio; then
    crio config 2> /dev/null || true
  fi
}
