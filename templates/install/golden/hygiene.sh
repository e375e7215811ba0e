# shellcheck shell=bash
# hygiene: may this image be shared? Every check has a name, all are run, and nothing is changed.

# hygiene_checks: the names of its checks, in order.
hygiene_checks() {
  printf '%s\n' private-keys ssh-host-keys certificates etcd-data machine-id receipts unlock-codes bundles identity authorized-keys \
    identities cloud-init signature
}

# hygiene_signature: said either way, since it decides who can have something run as root.
hygiene_signature() {
  if demands_signature; then
    verdict signature ok "the first boot runs no bundle but those that ${ALLOWED_SIGNERS} allows"
  else
    verdict signature ok "none is demanded: the first boot runs, as root, any bundle for its machine that lies in its folder or on its medium"
  fi
}

readonly SCANNED=(/etc /root /home /opt /srv /var /usr/local /tmp)
# Beside these, what else there is at the top, but not what packages bring, and where other disks and sticks are mounted.
readonly NOT_SCANNED_TOP='@(bin|sbin|lib|lib32|lib64|libx32|usr|proc|sys|dev|run|mnt|media|cdrom|snap|nix|ostree|sysroot|lost+found)'
# Layers of container images are public, and many.
readonly NOT_SCANNED=(/var/lib/containerd /var/lib/containers /var/lib/docker)
readonly LARGEST_SCANNED=2048 # KiB; no key and no code is in a larger file
readonly SHOWN_FILES=10

# What follows the mark tells a key from a program that speaks of keys, as this one does: the brackets. It may be in one
# line, and in JSON within JSON.
readonly KEY_PATTERN='-----BEGIN ([A-Z0-9]+ )*PRIVATE[ ]KEY-----(\\+r)?(\\+n|[[:space:]]*([A-Za-z0-9+/=]{40}|$))'
# The same in base64, as a kubeconfig has it: plain, EC, RSA, DSA, OPENSSH and ENCRYPTED.
readonly ENCODED_PATTERN='LS0tLS1CRUdJTi(BQUklWQVRF|BFQyBQUklWQVRF|BSU0EgUFJJVkFURS|BEU0EgUFJJVkFURS|BPUEVOU1NIIFBSSVZBVE|BFTkNSWVBURUQgUFJJVkFURS)'
readonly CODE_PATTERN='[0-9A-HJKMNP-TV-Z]{3}(-[0-9A-HJKMNP-TV-Z]{3}){8}'

readonly LABEL_PATTERN='^label="etcd [^"]*, [^"]*: [^"]*"$'

SUSPECTS=() # files with what looks like a key, an unlock code, or a bundle
SCAN_TROUBLE=''

do_hygiene() {
  local name code=0
  local -a names
  clear_verdicts
  scan_files
  mapfile -t names < <(hygiene_checks)
  for name in "${names[@]}"; do
    "hygiene_${name//-/_}"
  done
  report_allowed
  ((FAILED == 0)) || code=${EXIT_PREFLIGHT}
  if [[ ${JSON} == yes ]]; then
    printf '{"format": 1, "exitCode": %d, "checks": ' "${code}" && verdicts_json && printf '}\n'
  else
    print_verdicts
    if ((FAILED > 0)); then
      say "${FAILED} checks failed: this image must not be shared as it is."
    else
      say "This image may be shared: nothing of one host was found in it."
    fi
  fi
  exit "${code}"
}

# mounted PLACE: the disks below it. What else is mounted there, such as /proc in a chroot or a share, is not the image.
mounted() {
  local device place below
  below=$(readlink -f -- "$1") || return 0
  while read -r device place _; do
    [[ ${device} != /dev/* || ${place} != "${below%/}"/* ]] || printf '%b\n' "${place}"
  done < /proc/self/mounts
}

# followed PLACE: where this is in the image. It may be a link, as /home or /opt is in some systems, which means a place
# in the image itself.
followed() {
  local top real
  [[ -e ${ROOT}$1 || -L ${ROOT}$1 ]] || return 1
  top=$(readlink -e -- "${ROOT}")
  real=$(readlink -m -- "${ROOT}$1")
  if [[ ${real}/ == "${top%/}"/* ]]; then
    real=${ROOT}/${real#"${top%/}/"}
  else
    real=${ROOT}$(readlink -- "${ROOT}$1")
  fi
  [[ -e ${real} && ! -L ${real} ]] && printf '%s' "${real}"
}

# elsewhere PLACE: is this at the top of the image, and neither among SCANNED nor NOT_SCANNED_TOP nor a share or memory?
elsewhere() {
  local device place real known on_disk=yes
  [[ -e $1 && ! -L $1 ]] || return 1
  for known in "${SCANNED[@]}"; do
    [[ /${1##*/} != "${known}" ]] || return 1
  done
  # shellcheck disable=SC2053  # a pattern
  [[ ${1##*/} != ${NOT_SCANNED_TOP} ]] || return 1
  real=$(readlink -f -- "$1") || return 1
  while read -r device place _; do
    [[ ${real} == "$(printf '%b' "${place}")" ]] || continue
    # what was mounted there last
    on_disk=yes
    [[ ${device} == /dev/* ]] || on_disk=no
  done < /proc/self/mounts
  [[ ${on_disk} == yes ]]
}

# scanned EXPRESSION...: `find` in the places where secrets may be, but not in what the archive that runs us unpacked.
scanned() {
  local place disk
  local -a places=() apart=(-false)
  [[ ${HERE##*/} != bundlegen-unpack.* ]] || apart+=(-o -path "${ROOT}${HERE}" -o -path "${HERE}")
  for place in "${SCANNED[@]}" "${ROOT}"/* "${ROOT}"/.[!.]*; do
    if [[ ${place} == "${ROOT}"/* ]]; then
      elsewhere "${place}" || continue
    else
      place=$(followed "${place}") || continue
      [[ -d ${place} ]] || continue
    fi
    places+=("${place}")
    while IFS= read -r disk; do
      places+=("${disk}")
    done < <(mounted "${place}")
  done
  for place in "${NOT_SCANNED[@]}"; do
    apart+=(-o -path "${ROOT}${place}" -o -path "${place}")
  done
  ((${#places[@]} == 0)) || find "${places[@]}" -xdev '(' "${apart[@]}" ')' -prune -o "$@" 2> /dev/null
}

# scan_files: every file of reasonable size, read once.
scan_files() {
  local tool
  for tool in find xargs grep; do
    have "${tool}" || SCAN_TROUBLE+=" ${tool}"
  done
  [[ -z ${SCAN_TROUBLE} ]] || return 0
  # grep and xargs say by their exit code only whether something was found
  mapfile -d '' -t SUSPECTS < <(
    scanned -type f -size "-${LARGEST_SCANNED}k" -print0 \
      | xargs -0 grep -lsZE -e "${KEY_PATTERN}" -e "${ENCODED_PATTERN}" -e "${CODE_PATTERN}" -e "${LABEL_PATTERN}" -- /dev/null || true
  )
}

hygiene_private_keys() {
  local file
  local -a found=()
  ! cannot_scan private-keys || return 0
  for file in ${SUSPECTS[@]+"${SUSPECTS[@]}"}; do
    # those have a check of their own
    [[ ${file} != "${ROOT}"/etc/ssh/ssh_host_*_key || ${file%/*} != "${ROOT}/etc/ssh" ]] || continue
    ! grep -qsE -e "${KEY_PATTERN}" -e "${ENCODED_PATTERN}" -- "${file}" || found+=("${file}")
  done
  report_files private-keys "private keys are in this image" "Every machine made from it would have them: remove them." ${found[@]+"${found[@]}"}
}

hygiene_ssh_host_keys() {
  existing '/etc/ssh/ssh_host_*_key'
  report_files ssh-host-keys "every machine would be the same to SSH" \
    "Remove them last of all, and have them made at the first boot: rm /etc/ssh/ssh_host_*" ${EXISTING[@]+"${EXISTING[@]}"}
}

hygiene_certificates() {
  existing "${CONF[PKI_DIR]}/*.crt" "${CONF[PKI_DIR]}/*/*.crt" '/var/lib/kubelet/pki/*'
  report_files certificates "certificates of a host or a cluster" "They come with each host's own bundle: remove them." ${EXISTING[@]+"${EXISTING[@]}"}
}

# hygiene_etcd_data: in the data directory, moved aside from it, or anywhere by its shape.
hygiene_etcd_data() {
  local path
  local -a found=()
  existing "${CONF[DATA_DIR]}/*" "${CONF[DATA_DIR]}/.[!.]*" "${CONF[DATA_DIR]}.bundlegen-*"
  for path in ${EXISTING[@]+"${EXISTING[@]}"}; do
    [[ ${path##*/} == lost+found ]] || found+=("${path}")
  done
  if [[ -z ${SCAN_TROUBLE} ]]; then
    while IFS= read -r -d '' path; do
      [[ ${path} == "${ROOT}${CONF[DATA_DIR]}"* ]] || found+=("${path}")
    done < <(scanned -type d -path '*/member/snap' -print0 || true)
  fi
  report_files etcd-data "data of an etcd member, which says who it is" "A member's data belongs to one machine: remove it." ${found[@]+"${found[@]}"}
}

hygiene_machine_id() {
  local path id
  local -a found=()
  for path in /etc/machine-id /var/lib/dbus/machine-id; do
    path=$(followed "${path}") || continue
    [[ -f ${path} ]] || continue
    id=''
    read -r id < "${path}" || true
    [[ -z ${id} || ${id} == uninitialized ]] || found+=("${path}")
  done
  report_files machine-id "every machine would have the same machine-id" "Make it empty: truncate -s 0 /etc/machine-id; rm -f /var/lib/dbus/machine-id" ${found[@]+"${found[@]}"}
}

hygiene_receipts() {
  existing "${MEMBERS_ROOT}"/'*'/{receipts,generations,transaction,edited} "${GOLDEN}/transaction"
  report_files receipts "what an install has left" "It tells of one machine: remove it." ${EXISTING[@]+"${EXISTING[@]}"}
}

# hygiene_unlock_codes: by their check character, so that nothing else is taken for one.
hygiene_unlock_codes() {
  local file word
  local -a found=()
  ! cannot_scan unlock-codes || return 0
  for file in ${SUSPECTS[@]+"${SUSPECTS[@]}"}; do
    while read -r word; do
      if plain_code "${word}" > /dev/null; then
        found+=("${file}")
        break
      fi
    done < <(grep -aowhsE -e "${CODE_PATTERN}" -- "${file}" || true)
  done
  report_files unlock-codes "unlock codes of sealed bundles" "Bring each to its host by another way: remove them." ${found[@]+"${found[@]}"}
}

# bundle_label FILE: what a bundle calls itself, in its stub's first lines; fails for what is none.
bundle_label() {
  local line count=0
  while IFS= read -r line && ((count < 100)); do
    count=$((count + 1))
    [[ ${line} == 'label="etcd '*': '*'"' ]] || continue
    line=${line#*\"}
    printf '%s' "${line%\"}"
    return 0
  done < <(head -c 65536 -- "$1" 2> /dev/null || true) # it may be without end, and without a line
  return 1
}

# hygiene_bundles: a host's under any name, whole, in parts, or unpacked; the one for images is no secret.
hygiene_bundles() {
  local file label
  local -a found=()
  ! cannot_scan bundles || return 0
  while IFS= read -r -d '' file; do
    if [[ -d ${file} || ${file} == *.run.[0-9][0-9][0-9]* ]]; then
      found+=("${file}")
    elif label=$(bundle_label "${file}") && [[ ${label} != *': every host' ]]; then
      found+=("${file}")
    fi
  done < <(
    ((${#SUSPECTS[@]} == 0)) || printf '%s\0' "${SUSPECTS[@]}"
    scanned '(' -type f '(' -name '*.run.*' -o -size "+$((LARGEST_SCANNED - 1))k" ')' -o -type d -name 'bundlegen-unpack.*' ')' \
      -print0 || true
  )
  report_files bundles "bundles of hosts" "They hold keys: remove them; only base.run is for images." ${found[@]+"${found[@]}"}
}

hygiene_identity() {
  existing "${CONF[KUBEADM_CONFIG]}" "${CONF[STATIC_POD_MANIFEST]}" "${MEMBERS_ROOT}/*/bundle"
  report_files identity "files that make a machine one certain member" "They come with each host's own bundle: remove them." ${EXISTING[@]+"${EXISTING[@]}"}
}
