# shellcheck shell=bash
# The preflight: every check runs, each with a name and one line; all failures are reported at once.

# What every operation checks first, in order: the machine and what runs on it.
readonly HOST_CHECKS=(root tools architecture systemd hostname kubelet kubeadm kubelet-flags kubelet-files runtime cri
  cgroup-driver cgroup-version swap ports clock openssl images sandbox-image image-file disk backup trust)
readonly NEVER_IGNORED=' root ca data-dir member-data newcomer joining leaving gone replaceable unfinished quorum chains control-planes downtime snapshot stopped adoptable '

# all_checks: the checks of every operation, each once, with a space after it.
all_checks() {
  local operation name
  local -A once=()
  for operation in "${OPERATIONS[@]}"; do
    while read -r name; do
      [[ -n ${once[${name}]-} ]] || printf '%s ' "${name}"
      once[${name}]=yes
    done < <("${operation}_checks")
  done
}

# may_ignore NAME: --ignore takes the checks of the operations, or those of hygiene, but not NEVER_IGNORED.
may_ignore() {
  local checks
  if [[ ${VERB} == hygiene ]]; then
    checks=$(hygiene_checks)
    checks="${checks//$'\n'/ } "
  else
    checks=$(all_checks)
  fi
  [[ " ${checks}" == *" $1 "* ]] || bad_usage "--ignore knows no check \"$1\"; there are: ${checks% }"
  [[ ${NEVER_IGNORED} != *" $1 "* ]] \
    || bad_usage "the check $1 protects this host from harm and cannot be ignored"
}

# preflight: runs those of this operation.
preflight() {
  local name
  local -a names
  clear_verdicts
  mapfile -t names < <("${CONF[OPERATION]}_checks")
  for name in "${names[@]}"; do
    "check_${name//-/_}"
  done
}

# running: is this about the running system? With --root most checks have nothing to look at.
running() {
  [[ -z ${ROOT} ]]
}

# placed_by_us PATH: did an install of this cluster's bundle put the file there as it is? Either the installed
# bundle or this one says so.
placed_by_us() {
  local sum installed
  sum=$(sha256 "${ROOT}$1") || return 1
  [[ -n ${ENTRY_OF[$1]+x} && ${ENTRY_SHA[${ENTRY_OF[$1]}]} == "${sum}" ]] && return 0
  [[ -f ${STATE}/bundle/MANIFEST ]] || return 1
  read_text "${STATE}/bundle/MANIFEST" installed
  [[ ${installed} == *" ${sum} $1"$'\n'* ]]
}

# own_member: does this host already run the member that this bundle installs?
own_member() {
  local key installed
  [[ -f ${STATE}/bundle/bundle.conf ]] || return 1
  read_text "${STATE}/bundle/bundle.conf" installed
  for key in CLUSTER HOST INITIAL_CLUSTER_TOKEN; do
    # a restored cluster has a token of its own
    [[ ${key} != INITIAL_CLUSTER_TOKEN || ${CONF[OPERATION]} != restore ]] || continue
    [[ $'\n'${installed} == *$'\n'"${key}='${CONF[${key}]}'"$'\n'* ]] || return 1
  done
}

# right_host: the guard before everything else. Nothing is touched on another host.
right_host() {
  local id
  id=$(machine_id)
  if [[ -n ${CONF[MACHINE_ID]} && ${id} != "${CONF[MACHINE_ID]}" ]]; then
    die "${EXIT_WRONG_HOST}" "this is not ${CONF[HOST]}: its machine-id is ${id:-missing}, the bundle is for ${CONF[MACHINE_ID]}" \
      "Nothing was changed. Run this bundle on ${CONF[HOST]}, or this host's own bundle here."
  fi
  running || return 0
  has_address "${CONF[ADDRESS]}" \
    || die "${EXIT_WRONG_HOST}" "this is not ${CONF[HOST]}: no interface here has its address ${CONF[ADDRESS]} (this host is called $(host_name))" \
      "Nothing was changed. Run this bundle on ${CONF[HOST]}, or this host's own bundle here." \
      "If this is the right host, bring its network up first."
}

preflight_json() {
  json '{"format": 1, "cluster": %s, "host": %s, ' "${CONF[CLUSTER]}" "${CONF[HOST]}"
  printf '"exitCode": %d, "checks": ' "$1" && verdicts_json && printf '}\n'
}

do_preflight() {
  local code=0
  find_pieces
  preflight
  ((FAILED == 0)) || code=${EXIT_PREFLIGHT}
  if [[ ${JSON} == yes ]]; then
    preflight_json "${code}"
  else
    print_verdicts
    if ((FAILED > 0)); then
      say "${FAILED} checks failed: this bundle would not install here. Nothing was changed."
    else
      say "This host is ready for this bundle. Nothing was changed."
    fi
  fi
  exit "${code}"
}

# must_pass: the preflight of an install.
must_pass() {
  preflight
  print_trouble
  ((FAILED == 0)) || die "${EXIT_PREFLIGHT}" "${FAILED} preflight checks failed; nothing was changed" \
    "Correct what they say and run this again; \`--ignore NAME\` makes one only warn."
}
