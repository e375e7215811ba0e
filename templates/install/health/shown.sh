# shellcheck shell=bash
# Which certificates members show, on either port. They are asked with this member's own pair.

# peer_tls ADDRESS PORT [WORD...]: a TLS connection as a member makes it; what is sent comes from standard input.
peer_tls() {
  local pki=${CONF[PKI_DIR]}/etcd
  with_chain "${pki}/peer.crt"
  timeout "${HTTP_SECONDS}" openssl s_client -connect "$(bracketed "$1"):$2" -CAfile "${pki}/ca.crt" \
    -cert "${pki}/peer.crt" -key "${pki}/peer.key" ${CHAIN[@]+"${CHAIN[@]}"} "${@:3}" 2> /dev/null
}

# shown ADDRESS PORT: the certificate that is shown there, valid or not; nothing if none is.
shown() {
  peer_tls "$1" "$2" < /dev/null | openssl x509 2> /dev/null || true
}

# serial_of: of the certificate on standard input; nothing if it is none.
serial_of() {
  local line
  line=$(openssl x509 -noout -serial 2> /dev/null) || return 0
  printf '%s' "${line#serial=}"
}

# shows_expired ADDRESS: does this member show its peers a certificate that has expired?
shows_expired() {
  local certificate
  certificate=$(shown "$1" "${CONF[PEER_PORT]}")
  [[ -n ${certificate} ]] && ! openssl x509 -noout -checkend 0 > /dev/null 2>&1 <<< "${certificate}"
}

# shows_valid ADDRESS: does it show one that has not?
shows_valid() {
  local certificate
  certificate=$(shown "$1" "${CONF[PEER_PORT]}")
  [[ -n ${certificate} ]] && openssl x509 -noout -checkend 0 > /dev/null 2>&1 <<< "${certificate}"
}

# valid_peers: how many other members do; all are asked at once.
valid_peers() {
  local member fd count=0
  local -a asked=()
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} != "${CONF[HOST]}" ]] || continue
    exec {fd}< <(! shows_valid "${member#*=}" || printf 'yes\n')
    asked+=("${fd}")
  done
  for fd in ${asked[@]+"${asked[@]}"}; do
    ! read -r -u "${fd}" _ || count=$((count + 1))
    exec {fd}<&-
  done
  printf '%d' "${count}"
}

# peer_accepts: does this host's etcd take its own pair for that of a member? Whatever it then answers.
peer_accepts() {
  local reply=''
  IFS= read -r -d '' -n "${ANSWER_BYTES}" reply < <(printf 'GET /version HTTP/1.0\r\n\r\n' \
    | peer_tls "${CONF[ADDRESS]}" "${CONF[PEER_PORT]}" -quiet -verify_return_error) || true
  take_reply "${reply}"
}
