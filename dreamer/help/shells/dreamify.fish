
# Reads the command line before the cursor: prints the command, the model, and then the words that are not options.
function __dreamify_read
  set -l command dreamify
  set -l model ''
  set -l given
  set -l before ''
  set -l names false
  for word in (commandline -opc)[2..-1]
    if test -n "$before"
      test "$before" = --model; and set model $word
      set before ''
    else if test "$word" = --
      set names true
    else if not $names; and string match -q -- '--*=*' $word
      string match -q -- '--model=*' $word; and set model (string replace -- --model= '' $word)
    else if not $names; and string match -q -- '-?*' $word
      contains -- $word $_dreamify_valued; and set before $word
    else if test "$command" = dreamify -a (count $given) -eq 0; and contains -- $word (string split ' ' $_dreamify_commands)
      set command $word
    else
      set -a given $word
    end
  end
  printf '%s\n' $command "$model" $given
end

function __dreamify_command
  test (__dreamify_read)[1] = $argv[1]
end

function __dreamify_first
  test (__dreamify_read | string join \n | count) -eq 2; and __dreamify_command dreamify
end

# Files whose names end in one of the extensions, and folders.
function __dreamify_files
  set -l token (commandline -ct | string replace -r -- '^--[a-z-]+=' '')
  if string match -q '~*' -- $token
    __fish_complete_path $token
    return
  end
  set -l ends (string join '|' $argv)
  for path in $token*
    if test -d $path
      echo $path/
    else if string match -rqi -- "\.($ends)\$" $path
      echo $path
    end
  end
end

# Prints what can stand for a value of this kind.
function __dreamify_values
  set -l token (commandline -ct | string replace -r -- '^--[a-z-]+=' '')
  switch $argv[1]
    case INPUT
      printf '%s\n' noise\tnothing grey\tnothing colour:\tnothing
      __dreamify_files (string split ' ' "$_dreamify_pictures $_dreamify_films")
    case PICTURE
      __dreamify_files (string split ' ' $_dreamify_pictures)
    case OUTPUT FILE
      __fish_complete_path $token
    case FOLDER
      __fish_complete_directories $token
    case NAME
      for path in (dirname $_dreamify_program)/models/*/model.toml
        basename (dirname $path)
      end
    case LAYER
      test -x $_dreamify_program; or return
      set -l model (__dreamify_read)[2]
      test -n "$model"; and set model --model $model; or set model
      if string match -q 'class:*' -- $token
        $_dreamify_program completion names $model 2>/dev/null | string match 'class:*'
      else
        $_dreamify_program completion names $model 2>/dev/null | string match -v 'class:*'
        echo class:
      end
    case SHELL
      printf '%s\n' bash zsh fish names
  end
end

# Prints what can stand for the word under the cursor, if it is no option.
function __dreamify_words
  set -l all (__dreamify_read)
  set -l given $all[3..-1]
  set -l kinds (__dreamify_kinds $all[1])
  set -l kind $kinds[(math (count $given) + 1)]
  if test $all[1] = dreamify -a (count $given) -gt 1 # several pictures, and the folder for their dreams
    if test -d $given[-1]; or string match -q '*/' -- $given[-1]
      set kind LAYER
    else if test -f $given[-1]
      set kind INPUT
    end
  end
  test -n "$kind"; and __dreamify_values $kind
end
