# bash completion for cf-pcap. What there is to complete comes from the program's own -help.
# shellcheck shell=bash

_cf_pcap_values() { # PROGRAM FLAG: the values a flag takes, or nothing
	case $2 in
	-interface) "$1" -list-interfaces 2>/dev/null | awk '{ print $1 }' ;;
	*) "$1" -help 2>/dev/null | sed -n "s/^  $2 \([^ ]*|[^ ]*\) .*/\1/p" | tr '|' '\n' ;;
	esac
}

_cf_pcap_takes_value() { # PROGRAM FLAG
	"$1" -help 2>/dev/null | grep -q "^  $2 [^ ]"
}

_cf_pcap() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} dash='' flag
	local before=${COMP_WORDS[COMP_CWORD - 1]}

	# readline makes three words of -flag=value
	if [[ $word == = ]]; then
		word=''
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	COMPREPLY=()
	flag=${before/#--/-}
	if ((COMP_CWORD > 1)) && [[ $flag == -?* ]] && _cf_pcap_takes_value "$program" "$flag"; then
		mapfile -t COMPREPLY < <(compgen -W "$(_cf_pcap_values "$program" "$flag")" -- "$word")
	elif [[ $word == -* ]]; then
		[[ $word != --* ]] || dash=-
		mapfile -t COMPREPLY < <("$program" -help 2>/dev/null |
			sed -n "s/^  \(-[^ ]*\) .*/$dash\1/p" | grep -e "^$word")
	fi
}

complete -F _cf_pcap cf-pcap
