# bash completion for dock-agent
# Made by `scripts/completions` from the command's own parser; change that, not this file.

_dock_agent() {
    local cur=${COMP_WORDS[COMP_CWORD]} path='' takes='' word='' options='' verbs='' values=''
    local -i at
    COMPREPLY=()
    # Which verb is meant; an option's value is no verb.
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        if [[ -n $takes && $word != '=' ]]; then
            takes=''
            continue
        fi
        case $path:$word in
            ':setup') path='setup' ;;
            ':run') path='run' ;;
            ':check') path='check' ;;
            ':offload') path='offload' ;;
            ':status') path='status' ;;
            ':clips') path='clips' ;;
            ':drain') path='drain' ;;
            ':backup') path='backup' ;;
            ':restore') path='restore' ;;
            ':support-bundle') path='support-bundle' ;;
            ':demo') path='demo' ;;
            ':enrol') path='enrol' ;;
            ':renew') path='renew' ;;
            ':replace-station') path='replace-station' ;;
            ':bays') path='bays' ;;
            ':queue') path='queue' ;;
            ':custody') path='custody' ;;
            ':profiles') path='profiles' ;;
            ':profile') path='profile' ;;
            ':depot') path='depot' ;;
            ':doctor') path='doctor' ;;
            'setup:--station' | 'setup:--store' | 'setup:--store-name' | 'setup:--bay' | 'setup:--time-zone' | 'setup:--service-user') takes='word' ;;
            'setup:--require') takes='choice:signed readback checksum' ;;
            'setup:--receipt-key' | 'setup:--ca' | 'setup:--credential-from' | 'setup:--config') takes='file' ;;
            'setup:--state-dir') takes='folder' ;;
            'run:--config') takes='file' ;;
            'check:--config') takes='file' ;;
            'offload:--config') takes='file' ;;
            'offload:--profile' | 'offload:--camera' | 'offload:--wait') takes='word' ;;
            'status:--config') takes='file' ;;
            'clips:--config') takes='file' ;;
            'clips:--camera' | 'clips:--limit') takes='word' ;;
            'clips:--state') takes='choice:listed spooled confirmed quarantined lost' ;;
            'drain:--wait' | 'drain:--reason' | 'drain:--actor') takes='word' ;;
            'drain:--config') takes='file' ;;
            'backup:--actor') takes='word' ;;
            'backup:--config') takes='file' ;;
            'restore:--service-user') takes='word' ;;
            'restore:--config') takes='file' ;;
            'support-bundle:--log' | 'support-bundle:--config') takes='file' ;;
            'support-bundle:--lines') takes='word' ;;
            'enrol:--credential-from' | 'enrol:--csr' | 'enrol:--certificate' | 'enrol:--config') takes='file' ;;
            'enrol:--service-user') takes='word' ;;
            'renew:--credential-from' | 'renew:--csr' | 'renew:--certificate' | 'renew:--config') takes='file' ;;
            'renew:--service-user') takes='word' ;;
            'replace-station:--missing' | 'replace-station:--config') takes='file' ;;
            'bays:list') path='bays list' ;;
            'bays:advice') path='bays advice' ;;
            'bays:seize') path='bays seize' ;;
            'bays:release') path='bays release' ;;
            'bays:claim') path='bays claim' ;;
            'bays:free') path='bays free' ;;
            'bays:learn') path='bays learn' ;;
            'bays:enrol') path='bays enrol' ;;
            'bays:rules') path='bays rules' ;;
            'bays list:--config') takes='file' ;;
            'bays advice:--config') takes='file' ;;
            'bays seize:--reason' | 'bays seize:--actor') takes='word' ;;
            'bays seize:--config') takes='file' ;;
            'bays release:--reason' | 'bays release:--actor') takes='word' ;;
            'bays release:--config') takes='file' ;;
            'bays claim:--reason' | 'bays claim:--actor') takes='word' ;;
            'bays claim:--config') takes='file' ;;
            'bays free:--reason' | 'bays free:--actor') takes='word' ;;
            'bays free:--config') takes='file' ;;
            'bays learn:--count' | 'bays learn:--names' | 'bays learn:--timeout') takes='word' ;;
            'bays learn:--config') takes='file' ;;
            'bays enrol:--bay') takes='word' ;;
            'bays enrol:--from' | 'bays enrol:--config') takes='file' ;;
            'bays rules:--config') takes='file' ;;
            'queue:list') path='queue list' ;;
            'queue:request') path='queue request' ;;
            'queue:prioritise') path='queue prioritise' ;;
            'queue:pause') path='queue pause' ;;
            'queue:resume') path='queue resume' ;;
            'queue:hold-back') path='queue hold-back' ;;
            'queue:release') path='queue release' ;;
            'queue:hold') path='queue hold' ;;
            'queue:unhold') path='queue unhold' ;;
            'queue:retry') path='queue retry' ;;
            'queue list:--config') takes='file' ;;
            'queue list:--limit') takes='word' ;;
            'queue request:--reason' | 'queue request:--actor') takes='word' ;;
            'queue request:--config') takes='file' ;;
            'queue prioritise:--reason' | 'queue prioritise:--actor') takes='word' ;;
            'queue prioritise:--config') takes='file' ;;
            'queue pause:--reason' | 'queue pause:--actor') takes='word' ;;
            'queue pause:--config') takes='file' ;;
            'queue resume:--actor' | 'queue resume:--reason') takes='word' ;;
            'queue resume:--config') takes='file' ;;
            'queue hold-back:--reason' | 'queue hold-back:--actor') takes='word' ;;
            'queue hold-back:--config') takes='file' ;;
            'queue release:--actor' | 'queue release:--reason') takes='word' ;;
            'queue release:--config') takes='file' ;;
            'queue hold:--reason' | 'queue hold:--actor') takes='word' ;;
            'queue hold:--config') takes='file' ;;
            'queue unhold:--reason' | 'queue unhold:--actor') takes='word' ;;
            'queue unhold:--config') takes='file' ;;
            'queue retry:--actor' | 'queue retry:--store' | 'queue retry:--reason') takes='word' ;;
            'queue retry:--config') takes='file' ;;
            'custody:verify') path='custody verify' ;;
            'custody:export') path='custody export' ;;
            'custody:show') path='custody show' ;;
            'custody:accept') path='custody accept' ;;
            'custody verify:--config') takes='file' ;;
            'custody export:--config' | 'custody export:--output') takes='file' ;;
            'custody show:--config') takes='file' ;;
            'custody accept:--reason' | 'custody accept:--actor') takes='word' ;;
            'custody accept:--config') takes='file' ;;
            'profiles:list') path='profiles list' ;;
            'profiles list:--config') takes='file' ;;
            'profile:test') path='profile test' ;;
            'profile test:--time-zone') takes='word' ;;
            'depot:ls') path='depot ls' ;;
            'depot:replace') path='depot replace' ;;
            'depot:verify') path='depot verify' ;;
            'depot:--dir') takes='folder' ;;
            'depot:--listen' | 'depot:--enrol' | 'depot:--revoke') takes='word' ;;
            'depot:--tls-cert' | 'depot:--tls-key' | 'depot:--client-ca') takes='file' ;;
            'depot ls:--dir') takes='folder' ;;
            'depot ls:--station') takes='word' ;;
            'depot replace:--credential-to') takes='file' ;;
            'depot replace:--dir') takes='folder' ;;
            'depot verify:--dir') takes='folder' ;;
            'doctor:store') path='doctor store' ;;
            'doctor:spool') path='doctor spool' ;;
            'doctor:hub') path='doctor hub' ;;
            'doctor store:--config') takes='file' ;;
            'doctor spool:--config') takes='file' ;;
            'doctor hub:--try' | 'doctor hub:--camera') takes='word' ;;
            'doctor hub:--config') takes='file' ;;
        esac
    done
    [[ $cur == '=' ]] && cur=''
    case $takes in
        file) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null; return ;;
        folder) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); compopt -o filenames 2>/dev/null; return ;;
        choice:*) mapfile -t COMPREPLY < <(compgen -W "${takes#choice:}" -- "$cur"); return ;;
        word) return ;;
    esac
    case $path in
        '') options='--version --help'; verbs='setup run check offload status clips drain backup restore support-bundle demo enrol renew replace-station bays queue custody profiles profile depot doctor' ;;
        'setup') options='--station --store --store-name --require --receipt-key --ca --credential-from --bay --plain-folders --state-dir --time-zone --service-user --trial --allow-unsafe-spool --allow-plain-spool --replace --config --json --help' ;;
        'run') options='--config --await-config --help' ;;
        'check') options='--config --json --help' ;;
        'offload') options='--config --profile --camera --json --wait --help'; values='folder' ;;
        'status') options='--config --watch --json --help' ;;
        'clips') options='--config --camera --state --limit --json --help' ;;
        'drain') options='--wait --undo --reason --actor --config --json --help' ;;
        'backup') options='--actor --config --json --help' ;;
        'restore') options='--service-user --config --json --help' ;;
        'support-bundle') options='--log --lines --config --json --help' ;;
        'demo') options='--keep --json --help' ;;
        'enrol') options='--credential-from --csr --certificate --new-key --replace --untried --service-user --config --json --help' ;;
        'renew') options='--credential-from --csr --certificate --new-key --untried --service-user --config --json --help' ;;
        'replace-station') options='--missing --config --json --help' ;;
        'bays') options='--help'; verbs='list advice seize release claim free learn enrol rules' ;;
        'bays list') options='--config --json --help' ;;
        'bays advice') options='--config --json --help' ;;
        'bays seize') options='--reason --actor --config --help' ;;
        'bays release') options='--reason --actor --config --help' ;;
        'bays claim') options='--reason --actor --config --help' ;;
        'bays free') options='--reason --actor --config --help' ;;
        'bays learn') options='--count --names --timeout --replace --keep --config --json --help' ;;
        'bays enrol') options='--bay --from --remove --list --config --json --help' ;;
        'bays rules') options='--any-serial --config --help'; values='usbguard udev' ;;
        'queue') options='--help'; verbs='list request prioritise pause resume hold-back release hold unhold retry' ;;
        'queue list') options='--config --limit --json --help' ;;
        'queue request') options='--reason --actor --config --help' ;;
        'queue prioritise') options='--reason --actor --config --help' ;;
        'queue pause') options='--reason --actor --config --help' ;;
        'queue resume') options='--actor --reason --config --help' ;;
        'queue hold-back') options='--reason --actor --config --help' ;;
        'queue release') options='--actor --reason --config --help' ;;
        'queue hold') options='--reason --actor --config --help' ;;
        'queue unhold') options='--reason --actor --config --help' ;;
        'queue retry') options='--actor --store --reason --config --help' ;;
        'custody') options='--help'; verbs='verify export show accept' ;;
        'custody verify') options='--config --json --help' ;;
        'custody export') options='--config --output --help' ;;
        'custody show') options='--config --json --help' ;;
        'custody accept') options='--reason --actor --config --help' ;;
        'profiles') options='--help'; verbs='list' ;;
        'profiles list') options='--config --json --help' ;;
        'profile') options='--help'; verbs='test' ;;
        'profile test') options='--time-zone --json --help' ;;
        'depot') options='--dir --listen --json --tls-cert --tls-key --client-ca --enrol --new --replace --renew --revoke --help'; verbs='ls replace verify' ;;
        'depot ls') options='--dir --station --missing --json --help' ;;
        'depot replace') options='--credential-to --dir --json --help' ;;
        'depot verify') options='--dir --json --help' ;;
        'doctor') options='--help'; verbs='store spool hub' ;;
        'doctor store') options='--config --json --help' ;;
        'doctor spool') options='--config --json --help' ;;
        'doctor hub') options='--try --camera --config --json --help' ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [[ -n $verbs ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur")
    elif [[ $values == folder ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        compopt -o filenames 2>/dev/null
    elif [[ -n $values ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur")
    fi
} &&
    complete -F _dock_agent dock-agent
