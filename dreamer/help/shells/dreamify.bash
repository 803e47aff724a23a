
# Files whose names end in one of the extensions, and folders; readline's own completion where a word is quoted.
_dreamify_files() { # EXTENSIONS ("" for all), WORD
  local path ending
  if [[ $2 == *[\\\"\'~]* ]]; then
    compopt -o default
    return
  fi
  compopt -o filenames
  while IFS= read -r path; do
    ending=${path##*.}
    if [[ -z $1 || -d $path || " $1 " == *" ${ending,,} "* ]]; then found+=("$path"); fi
  done < <(compgen -f -- "$2")
}

# Appends to `found` what can stand for a value of this kind.
_dreamify_values() { # KIND, WORD
  local line
  case $1 in
    INPUT)
      found+=(noise grey colour:)
      _dreamify_files "$_dreamify_pictures $_dreamify_films" "$2"
      ;;
    PICTURE) _dreamify_files "$_dreamify_pictures" "$2" ;;
    OUTPUT | FILE) _dreamify_files '' "$2" ;;
    FOLDER)
      compopt -o filenames
      while IFS= read -r line; do found+=("$line"); done < <(compgen -d -- "$2")
      ;;
    NAME)
      for line in "${_dreamify_program%/*}"/models/*/model.toml; do
        line=${line%/model.toml}
        found+=("${line##*/}")
      done
      ;;
    LAYER)
      [[ -x $_dreamify_program ]] || return
      [[ $2 == class:* ]] || found+=(class:)
      while IFS=$'\t' read -r line _; do
        if [[ $line != class:* || $2 == class:* ]]; then found+=("$line"); fi
      done < <("$_dreamify_program" completion names ${model:+--model "$model"} 2>/dev/null)
      ;;
    SHELL) found+=(bash zsh fish names) ;;
  esac
}

_dreamify() {
  local command='' model='' kind='' kinds options option before='' blank word lead piece
  local rest=${COMP_LINE:0:COMP_POINT} typed=() given=() found=() names=false
  # bash splits words at = and : too; here their pieces are joined again
  for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    blank=${rest%%[![:blank:]]*}
    rest=${rest#"$blank"}
    piece=${rest:0:${#word}}
    rest=${rest:${#word}}
    if [[ -n $blank || ${#typed[@]} == 0 ]]; then typed+=("$piece"); else typed[-1]+=$piece; fi
  done
  local current=${typed[-1]}
  unset 'typed[-1]' 'typed[0]'

  _dreamify_table ''
  for word in "${typed[@]}"; do
    if [[ -n $before ]]; then
      if [[ $before == --model ]]; then model=$word; fi
      before=''
    elif [[ $word == -- ]]; then
      names=true
    elif [[ $word == --model=* ]]; then
      model=${word#*=}
    elif [[ $word == --*=* ]]; then
      :
    elif [[ $word == -?* ]] && ! $names; then
      if [[ " ${options[*]} " == *" $word="* ]]; then before=$word; fi
    elif [[ -z $command && ${#given[@]} == 0 && " $_dreamify_commands " == *" $word "* ]]; then
      command=$word
      _dreamify_table "$command"
    else
      given+=("$word")
    fi
  done
  model=${model/#\~\//$HOME/}

  local prefix='' last=''
  if [[ -z $before && $current == --*=* ]] && ! $names; then
    before=${current%%=*}
    prefix=$before=
  fi
  if [[ -n $before ]]; then
    for option in "${options[@]}"; do
      if [[ $option == "$before="* ]]; then kind=${option#*=}; fi
    done
    _dreamify_values "$kind" "${current#"$prefix"}"
  elif [[ $current == -* ]] && ! $names; then
    found=("${options[@]%%=*}")
  else
    kind=${kinds[${#given[@]}]}
    if [[ ${#given[@]} -gt 0 ]]; then
      last=${given[-1]//\\/}
      last=${last/#\~\//$HOME/}
    fi
    if [[ -z $command && ${#given[@]} == 0 ]]; then
      read -r -a found <<<"$_dreamify_commands"
    elif [[ -z $command && ${#given[@]} -gt 1 && ( -d $last || $last == */ ) ]]; then
      kind=LAYER # the words before are pictures, and the folder for their dreams
    elif [[ -z $command && ${#given[@]} -gt 1 && -f $last ]]; then
      kind=INPUT # another picture, or that folder
    fi
    _dreamify_values "$kind" "$current"
  fi

  # bash replaces only the piece after the last = or :
  piece=${COMP_WORDS[COMP_CWORD]}
  lead=$current
  if [[ $piece != [=:]* ]]; then lead=${current%"${current##*[=:]}"}; fi
  [[ $COMP_WORDBREAKS == *[=:]* ]] || lead=''
  COMPREPLY=()
  for word in "${found[@]}"; do
    if [[ $prefix$word == "$current"* ]]; then
      word=$prefix$word
      COMPREPLY+=("${word#"$lead"}")
    fi
  done
  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]]; then compopt -o nospace; fi
}
complete -F _dreamify dreamify dreamify.py ./dreamify.py
