# shellcheck shell=bash
# HTTP with what every host has: bash's /dev/tcp for etcd's plain metrics port, `openssl s_client` with the
# health-check client certificate for its client port. HTTP/1.0, so that answers are never chunked.

HTTP_STATUS='' # three digits, or empty: no answer
HTTP_BODY=''
readonly HTTP_SECONDS=6
ASK_SECONDS=${HTTP_SECONDS} # for what is asked over TLS
# No answer that is needed is longer; what is asked may be nothing of ours, and go on for ever.
readonly ANSWER_BYTES=16384 METRICS_BYTES=1048576

# take_reply TEXT: status and body of a whole HTTP reply.
take_reply() {
  local status='^HTTP/1\.[01] ([0-9]{3})'
  HTTP_STATUS=''
  HTTP_BODY=''
  [[ $1 =~ ${status} ]] || return 1
  HTTP_STATUS=${BASH_REMATCH[1]}
  after $'\r\n\r\n' "$1" HTTP_BODY || true
}

# metrics_request PATH: the raw reply of METRICS_URL, on standard output.
metrics_request() {
  local authority=${CONF[METRICS_URL]#http://} host
  host=${authority%:*}
  host=${host#[}
  # shellcheck disable=SC2016  # the inner shell expands its own arguments
  exec timeout "${HTTP_SECONDS}" /bin/bash -p -c \
    'exec 3<> "/dev/tcp/$1/$2" && printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$3" >&3 && exec cat <&3' \
    _ "${host%]}" "${authority##*:}" "$1" 2> /dev/null
}

# metrics_get PATH: takes what is replied there, if it is this member's etcd that replies.
metrics_get() {
  local authority=${CONF[METRICS_URL]#http://} host reply='' most=${ANSWER_BYTES}
  HTTP_STATUS='' HTTP_BODY=''
  host=${authority%:*}
  host=${host#[}
  own_listener "${host%]}" "${authority##*:}" || return 1
  [[ $1 != /metrics ]] || most=${METRICS_BYTES}
  IFS= read -r -d '' -n "${most}" reply < <(metrics_request "$1") || true
  take_reply "${reply}"
}

TLS_FILES=() # CA, certificate and key of the bundle, while those of the host are not there yet

# use_bundle_keys: until use_host_keys; fails while they are sealed.
use_bundle_keys() {
  local name file
  TLS_FILES=()
  for name in ca.crt healthcheck-client.crt healthcheck-client.key; do
    payload_file "${CONF[PKI_DIR]}/etcd/${name}" file
    [[ -f ${file} && -r ${file} ]] || {
      TLS_FILES=()
      return 1
    }
    TLS_FILES+=("${file}")
  done
}

use_host_keys() {
  TLS_FILES=()
}

CHAIN=() # options of openssl for what follows a certificate in its file

# with_chain FILE: sets CHAIN. Of what is named as a certificate, openssl sends the first one alone.
with_chain() {
  local text=''
  CHAIN=()
  [[ ! -r $1 ]] || read_text "$1" text
  [[ ${text} != *'-----BEGIN '*'-----BEGIN '* ]] || CHAIN=(-cert_chain "$1")
}

# tls ADDRESS: a verified TLS connection to a member's client port; standard input is sent. For the end of a pipe alone: it takes
# the place of the shell there.
tls() {
  local pki=${CONF[PKI_DIR]}
  with_chain "${TLS_FILES[1]:-${pki}/etcd/healthcheck-client.crt}"
  exec timeout "${ASK_SECONDS}" openssl s_client -quiet -connect "$(bracketed "$1"):${CONF[CLIENT_PORT]}" \
    -CAfile "${TLS_FILES[0]:-${pki}/etcd/ca.crt}" -cert "${TLS_FILES[1]:-${pki}/etcd/healthcheck-client.crt}" \
    -key "${TLS_FILES[2]:-${pki}/etcd/healthcheck-client.key}" ${CHAIN[@]+"${CHAIN[@]}"} -verify_return_error -verify_ip "$1"
}

# client_request ADDRESS METHOD PATH [JSON]: the raw reply of a member's client port, on standard output.
client_request() {
  local body=${4-}
  printf '%s %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$2" "$3" "$(bracketed "$1")" "${#body}" "${body}" \
    | tls "$1" 2> /dev/null || true
}

# client_ask ADDRESS METHOD PATH [JSON]: takes what is replied.
client_ask() {
  local reply=''
  IFS= read -r -d '' -n "${ANSWER_BYTES}" reply < <(client_request "$@") || true
  take_reply "${reply}"
}

# client_post PATH JSON: from this host's own member.
client_post() {
  client_ask "${CONF[ADDRESS]}" POST "$1" "$2"
}

# tls_complaint ADDRESS: why a connection fails, in openssl's words.
tls_complaint() {
  local line
  while IFS= read -r line; do
    if [[ ${line} =~ (verify error:.*|(ee|ca)\ key\ too\ small|[Cc]onnection refused|[Nn]o route to host|alert .*) ]]; then
      printf '%s' "${BASH_REMATCH[1]}"
      return 0
    fi
  done < <(printf 'GET /health HTTP/1.0\r\n\r\n' | tls "$1" 2>&1 > /dev/null || true)
  printf 'no answer within %s seconds' "${HTTP_SECONDS}"
}

# json_field NAME TEXT: the first value of that name in a JSON text, without its quotes.
json_field() {
  local pattern="\"$1\"[[:space:]]*:[[:space:]]*\"?([^\",}]*)"
  [[ $2 =~ ${pattern} ]] || return 1
  printf '%s' "${BASH_REMATCH[1]}"
}

# metric NAME: its value in HTTP_BODY, after `metrics_get /metrics`.
metric() {
  local rest
  after $'\n'"$1 " $'\n'"${HTTP_BODY}" rest || return 1
  printf '%s' "${rest%%$'\n'*}"
}
