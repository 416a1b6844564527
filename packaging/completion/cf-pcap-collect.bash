# bash completion for cf-pcap-collect. What there is to complete comes from the program's own -help.
# shellcheck shell=bash

_cf_pcap_collect() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} dash='' help flag
	local before=${COMP_WORDS[COMP_CWORD - 1]}

	# readline makes three words of -flag=value
	if [[ $word == = ]]; then
		word=''
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	COMPREPLY=()
	help=$("$program" -help 2>/dev/null)
	flag=${before/#--/-}
	if ((COMP_CWORD > 1)) && [[ $flag == -o || $flag == -hosts-file ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	elif ((COMP_CWORD > 1)) && [[ $flag == -?* ]] && grep -q "^  $flag [^ ]" <<<"$help"; then
		mapfile -t COMPREPLY < <(compgen -W "$(sed -n "s/^  $flag \([^ ]*|[^ ]*\) .*/\1/p" <<<"$help" |
			tr '|' '\n')" -- "$word")
	elif [[ $word == -* ]]; then
		[[ $word != --* ]] || dash=-
		mapfile -t COMPREPLY < <(sed -n "s/^  \(-[^ ]*\) .*/$dash\1/p" <<<"$help" | grep -e "^$word")
	fi
}

complete -F _cf_pcap_collect cf-pcap-collect
