# Completion for bash: subcommands, their options and words. Static; asks no gateway.
_sallyport() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' word words
	local commands='run check plan explain reload status sessions bans disk secret client ipsec wireguard ca join connect audit'

	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case " $commands " in *" $word "*) command=$word && break ;; esac
	done
	case $previous in
	--state | --dir | --identity)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		return
		;;
	--initiator | --target | --from | --lun | --command | --blocks | --user | --algorithm | --at | --portal | --proxy | --wait | --for | --gateway | --endpoint | --expect | --confirm-within | --since | --until | --address | --session | --lba | --op | --group | --verdict | --overlap | --format | --since-checkpoint | --to | --name | --key | --passphrase-fd | --new-passphrase-fd | --listen | --server)
		return
		;;
	esac
	case $command in
	'') words="$commands --version" ;;
	run) words='--passphrase-fd' ;;
	check) words='--json' ;;
	plan) words='--firewall --json' ;;
	explain) words='--from --initiator --target --portal --proxy --lun --command --blocks --user --algorithm --at --json' ;;
	reload) words='--expect --confirm-within --confirm --json' ;;
	status) words='--wait --json' ;;
	sessions) words='kick --json' ;;
	bans) words='list add lift --all --for --json' ;;
	disk) words='clear free --forget-reservations --json' ;;
	secret) words='generate set rotate accept-weaker list remove --overlap --finish --key --passphrase-fd --new-passphrase-fd --json' ;;
	client) words='--for --with-secrets --passphrase-fd linux windows esxi libiscsi stunnel' ;;
	ipsec) words='--dir --gateway --certificates --with-secrets --passphrase-fd' ;;
	wireguard) words='--dir --endpoint --with-secrets --passphrase-fd' ;;
	ca) words='init renew invite revoke list --name --only --for --to --passphrase-fd --json' ;;
	join) words='--to --initiator --force' ;;
	connect) words='--listen --identity --name --server --config --check --accept-risk --json' ;;
	audit) words='show summary report tail last-writer first-seen compare verify export key files --public --key --checkpoint --signer --format --output --since-checkpoint --follow --to --since --until --initiator --target --address --session --lun --lba --op --group --verdict --denied --file --partition --policy --disk --block-size --utc --csv --top --html --no-verify --verify -n --json' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words --state --help" -- "$current")
	case $command in
	run | check | plan | explain | ipsec | wireguard | ca | connect)
		compopt -o filenames
		[[ $current == -* ]] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
		;;
	esac
}
complete -F _sallyport sallyport
