# shellcheck shell=bash
# Where the image archives are: as files of a payload that was unpacked whole, or as compressed pieces in the bundle's
# own file, or in one that is carried beside it. Of a piece nothing is believed until its SHA-256 is the one in
# images/PIECES, and it is never unpacked to a disk: the runtime reads it from a pipe.

IMAGES_OPTION='' # --images
PIECES=()        # the archives, relative to the payload
declare -A PIECE_AT=() PIECE_SIZE=() PIECE_SHA=()
PIECES_IN=''     # the file that holds the pieces; empty: none was found
PIECES_START=0   # where in it the first one begins
PIECES_PLACES=() # where a file beside the bundle was looked for
PIECES_WRONG=()  # those found there that are not this bundle's

# load_pieces: images/PIECES, which MANIFEST vouches for. The copy left on the host has none.
load_pieces() {
  local line path pattern='^([A-Za-z0-9._@+-]+) (0|[1-9][0-9]{0,14}) ([1-9][0-9]{0,14}) ([0-9a-f]{64})$'
  if [[ -f ${HERE}/images/PIECES ]]; then
    while IFS= read -r line || [[ -n ${line} ]]; do
      [[ ${line} =~ ${pattern} ]] || damaged "images/PIECES holds a line that cannot be understood"
      path=images/${BASH_REMATCH[1]}
      PIECES+=("${path}")
      PIECE_AT[${path}]=${BASH_REMATCH[2]} PIECE_SIZE[${path}]=${BASH_REMATCH[3]} PIECE_SHA[${path}]=${BASH_REMATCH[4]}
    done < "${HERE}/images/PIECES"
  fi
  installed_copy || for path in "${ENTRY_PATH[@]}"; do
    [[ ${path} != images/* || ${path} == images/@(LIST|PIECES) || -n ${PIECE_AT[${path}]-} ]] \
      || damaged "images/PIECES does not know ${path}"
  done
}

# carried_archives: the image archives that come with this bundle, relative to the payload.
carried_archives() {
  ((${#PIECES[@]} == 0)) || printf '%s\n' "${PIECES[@]}"
}

# piece FILE START ARCHIVE: its compressed bytes, where the first piece begins at START of FILE.
piece() {
  dd if="$1" bs=1M iflag=skip_bytes,count_bytes,fullblock skip="$(($2 + ${PIECE_AT[$3]}))" \
    count="${PIECE_SIZE[$3]}" status=none
}

# piece_is_right FILE START ARCHIVE
piece_is_right() {
  local sum
  [[ -f $1 && $2 =~ ^(0|[1-9][0-9]{0,14})$ ]] || return 1
  sum=$(piece "$@" 2> /dev/null | sha256sum) || return 1
  [[ ${sum%% *} == "${PIECE_SHA[$3]}" ]]
}

# have_archive ARCHIVE: can all of it be read, and is it as it was made?
have_archive() {
  if [[ -f ${HERE}/$1 ]]; then
    [[ -n ${ENTRY_OF[$1]-} && $(sha256 "${HERE}/$1") == "${ENTRY_SHA[${ENTRY_OF[$1]}]}" ]]
  else
    [[ -n ${PIECES_IN} ]] && piece_is_right "${PIECES_IN}" "${PIECES_START}" "$1"
  fi
}

# image_stream ARCHIVE FILE: as it is to be imported, to standard output; and as it is read, to the file.
image_stream() {
  if [[ -f ${HERE}/$1 ]]; then
    tee -- "$2" < "${HERE}/$1"
  else
    piece "${PIECES_IN}" "${PIECES_START}" "$1" | tee -- "$2" | gzip -dc | tar -xOf -
  fi
}

# archive_sum ARCHIVE: the digest that what is read of it must have.
archive_sum() {
  if [[ -f ${HERE}/$1 ]]; then
    printf '%s' "${ENTRY_SHA[${ENTRY_OF[$1]}]}"
  else
    printf '%s' "${PIECE_SHA[$1]}"
  fi
}

# archive_kib ARCHIVE: its size uncompressed; the header of the tar in the piece says it.
archive_kib() {
  local size=''
  if [[ -f ${HERE}/$1 ]]; then
    size=$(stat -c %s -- "${HERE}/$1" || true)
  elif [[ -n ${PIECES_IN} ]]; then
    read -r _ _ size _ < <(piece "${PIECES_IN}" "${PIECES_START}" "$1" 2> /dev/null | head -c 65536 2> /dev/null \
      | gzip -dc 2> /dev/null | tar -tvf - 2> /dev/null) || true
  fi
  # a piece that is not at hand yet: images do not shrink to less than a quarter
  number size "${size}" || size=$((${PIECE_SIZE[$1]} * 4))
  printf '%d' $(((size + 1023) / 1024))
}

# find_pieces: sets PIECES_IN and PIECES_START. Images on board that are damaged end it here, before anything is changed.
find_pieces() {
  local archive
  local -a spoilt=()
  PIECES_IN='' PIECES_START=0
  if [[ -n ${CONF[IMAGES_FILE]} ]]; then
    find_images_file
    return 0
  fi
  [[ -z ${IMAGES_OPTION} ]] || bad_usage "--images: this bundle brings all the images it has itself"
  [[ -z ${BUNDLE_FILE} ]] || PIECES_IN=${BUNDLE_FILE} PIECES_START=${IMAGES_AT}
  for archive in ${PIECES[@]+"${PIECES[@]}"}; do
    have_archive "${archive}" || spoilt+=("${archive} is missing, cannot be read, or was altered")
  done
  ((${#spoilt[@]} == 0)) || damaged "${#spoilt[@]} of its images are not as images/PIECES says" "${spoilt[@]}"
}

# find_images_file: the first file beside the bundle whose pieces are this bundle's.
find_images_file() {
  local place
  PIECES_PLACES=() PIECES_WRONG=()
  if [[ -n ${IMAGES_OPTION} ]]; then
    PIECES_PLACES=("${IMAGES_OPTION}")
  else
    [[ -z ${BUNDLE_FILE} ]] || PIECES_PLACES=("${BUNDLE_FILE%/*}/${CONF[IMAGES_FILE]}")
    [[ -n ${BUNDLE_FILE} && ${CALLER_PWD} -ef ${BUNDLE_FILE%/*}/ ]] || PIECES_PLACES+=("${CALLER_PWD%/}/${CONF[IMAGES_FILE]}")
    PIECES_PLACES+=("${ROOT}/usr/local/lib/bundlegen/${CONF[IMAGES_FILE]}")
  fi
  for place in "${PIECES_PLACES[@]}"; do
    [[ -e ${place} ]] || continue
    if images_file_is_right "${place}"; then
      PIECES_IN=${place}
      return 0
    fi
    PIECES_WRONG+=("${place}")
  done
}

# check_image_file: images that are carried beside the bundle are at hand, if the runtime lacks any.
check_image_file() {
  local archive missing=''
  running && [[ -n ${CONF[IMAGES_FILE]} ]] || return 0
  for archive in "${PIECES[@]}"; do
    holds_archive "${archive}" || missing=${archive}
  done
  if [[ -n ${PIECES_IN} ]]; then
    verdict image-file ok "${PIECES_IN} holds the images of this bundle"
  elif [[ -z ${missing} ]]; then
    verdict image-file ok "${CONF[IMAGES_FILE]} is not here, and not needed: the runtime has its images"
  elif ((${#PIECES_WRONG[@]} > 0)); then
    verdict image-file failed "${PIECES_WRONG[*]} does not hold the images of this bundle: it is damaged, or belongs to other bundles" \
      "Copy ${CONF[IMAGES_FILE]} of this change again and compare its SHA-256 with SHA256SUMS."
  else
    verdict image-file failed "${CONF[IMAGES_FILE]} is missing, which holds the images of this bundle; looked for: ${PIECES_PLACES[*]}" \
      "Put it beside the bundle, or name it: --images FILE."
  fi
}

images_file_is_right() {
  local archive
  for archive in "${PIECES[@]}"; do
    piece_is_right "$1" 0 "${archive}" || return 1
  done
}
