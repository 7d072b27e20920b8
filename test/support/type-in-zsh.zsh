# Types each line and a tab into a real zsh on a terminal of its own, and prints what the line has become. The editor itself is asked,
# because a terminal shows more than the line.
#   zsh -f type-in-zsh.zsh <folder> <source|fpath> <line>…
# The folder has the script of the completion as _quiver-coordinator.
folder=$1 how=$2
shift 2
zmodload zsh/zpty
zpty -b z zsh -f -i
wait_for() {
  repeat 400; do
    [[ -e $1 ]] && return 0
    # A terminal that nobody reads stops its program.
    zpty -r -t z REPLY '*' 2>/dev/null
    sleep 0.05
  done
  print -u2 "expected $1 within 20 s, got nothing"
  exit 1
}
zpty -w z "cd $folder; PROMPT="
[[ $how == fpath ]] && zpty -w z 'fpath=($PWD $fpath)'
zpty -w z 'autoload -U compinit; compinit -u -d $PWD/dump'
[[ $how == source ]] && zpty -w z 'source ./_quiver-coordinator'
zpty -w z 'tell() { print -r -- "$BUFFER" > told; BUFFER=; }; zle -N tell; bindkey "^X" tell; touch ready'
wait_for $folder/ready
for line in "$@"; do
  rm -f $folder/told
  zpty -n -w z "$line"$'\t\x18'
  wait_for $folder/told
  cat $folder/told
done
zpty -d z
