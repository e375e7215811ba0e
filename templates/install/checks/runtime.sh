# shellcheck shell=bash
# Preflight checks of kubelet, kubeadm and the container runtime.

# minor VERSION-TEXT: the minor number of the first v1.N in it.
minor() {
  [[ $1 =~ v1\.([0-9]+) ]] || return 1
  printf '%d' "${BASH_REMATCH[1]}"
}

kubelet_minor() {
  minor "$(first_line "${CONF[KUBELET_BINARY]}" --version)"
}

check_kubelet() {
  local text
  running || return 0
  if [[ ! -x ${CONF[KUBELET_BINARY]} ]]; then
    verdict kubelet failed "there is no ${CONF[KUBELET_BINARY]}" \
      "Install kubelet ${CONF[KUBERNETES_VERSION]}, or set kubelet.binary to where it is and build again."
    return 0
  fi
  if [[ $(unit_property LoadState) != loaded ]]; then
    verdict kubelet failed "systemd knows no kubelet.service" "Install the kubelet package, which brings it."
    return 0
  fi
  text=$(first_line "${CONF[KUBELET_BINARY]}" --version)
  if ! minor "${text}" > /dev/null; then
    verdict kubelet failed "${CONF[KUBELET_BINARY]} --version says \"${text}\" instead of a version" "Install a working kubelet."
  elif [[ $(minor "${text}") != "$(minor "${CONF[KUBERNETES_VERSION]}")" ]]; then
    verdict kubelet warning "kubelet is ${text#Kubernetes }, the bundle was made for ${CONF[KUBERNETES_VERSION]}" \
      "Its flags are checked by kubelet-flags; the same minor version is best."
  else
    verdict kubelet ok "${text}"
  fi
}

# our_flags: the command line in our drop-in.
our_flags() {
  local line file
  file=$(payload_file "${CONF[KUBELET_DROPIN]}")
  while IFS= read -r line; do
    [[ ${line} != ExecStart=?* ]] || printf '%s' "${line#ExecStart=}"
  done < "${file}"
}

# check_kubelet_flags: kubelet dies of a flag it no longer knows, and needs others it does not know yet.
check_kubelet_flags() {
  local flags version='' wrong=''
  running || return 0
  version=$(kubelet_minor) || return 0
  flags=$(our_flags)
  if [[ ${flags} == *' --container-runtime='* ]] && ((version >= 27)); then
    wrong='--container-runtime was removed in 1.27'
  elif [[ ${flags} != *' --container-runtime-endpoint='* ]] && ((version < 27)); then
    wrong='the runtime can be named in the configuration file only since 1.27'
  elif [[ ${flags} == *' --pod-infra-container-image'* ]] && ((version >= 35)); then
    wrong='--pod-infra-container-image was removed in 1.35'
  fi
  if [[ -n ${wrong} ]]; then
    verdict kubelet-flags failed "kubelet is 1.${version}, and ${wrong}" \
      "Install kubelet ${CONF[KUBERNETES_VERSION]}, or build the bundle for the installed version."
  else
    verdict kubelet-flags ok "kubelet knows the flags and fields it is given"
  fi
}

check_kubeadm() {
  local version have_minor want_minor config output
  running && [[ ${CONF[MANIFEST_MODE]} == kubeadm ]] || return 0
  if ! have kubeadm; then
    verdict kubeadm failed "kubeadm is not installed" \
      "Install kubeadm ${CONF[KUBERNETES_VERSION]}, or build with \`manifest: rendered\`, which needs none."
    return 0
  fi
  version=$(kubeadm_version)
  want_minor=$(minor "${CONF[KUBERNETES_VERSION]}")
  if ! have_minor=$(minor "${version}"); then
    verdict kubeadm failed "kubeadm version says \"${version}\" instead of a version" "Install a working kubeadm."
    return 0
  fi
  # kubeadm takes its own minor version and the one before
  if ((have_minor != want_minor && have_minor != want_minor + 1)); then
    verdict kubeadm failed "kubeadm is ${version} and cannot be used for ${CONF[KUBERNETES_VERSION]}" \
      "Install kubeadm 1.${want_minor} or 1.$((want_minor + 1))."
    return 0
  fi
  config=$(payload_file "${CONF[KUBEADM_CONFIG]}")
  if ((have_minor >= 28)) && ! output=$(kubeadm config validate --config "${config}" 2>&1); then
    verdict kubeadm failed "kubeadm ${version} does not accept ${CONF[KUBEADM_CONFIG]}: ${output//$'\n'/ }" \
      "Build the bundle for the installed version."
    return 0
  fi
  verdict kubeadm ok "kubeadm ${version}"
}

# listening SOCKET: does a process listen on this Unix socket? (00010000: accepting connections)
listening() {
  local target flags path
  target=$(readlink -f -- "$1") || return 1
  while read -r _ _ _ flags _ _ _ path; do
    [[ ${flags} == 00010000 && -n ${path} ]] || continue
    [[ ${path} == "$1" || ${path} == "${target}" || ${path} -ef $1 ]] && return 0
  done < /proc/net/unix
  return 1
}

# runtime_answers: asks with the tool there is; the socket alone proves little.
runtime_answers() {
  if have crictl; then
    timeout 10 crictl --runtime-endpoint "${CONF[RUNTIME_ENDPOINT]}" version > /dev/null 2>&1
  elif have ctr; then
    timeout 10 ctr --address "$(runtime_socket)" version > /dev/null 2>&1
  else
    listening "$(runtime_socket)"
  fi
}

RUNTIME_ANSWERS=unknown # yes or no, once it was asked

check_runtime() {
  local socket
  running || return 0
  socket=$(runtime_socket)
  RUNTIME_ANSWERS=no
  if [[ ! -S ${socket} ]]; then
    verdict runtime failed "the container runtime's socket ${socket} is not there" \
      "Install and start containerd, or set kubelet.containerRuntimeEndpoint and build again."
  elif ! runtime_answers; then
    verdict runtime failed "the container runtime does not answer on ${socket}" "See \`systemctl status containerd\`."
  else
    RUNTIME_ANSWERS=yes
    verdict runtime ok "the container runtime answers on ${socket}"
  fi
}

# RUNTIME_CONFIG: the lines of the runtime's configuration in force, read once.
RUNTIME_CONFIG=()
RUNTIME_KIND=unread # containerd, crio, or unknown

read_runtime_config() {
  [[ ${RUNTIME_KIND} == unread ]] || return 0
  RUNTIME_KIND=unknown
  if [[ $(runtime_socket) == *containerd* ]]; then
    RUNTIME_KIND=containerd
    if have containerd; then
      mapfile -t RUNTIME_CONFIG < <(containerd config dump 2> /dev/null || true)
    fi
    if ((${#RUNTIME_CONFIG[@]} == 0)) && [[ -r /etc/containerd/config.toml ]]; then
      mapfile -t RUNTIME_CONFIG < /etc/containerd/config.toml
    fi
  elif [[ $(runtime_socket) == *crio* ]]; then
    RUNTIME_KIND=crio
    ! have crio || mapfile -t RUNTIME_CONFIG < <(crio config 2> /dev/null || true)
  fi
}

# runtime_setting KEY [SECTION-PART]: a TOML value without its quotes, the first in a section so named.
runtime_setting() {
  local line section='' pattern="^[[:space:]]*$1[[:space:]]*=[[:space:]]*[\"']?([^\"']*)[\"']?[[:space:]]*\$"
  for line in ${RUNTIME_CONFIG[@]+"${RUNTIME_CONFIG[@]}"}; do
    if [[ ${line} =~ ^[[:space:]]*\[+(.*)\]+ ]]; then
      section=${BASH_REMATCH[1]}
    elif [[ ${line} =~ ${pattern} && ${section} == *"${2-}"* ]]; then
      printf '%s' "${BASH_REMATCH[1]}"
      return 0
    fi
  done
  return 1
}

check_cri() {
  local disabled
  running || return 0
  read_runtime_config
  [[ ${RUNTIME_KIND} == containerd ]] || return 0
  disabled=$(disabled_plugins)
  if [[ ${disabled} == *'"cri"'* || ${disabled} == *io.containerd.grpc.v1.cri* || ${disabled} == *io.containerd.cri.v1* ]]; then
    verdict cri failed "containerd's configuration disables CRI, which kubelet needs: ${disabled}" \
      "Remove it from disabled_plugins in /etc/containerd/config.toml and restart containerd."
  else
    verdict cri ok "containerd offers CRI"
  fi
}

# disabled_plugins: the list, its quotes made plain; it may go over several lines.
disabled_plugins() {
  local line text='' inside=no
  for line in ${RUNTIME_CONFIG[@]+"${RUNTIME_CONFIG[@]}"}; do
    [[ ${line} =~ ^[[:space:]]*disabled_plugins[[:space:]]*= ]] && inside=yes
    [[ ${inside} == yes ]] || continue
    text+=${line#*=}
    [[ ${line} != *']'* ]] || break
  done
  printf '%s' "${text//\'/\"}"
}

check_cgroup_driver() {
  local driver version
  running || return 0
  read_runtime_config
  case ${RUNTIME_KIND} in
    containerd)
      driver=cgroupfs
      [[ $(runtime_setting SystemdCgroup runtimes.runc || true) != true ]] || driver=systemd
      ;;
    crio) driver=$(runtime_setting cgroup_manager) || driver=systemd ;;
    *) driver='' ;;
  esac
  if [[ -z ${driver} || ${#RUNTIME_CONFIG[@]} == 0 ]]; then
    verdict cgroup-driver warning "the runtime's cgroup driver could not be found out" \
      "It must be ${CONF[CGROUP_DRIVER]}, as kubelet's is."
  elif [[ ${driver} != "${CONF[CGROUP_DRIVER]}" ]]; then
    verdict cgroup-driver failed "the runtime uses the cgroup driver ${driver}, kubelet would use ${CONF[CGROUP_DRIVER]}" \
      "In /etc/containerd/config.toml, SystemdCgroup of runc must be $([[ ${CONF[CGROUP_DRIVER]} == systemd ]] && printf true || printf false); then restart containerd."
  else
    verdict cgroup-driver ok "the runtime and kubelet use the cgroup driver ${driver}"
  fi
}

check_cgroup_version() {
  local kind version
  running || return 0
  kind=$(stat --file-system --format %T /sys/fs/cgroup)
  version=$(kubelet_minor) || version=$(minor "${CONF[KUBERNETES_VERSION]}")
  if [[ ${kind} == cgroup2fs ]]; then
    verdict cgroup-version ok "cgroup v2"
  elif ((version >= 35)) && [[ ${CONF[KUBELET_FAIL_CGROUP_V1]} == true ]]; then
    verdict cgroup-version failed "this host uses cgroup v1, and kubelet 1.${version} refuses to start there" \
      "Boot with cgroup v2, or set kubelet.extraConfig failCgroupV1: false and build again."
  else
    verdict cgroup-version ok "cgroup v1, which this kubelet accepts"
  fi
}
