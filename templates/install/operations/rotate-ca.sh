# shellcheck shell=bash
# rotate-ca: another CA. Round 1 is renew, with certificates of the new CA that are followed by the cross certificate; in round 2
# hosts trust the new CA alone, which etcd reads when it starts. Or all of it at once, while the cluster does not serve.

PLANES_READY=no # --control-planes-ready
DOWNTIME=no     # --accept-downtime

# takes_ca: does this run change what etcd trusts, so that it restarts?
takes_ca() {
  [[ ${CONF[CA_ROUND]} != 1 ]]
}

rotate-ca_checks() {
  if takes_ca; then
    printf '%s\n' "${HOST_CHECKS[@]}" history data-dir member-data destinations leftovers drop-ins unfinished
    if [[ ${CONF[CA_ROUND]} == 2 ]]; then
      printf '%s\n' chains control-planes quorum other-members leader selinux peers
    else
      printf '%s\n' downtime selinux peers
    fi
  else
    renew_checks
  fi
}

rotate-ca_steps() {
  takes_ca || {
    renew_steps
    return 0
  }
  printf '%s\n' \
    'place snapshot_before_restart' \
    'place place_files' \
    'place place_copy' \
    'images import_images' \
    'start reload_units' \
    'start still_kept' \
    'start place_pod' \
    'start start_kubelet' \
    'start expect_restart'
}

rotate-ca_places() {
  takes_ca || renew_places "$1"
}

rotate-ca_in_place() {
  ! takes_ca || create_in_place
}

# at_once: is this the run in which members of the old CA and of the new one refuse each other?
at_once() {
  [[ ${CONF[CA_ROUND]} == now && ${VERB} == install ]]
}

# rotate-ca_peers: who does not accept this member does not count.
rotate-ca_peers() {
  if at_once; then
    count_new_chains
  elif takes_ca; then
    create_peers
  else
    valid_peers
  fi
}

rotate-ca_waiting() {
  if at_once; then
    printf 'show certificates of the new CA so far; etcd serves'
  elif takes_ca; then
    create_waiting
  else
    renew_waiting
  fi
}

rotate-ca_healthy() {
  local minimum=$1
  if takes_ca; then
    [[ ${CONF[CA_ROUND]} == 2 ]] || minimum=waiting
    confirm_health "${minimum}"
  else
    renew_healthy "${minimum}"
  fi
}

NOT_NEW='' # why a member does not show a certificate of the new CA

# shows_new_chain ADDRESS: does it, on both of its ports? The CA in this bundle is the new one.
shows_new_chain() {
  local port text ca
  payload_file "${CONF[PKI_DIR]}/etcd/ca.crt" ca
  for port in "${CONF[CLIENT_PORT]}" "${CONF[PEER_PORT]}"; do
    text=$(peer_tls "$1" "${port}" -CAfile "${ca}" < /dev/null) || true
    if [[ ${text} != *'Server certificate'* ]]; then
      NOT_NEW="shows none on port ${port}"
      return 1
    elif [[ ${text} != *'Verify return code: 0 (ok)'* ]]; then
      NOT_NEW="shows one of another CA on port ${port}"
      return 1
    fi
  done
}

# count_new_chains: how many other members do.
count_new_chains() {
  local member count=0
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} == "${CONF[HOST]}" ]] || ! shows_new_chain "${member#*=}" || count=$((count + 1))
  done
  printf '%d' "${count}"
}

# check_chains: only when all members show certificates of the new CA may one of them stop to trust the old one. An interrupted run has
# seen that, and may have stopped the etcd of this host.
check_chains() {
  local member missing=''
  running || return 0
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} != "${CONF[HOST]}" ]] || ! interrupted || continue
    shows_new_chain "${member#*=}" || missing+=" ${member%%=*} (${member#*=}) ${NOT_NEW};"
  done
  if [[ -n ${missing} ]]; then
    verdict chains failed "all members must show certificates of the new CA before one of them trusts that alone, and not all do:${missing%;}" \
      "Run the bundle of ${CONF[REQUIRED_CHANGE]} on these hosts first; where it has run, ask bundlegen-health there."
  else
    verdict chains ok "all members show certificates of the new CA on both ports"
  fi
}

# check_control_planes: API servers cannot be seen from here, so who runs this says that they have their new pair.
check_control_planes() {
  if [[ ${PLANES_READY} == yes ]]; then
    verdict control-planes ok "confirmed: control planes have their pair of the new CA"
  else
    verdict control-planes failed "this member refuses clients of the old CA from its restart on, and nobody has confirmed that control planes have their new pair" \
      "Give them what is in control-plane/ of ${CONF[REQUIRED_CHANGE]}, as its CHANGE.md says; then add: -- --control-planes-ready"
  fi
}

# check_downtime: members of the old CA and of the new one refuse each other.
check_downtime() {
  if [[ ${DOWNTIME} == yes ]]; then
    verdict downtime ok "confirmed: the cluster does not serve until a quorum of hosts has run this change"
  else
    verdict downtime failed "THE CLUSTER DOES NOT SERVE WHILE THIS CHANGE IS CARRIED OUT, and nobody has confirmed that" \
      "If its CA's key is known to others, and it cannot wait for two rounds: add -- --accept-downtime"
  fi
}

TURNED='' # who would refuse this member's certificates from before

# turned FOLDER...: would undoing these bring back certificates that a member does not accept any more?
turned() {
  local member fresh pki=${CONF[PKI_DIR]}/etcd path
  local -a old=()
  TURNED=''
  running && (($# > 0)) || return 1
  read_earlier "$@"
  # with its CA, a member takes back what it had
  [[ -z ${EARLIER[${pki} / ca.crt]-} ]] || return 1
  for path in "${pki}/ca.crt" "${pki}"/healthcheck-client.{crt,key}; do
    fresh=${EARLIER[${path}]:-${path}}
    [[ -f ${fresh} ]] || return 1
    old+=("${fresh}")
  done
  [[ ${old[1]} != "${pki}"/* ]] || return 1
  for member in ${CONF[MEMBERS]}; do
    if [[ ${member%%=*} != "${CONF[HOST]}" ]] && client_ask "${member#*=}" GET /health; then
      TLS_FILES=("${old[@]}")
      client_ask "${member#*=}" GET /health || TURNED+=" ${member%%=*}"
      use_host_keys
    fi
  done
  [[ -n ${TURNED} ]]
}
