# shellcheck shell=bash
# renew: new keys and certificates under the same CA. etcd reads them at each handshake, so nothing is restarted: what
# is proven is that it shows the new ones, on both of its ports, and accepts them.

readonly PROOF_SECONDS=30 # for etcd that runs to show them; it needs none

renew_checks() {
  printf '%s\n' root tools systemd clock openssl disk history configuration ca data-dir member-data destinations leftovers unfinished selinux
}

renew_steps() {
  printf '%s\n' \
    'place place_files' \
    'place tell_systemd' \
    'place place_copy'
}

# renew_places PATH: only what nothing has to be restarted for.
renew_places() {
  effect_of "$1"
  [[ ${EFFECT} == none ]]
}

renew_in_place() {
  true
}

renew_peers() {
  valid_peers
}

renew_waiting() {
  printf 'run with valid certificates so far; etcd serves'
}

# renew_healthy MINIMUM: a member that did not serve before (`waiting`) need not now: others may have to be renewed first.
renew_healthy() {
  running || return 0
  say "Asking etcd for the new certificates (at most ${SECONDS_TO_WAIT} s) ..."
  await_shown
  ! lived || same_etcd || warn "etcd was restarted while this ran, and not by this run"
  await_install "$1" && return 0
  [[ $1 == waiting ]] || not_healthy
  warn "etcd shows the new certificates; it did not serve before this run, and does not now: ${REASON}"
}

# check_ca: what the new certificates are signed by must be what everybody here trusts.
check_ca() {
  local path=${CONF[PKI_DIR]}/etcd/ca.crt sum
  sum=$(sha256 "${ROOT}${path}") || sum=''
  if [[ -z ${sum} ]]; then
    verdict ca failed "${path} is missing" "Run the bundle of ${CONF[AFTER_CHANGE]:-create} again: it puts it back."
  elif [[ ${sum} != "${ENTRY_SHA[${ENTRY_OF[${path}]}]}" ]]; then
    verdict ca failed "${path} is another CA than this bundle's: nobody here would trust the new certificates" \
      "Was this bundle made from this cluster's store? Compare: openssl x509 -noout -fingerprint -sha256 -in ${path}"
  else
    verdict ca ok "the CA here is the one that signed the new certificates"
  fi
}

# check_configuration: after check_history. What etcd and kubelet read when they start is not placed by this operation.
check_configuration() {
  local index left=''
  WANTED=()
  for index in "${!ENTRY_PATH[@]}"; do
    [[ ${ENTRY_PATH[index]} != /* || ${ENTRY_PATH[index]} == "${CONF[PKI_DIR]}"/* ]] || is_placed "${index}" || want_entry "${index}"
  done
  look_at_wanted
  for ((index = 0; index < ${#WANTED[@]}; index += 5)); do
    is_wanted "${WANTED[@]:index:4}" || left+=" ${WANTED[index]}"
  done
  if [[ -z ${left} ]]; then
    verdict configuration ok "what etcd and kubelet read when they start is as this bundle has it"
  elif [[ -n ${MADE_UP} ]]; then
    verdict configuration failed "a change before this one did not run here (the last one is ${MADE_UP}), and its files are not renewed with the certificates:${left}" \
      "Run that bundle first. If that cannot be, --ignore configuration renews keys and certificates alone."
    MADE_UP=''
  else
    verdict configuration warning "these files are not as this bundle has them, and are left as they are:${left}" \
      "Only keys and certificates are renewed."
  fi
}

# tell_systemd: of units that came with another bundlegen; kubelet's is not among them.
tell_systemd() {
  running && [[ " ${INSTALLED[*]-}" == *' /etc/systemd/system/'* ]] || return 0
  systemctl daemon-reload || warn "systemctl daemon-reload failed"
}

# same_etcd: is what runs now what ran before?
same_etcd() {
  local etcd
  while read -r etcd; do
    [[ ${RAN_BEFORE} == *" ${etcd} "* ]] || return 1
  done < <(each_etcd)
}

# await_shown: until etcd shows the certificates that are on the disk now. What runs must do so soon.
await_shown() {
  local start=${SECONDS} since='' why
  start_progress
  while why=$(not_shown); do
    # nothing shown at all: etcd is not there at the moment
    [[ ${why} != nothing* ]] && since=${since:-${SECONDS}} || since=''
    if ((SECONDS - start >= SECONDS_TO_WAIT)) || [[ -n ${since} && $((SECONDS - ${since:-0})) -ge ${PROOF_SECONDS} ]]; then
      end_progress
      die "${EXIT_FAILED}" "etcd does not use the new certificates: ${why}" "etcd's log: /var/log/pods/kube-system_etcd-*/etcd/"
    fi
    progress "$((SECONDS - start))" "${why}"
    sleep 1
  done
  end_progress
  say "  etcd shows the new certificates on ports ${CONF[CLIENT_PORT]} and ${CONF[PEER_PORT]}, and accepts them"
}

# not_shown: fails if etcd shows the new certificates and accepts them; else says what is not so. Without a leader etcd
# may not answer on its client port at all, until it has one.
not_shown() {
  local pki=${CONF[PKI_DIR]}/etcd port name wanted found state=0
  for name in peer server; do
    port=${CONF[PEER_PORT]}
    [[ ${name} == peer ]] || port=${CONF[CLIENT_PORT]}
    wanted=$(serial_of < "${pki}/${name}.crt")
    found=$(shown "${CONF[ADDRESS]}" "${port}" | serial_of)
    [[ ${found} != "${wanted}" ]] || continue
    if [[ -n ${found} ]]; then
      printf 'on port %s it shows serial %s, and not %s' "${port}" "${found}" "${wanted}"
      return 0
    fi
    probe_local || state=$?
    [[ ${name} == server && ${state} == 1 ]] || {
      printf 'nothing answers on port %s' "${port}"
      return 0
    }
  done
  peer_accepts && return 1
  printf 'port %s does not accept the new client certificate' "${CONF[PEER_PORT]}"
}
