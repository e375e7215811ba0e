#!/bin/bash
# The bundles as somebody careful would make them by hand: openssl for keys and certificates, makeself per host.
# Usage: byhand.sh TREES OUTPUT KEY HOST...   KEY: RSA-2048 or ECDSA-P256; HOST: name=address
# TREES has a folder per host with every file of its bundle but keys and certificates, ready to be packed.
set -Eeuo pipefail

new_key() {
  if [[ ${algorithm} == RSA-2048 ]]; then
    openssl genrsa -traditional -out "$1" 2048 2> /dev/null
  else
    openssl ecparam -genkey -noout -name prime256v1 -out "$1"
  fi
}

# leaf FOLDER BASE SUBJECT USAGES SANS
leaf() {
  local folder=$1 base=$2 subject=$3 usages=$4 sans=$5
  new_key "${folder}/${base}.key"
  {
    printf 'keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=%s\n' "${usages}"
    printf 'basicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid\n'
    [[ -z ${sans} ]] || printf 'subjectAltName=%s\n' "${sans}"
  } > "${work}/extensions"
  openssl req -new -key "${folder}/${base}.key" -subj "${subject}" -out "${work}/request"
  openssl x509 -req -in "${work}/request" -CA "${work}/ca.crt" -CAkey "${work}/ca.key" -days 365 -sha256 \
    -extfile "${work}/extensions" -out "${folder}/${base}.crt" 2> /dev/null
}

host() {
  local name=$1 address=$2 pki="${trees}/$1/files/etc/kubernetes/pki"
  local sans="DNS:${name},DNS:localhost,IP:${address},IP:127.0.0.1,IP:::1"
  mkdir -p "${pki}/etcd"
  leaf "${pki}" etcd/server "/CN=${name}" serverAuth,clientAuth "${sans}"
  leaf "${pki}" etcd/peer "/CN=${name}" serverAuth,clientAuth "${sans}"
  leaf "${pki}" etcd/healthcheck-client /CN=kube-etcd-healthcheck-client clientAuth ''
  leaf "${pki}" apiserver-etcd-client /CN=kube-apiserver-etcd-client clientAuth ''
  cp "${work}/ca.crt" "${pki}/etcd/ca.crt"
  [[ ${name} != "${first}" ]] || cp "${work}/ca.key" "${pki}/etcd/ca.key"
  (cd "${trees}/${name}" && find . -type f -exec sha256sum {} + > "${work}/sums")
  mv "${work}/sums" "${trees}/${name}/SUMS"
  (cd "${trees}" && makeself --quiet --sha256 --nomd5 --nocrc --nox11 --nowait --gzip --complevel 9 \
    "${name}" "${output}/${name}.run" "etcd ${name}" ./install.sh > /dev/null)
}

main() {
  trees=$1 output=$2 algorithm=$3
  shift 3
  first=${1%%=*}
  work=$(mktemp -d)
  trap 'rm -rf "${work}"' EXIT
  umask 077
  new_key "${work}/ca.key"
  openssl req -x509 -new -key "${work}/ca.key" -subj /CN=etcd-ca -days 3650 -sha256 -out "${work}/ca.crt" \
    -addext keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign -addext subjectAltName=DNS:etcd-ca
  local each
  for each in "$@"; do
    host "${each%%=*}" "${each#*=}"
  done
  (cd "${output}" && sha256sum ./*.run > SHA256SUMS)
}

main "$@"
