# shellcheck shell=bash
# What files are like: many at once, with one sha256sum and one stat.

declare -A LOOK=() # file: "MODE OWNER SHA256"; nothing for a link, and for what is none or cannot be read

# look_at FILE...: from here on looks_like and looked_up know these files, and no others.
look_at() {
  local record name
  local -a files=() records=()
  local -A sum=()
  LOOK=()
  for name in "$@"; do
    [[ ! -f ${name} || -L ${name} ]] || files+=("${name}")
  done
  ((${#files[@]} > 0)) || return 0
  # a record for each file, whatever it is called
  mapfile -d '' -t records < <(sha256sum --zero -- "${files[@]}" 2> /dev/null || true)
  for record in "${records[@]}"; do
    sum[${record:66}]=${record:0:64}
  done
  mapfile -d '' -t records < <(stat --printf '%04a %U:%G %n\0' -- "${files[@]}" 2> /dev/null || true)
  for record in "${records[@]}"; do
    name=${record#* * }
    [[ -z ${sum[${name}]-} ]] || LOOK[${name}]="${record%"${name}"}${sum[${name}]}"
  done
}

# looks_like FILE MODE OWNER SHA256
looks_like() {
  [[ ${LOOK[$1]-} == "$2 $3 $4" ]]
}

# looked_up FILE mode|sha256 VARIABLE: sets it; to nothing if there is no such file.
looked_up() {
  local facts=${LOOK[$1]-}
  case $2 in
    mode) printf -v "$3" '%s' "${facts%% *}" ;;
    *) printf -v "$3" '%s' "${facts##* }" ;;
  esac
}

# read_text FILE VARIABLE: sets it to what is in the file.
read_text() {
  IFS= read -r -d '' "$2" < "$1" || true
}

# sha256 FILE: its digest in hexadecimal; fails if it cannot be read.
sha256() {
  local line
  line=$(sha256sum -- "$1" 2> /dev/null) || return 1
  line=${line#\\} # coreutils marks a file name it had to escape
  printf '%s' "${line:0:64}"
}
