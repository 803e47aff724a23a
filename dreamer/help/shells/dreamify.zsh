
# Offers what can stand for a value of this kind; `model` is the one on the command line.
_dreamify_values() { # KIND
  local -a layers classes models
  local line
  case $1 in
    INPUT)
      _alternative 'files:picture, film or folder:_dreamify_files $=_dreamify_pictures $=_dreamify_films' \
        'nothing:nothing:(noise grey colour\:)'
      ;;
    PICTURE) _dreamify_files $=_dreamify_pictures ;;
    OUTPUT | FILE) _files ;;
    FOLDER) _files -/ ;;
    NAME)
      models=(${_dreamify_program:h}/models/*/model.toml(N:h:t))
      _alternative "models:model:($models)" 'folders:folder of a model:_files -/'
      ;;
    LAYER)
      [[ -x $_dreamify_program ]] || return 1
      while IFS=$'\t' read -r name line; do
        if [[ $name == class:* ]]; then classes+=("${name//:/\\:}:$line"); else layers+=("$name:$line"); fi
      done < <($_dreamify_program completion names ${model:+--model} ${model:+$model} 2>/dev/null)
      if [[ $PREFIX == class:* ]]; then
        _describe -t classes class classes -M 'r:|[-:]=* r:|=*'
      else
        _describe -V -t layers 'layer or look' layers -M 'l:|=* r:|=*'
        if (( $#classes )); then compadd -S '' class: ; fi
      fi
      ;;
    SHELL) _values shell bash zsh fish names ;;
    *) _message $1 ;;
  esac
}

# Files with one of these extensions in any case, and folders.
_dreamify_files() { _files -g "*.(#i)(${(j:|:)@})(-.)" }

_dreamify() {
  local command='' model='' name before='' word kind=''
  local -a kinds options given
  integer at found=0 names=0
  _dreamify_table ''
  for (( at = 2; at < CURRENT; at++ )); do
    word=${(Q)words[at]}
    if [[ -n $before ]]; then
      if [[ $before == --model ]]; then model=$word; fi
      before=''
    elif [[ $word == -- ]]; then
      names=1
    elif [[ $word == --model=* ]]; then
      model=${word#*=}
    elif [[ $word == --*=* ]]; then
      :
    elif [[ $word == -?* ]] && (( ! names )); then
      if (( ${options[(I)${word}=*]} )); then before=$word; fi
    elif [[ -z $command && $#given == 0 ]] && (( ${${=_dreamify_commands}[(Ie)$word]} )); then
      command=$word
      found=$at
      _dreamify_table $command
    else
      given+=($word)
    fi
  done
  model=${model/#\~\//$HOME/}
  if (( found )); then # _arguments must not count it
    words[found]=()
    (( CURRENT-- ))
  fi
  kind=$kinds[$#given+1]
  if [[ -z $command ]] && (( $#given > 1 )); then
    # several pictures, and the folder for their dreams
    if [[ -d ${given[-1]/#\~\//$HOME/} || $given[-1] == */ ]]; then
      kind=LAYER
    elif [[ -f ${given[-1]/#\~\//$HOME/} ]]; then
      kind=INPUT
    fi
  fi
  if [[ -z $command && $#given == 0 ]]; then
    _arguments -S $options '*: :->first'
    if [[ $state == first ]]; then
      _describe -t commands command _dreamify_told
      _dreamify_values $kind
    fi
  elif [[ -n $kind ]]; then
    _arguments -S $options "*:$kind: _dreamify_values $kind"
  else
    _arguments -S $options
  fi
}

if [[ $funcstack[1] == _dreamify ]]; then _dreamify "$@"; else compdef _dreamify dreamify dreamify.py; fi
