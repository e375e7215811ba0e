# shellcheck shell=bash
# The plan: what install would change on this host. Texts as a diff, keys and certificates as fingerprints.

PLANNED=0
PLANNED_KUBELET=no # would a file change that kubelet reads when it starts?

planned() {
  PLANNED=$((PLANNED + 1))
  say "$1"
}

do_plan() {
  local index
  local -a differing=()
  if goes; then
    say "This host's member leaves ${CONF[CLUSTER]}: etcd stops, its data is moved aside, and what bundlegen has put here is taken away."
    say "Nothing has been changed now."
    return 0
  fi
  look_at "${ENTRY_PATH[@]/#/"${ROOT}"}"
  for index in "${!ENTRY_PATH[@]}"; do
    ! is_placed "${index}" || is_wanted "${ENTRY_PATH[index]}" "${ENTRY_MODE[index]}" "${ENTRY_OWNER[index]}" "${ENTRY_SHA[index]}" \
      || differing+=("${index}")
  done
  for index in ${differing[@]+"${differing[@]}"}; do
    plan_file "${index}"
  done
  [[ -n ${ROOT} ]] || ! does start_kubelet || plan_system
  if ((PLANNED == 0)); then
    say "Nothing would change: this bundle is installed."
  else
    say "${PLANNED} changes in all. Nothing has been changed now."
  fi
}

# does STEP: is it one of this operation's?
does() {
  local step
  while read -r _ step; do
    [[ ${step} != "$1" ]] || return 0
  done < <("${CONF[OPERATION]}_steps")
  return 1
}

plan_file() {
  local path=${ENTRY_PATH[$1]} facts new sum
  payload_file "${path}" new
  looked_up "${ROOT}${path}" sha256 sum
  effect_of "${path}"
  if [[ ! -e ${ROOT}${path} ]]; then
    planned "new      ${path} (${ENTRY_MODE[$1]} ${ENTRY_OWNER[$1]})"
  elif [[ ${sum} == "${ENTRY_SHA[$1]}" ]]; then
    facts=$(stat -c '%04a %U:%G' -- "${ROOT}${path}")
    planned "mode     ${path}: ${facts} becomes ${ENTRY_MODE[$1]} ${ENTRY_OWNER[$1]}"
    return 0
  else
    planned "replace  ${path} (${ENTRY_MODE[$1]} ${ENTRY_OWNER[$1]}); the old one is kept; ${EFFECT_WORDS[${EFFECT}]}"
  fi
  [[ ${EFFECT} != kubelet ]] || PLANNED_KUBELET=yes
  plan_content "${ROOT}${path}" "${new}"
}

# plan_content OLD NEW
plan_content() {
  case $2 in
    *.key)
      if [[ ! -f $2 ]]; then
        say "         + private key; sealed"
        return 0
      fi
      [[ ! -e $1 ]] || say "         - $(key_fingerprint "$1")"
      say "         + $(key_fingerprint "$2")"
      ;;
    *.crt)
      [[ ! -e $1 ]] || say "         - $(certificate_line "$1")"
      say "         + $(certificate_line "$2")"
      ;;
    *) text_diff "$1" "$2" ;;
  esac
}

# key_fingerprint FILE: of the public half, so that nothing secret is shown.
key_fingerprint() {
  local digest
  digest=$(openssl pkey -in "$1" -pubout -outform DER 2> /dev/null | sha256sum) || digest='unreadable'
  printf 'private key; its public key has SHA-256 %s' "${digest%% *}"
}

# certificate_line FILE: fingerprints look as in the change record.
certificate_line() {
  local text fingerprint
  text=$(openssl x509 -in "$1" -noout -subject -enddate -fingerprint -sha256 2> /dev/null) || {
    printf 'not a certificate'
    return 0
  }
  fingerprint=${text##*=}
  fingerprint=${fingerprint//:/}
  text=${text%$'\n'*}
  printf '%s; SHA-256 fingerprint %s' "${text//$'\n'/; }" "${fingerprint,,}"
}

# text_diff OLD NEW: the lines that go and come.
text_diff() {
  { diff --text --new-file --unified=0 -- "$1" "$2" || true; } \
    | awk 'NR > 2 && /^[-+]/ { gsub(/[^[:print:]]/, "?"); print "         " substr($0, 1, 1) " " substr($0, 2) }'
}

# plan_system: what is not a file.
plan_system() {
  local archive
  while read -r archive; do
    planned "import   ${archive} into the container runtime"
  done < <(carried_archives)
  if [[ ${CONF[MANIFEST_MODE]} == kubeadm ]] && ! manifest_in_place; then
    planned "run      kubeadm init phase etcd local --config ${CONF[KUBEADM_CONFIG]} (writes ${CONF[STATIC_POD_MANIFEST]})"
  fi
  [[ -d ${CONF[DATA_DIR]} ]] || planned "new      ${CONF[DATA_DIR]} (0700 root:root)"
  starts_at_boot || planned "enable   kubelet (now: $(kubelet_enabled))"
  if [[ ${PLANNED_KUBELET} == yes || $(kubelet_active) != active ]]; then
    planned "restart  kubelet (now: $(kubelet_active))"
  fi
}
